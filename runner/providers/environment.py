"""The variables a run may read: the real environment over the user's .env files, without changing it."""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from runner.document import read_text
from runner.errors import InvalidFile, Problem
from runner.providers.nearest import find_nearest

MAX_BYTES = 1 << 20


def read_environment(env_files: Sequence[Path], start: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables: `environ` wins over the files named, later ones first, and they over the nearest .env.

    Nothing is added to the process's own environment, so no child process inherits a key from a file.
    """
    nearest = find_nearest(".env", start)
    files = [*([nearest] if nearest else []), *env_files]
    variables: dict[str, str] = {}
    for path in files:
        variables |= read_env_file(path)
    return variables | dict(environ)


def read_env_file(path: Path) -> Mapping[str, str]:
    """Return the variables of one .env file as they are written: `${...}` in a value is not replaced."""
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
    """Find the lines python-dotenv would skip with no more than a warning."""
    return (binding.original.line for binding in parse_stream(StringIO(text)) if binding.error)
