"""Read environment variables: those of the process, then those of the user's .env files."""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from runner.document import read_text
from runner.errors import InvalidFile, Problem
from runner.providers.find_config_files import find_own_file

MAX_ENV_FILE_BYTES = 1 << 20


class Environment(dict[str, str]):
    """Environment variables by name, with the file and line of those from a .env file that the user did not name."""

    def __init__(
        self, variables: Mapping[str, str], found: Mapping[str, int], file: Path | None, notes: Iterable[str] = ()
    ) -> None:
        super().__init__(variables)
        self._found = found
        self._file = file
        self.notes = tuple(notes)
        """Sentences on files that were not read."""

    def found_in(self, name: str) -> Path | None:
        """Return the found .env file that a value comes from; None if the user set or named it."""
        return self._file if name in self._found else None

    def line_of(self, name: str) -> int:
        """Return the line of a variable in the found .env file."""
        return self._found.get(name, 1)


def read_environment(env_files: Sequence[Path], start: Path, environ: Mapping[str, str]) -> Environment:
    """Return all variables: those in `environ` override those in `env_files`, and these those in the nearest .env.

    Later `env_files` override earlier ones.

    The process's own environment is not changed, so that no child process inherits a key from a file.

    Raises:
        InvalidFile: a file cannot be read, or has a broken line.

    """
    nearest, notes = find_own_file(".env", start)
    own: dict[str, str] = {}
    for path in env_files:
        own |= {name: value for name, (value, _) in _read_env_file(path).items()}
    own |= environ
    found = _read_env_file(nearest) if nearest else {}
    lines = {name: line for name, (_, line) in found.items() if name not in own}
    return Environment({name: value for name, (value, _) in found.items()} | own, lines, nearest, notes)


def is_ci(environ: Mapping[str, str]) -> bool:
    """Return whether a CI server runs this process: it sets `CI`."""
    return environ.get("CI", "").strip().lower() not in {"", "0", "false", "no"}


def _read_env_file(path: Path) -> dict[str, tuple[str, int]]:
    """Return the variables of one .env file, each with its line.

    Values are as written: `${...}` is not substituted. If a variable is repeated, the last value counts.

    Raises:
        InvalidFile: the file cannot be read, or has a broken line.

    """
    text = read_text(path, MAX_ENV_FILE_BYTES)
    bindings = list(parse_stream(StringIO(text)))
    hint = "Close the quotes, or write # before a remark"
    broken = [each.original.line for each in bindings if each.error]
    problems = [Problem(str(path), line, 1, "this is not NAME=value", hint) for line in broken]
    if "\0" in text:
        problems.append(Problem(str(path), 1, 1, "the file holds NUL characters", "Save it as UTF-8 text"))
    if problems:
        raise InvalidFile(problems)
    last = {each.key: each for each in bindings if each.key is not None}
    return {name: (each.value, each.original.line) for name, each in last.items() if each.value is not None}
