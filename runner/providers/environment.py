"""Read environment variables: those of the process, then those of the user's .env files."""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from runner.document import find_nearest, read_text
from runner.errors import InvalidFile, Problem

MAX_BYTES = 1 << 20


def read_environment(env_files: Sequence[Path], start: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return all variables: `environ` wins over `env_files`, the last of them first, and those over the nearest .env.

    The process's own environment is not changed, so that no child process inherits a key from a file.

    Raises:
        InvalidFile: a file cannot be read, or has a broken line.

    """
    nearest = find_nearest(".env", start)
    files = [*([nearest] if nearest else []), *env_files]
    variables: dict[str, str] = {}
    for path in files:
        variables |= read_env_file(path)
    return variables | dict(environ)


def is_ci(environ: Mapping[str, str]) -> bool:
    """Return whether a CI server runs this process: it sets `CI`."""
    return environ.get("CI", "").strip().lower() not in {"", "0", "false", "no"}


def read_env_file(path: Path) -> Mapping[str, str]:
    """Return the variables of one .env file as they are written: `${...}` in a value is not replaced.

    Raises:
        InvalidFile: the file cannot be read, or has a broken line.

    """
    text = read_text(path, MAX_BYTES)
    problems = [
        Problem(str(path), line, 1, "this is not NAME=value", "Close the quotes, or write # before a remark")
        for line in _unreadable_lines(text)
    ]
    if "\0" in text:
        problems.append(Problem(str(path), 1, 1, "the file holds NUL characters", "Save it as UTF-8 text"))
    if problems:
        raise InvalidFile(problems)
    values = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _unreadable_lines(text: str) -> Iterable[int]:
    """Return the numbers of the lines that python-dotenv would skip with a warning."""
    return (binding.original.line for binding in parse_stream(StringIO(text)) if binding.error)
