"""Read files up to a size limit, as UTF-8 where text is wanted, and explain why a file cannot be read."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from runner.document.document_tree import NOWHERE, START, Document, Position, invalid_file
from runner.document.yaml_parser import MAX_YAML_BYTES, parse
from runner.errors import InvalidFile, closest_word, suggest

CHECK_PATH = "Check the path"


def read(path: Path, *, if_missing: str = CHECK_PATH, if_too_large: str = "Split it") -> Document:
    """Return the document in a YAML file.

    Args:
        path: the file.
        if_missing: the hint if neither it nor a file of a similar name exists.
        if_too_large: the hint if it is beyond the limit.

    Raises:
        InvalidFile: the file cannot be read, or is not valid YAML.

    """
    return parse(read_text(path, MAX_YAML_BYTES, if_missing=if_missing, if_too_large=if_too_large), str(path))


def read_text(path: Path, max_bytes: int, *, if_missing: str = CHECK_PATH, if_too_large: str = "Split it") -> str:
    """Return a UTF-8 file's text without byte order mark.

    Raises:
        InvalidFile: the file is missing, unreadable, larger than `max_bytes`, or not UTF-8.

    """
    content = read_bytes(path, max_bytes, if_missing=if_missing, if_too_large=if_too_large)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _first_bad_byte(path, BytesIO(content)) from None


def read_bytes(
    path: Path, max_bytes: int, *, if_missing: str = CHECK_PATH, if_too_large: str = "Make it smaller"
) -> bytes:
    """Return a file's content.

    Raises:
        InvalidFile: the file is missing, unreadable, or larger than `max_bytes`.

    """
    with file_errors(path, if_missing), path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise invalid_file(str(path), START, f"the file is larger than {max_bytes >> 20} MiB", if_too_large)
    return content


@contextmanager
def file_errors(path: Path, if_missing: str = CHECK_PATH) -> Iterator[None]:
    """Convert the errors of opening and reading a file; `if_missing` is the hint if no similar file exists.

    Raises:
        InvalidFile: the file is missing, is a folder, or cannot be read.

    """
    try:
        yield
    except FileNotFoundError:
        near = _find_similar(path)
        hint = if_missing if near is None else suggest(str(near))
        raise invalid_file(str(path), NOWHERE, "there is no such file", hint) from None
    except IsADirectoryError:
        raise invalid_file(str(path), NOWHERE, "this is a folder, not a file", "Name a file in it") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        what = f"the file cannot be read: {reason.lower()}"
        raise invalid_file(str(path), NOWHERE, what, "Check its name and permissions") from None


def _find_similar(path: Path) -> Path | None:
    """Return the file that was probably meant: one with a similar name, or with this name in a nearby folder."""
    with suppress(OSError):
        if path.parent.is_dir():
            entries = sorted(path.parent.iterdir())
            near = closest_word(path.name, [each.name for each in entries if each.is_file()], cutoff=0.8)
            inside = (each / path.name for each in entries if each.is_dir() and not each.name.startswith("."))
            return path.parent / near if near else next((each for each in inside if each.is_file()), None)
        folders = [each.name for each in path.parent.parent.iterdir() if each.is_dir()]
        near = closest_word(path.parent.name, folders)
        found = path.parent.parent / near / path.name if near else path
        return found if found.is_file() else None
    return None


def read_lines(path: Path, max_characters: int, *, ends: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file of any size, each with its end and without a byte order mark.

    `ends` is passed to `open` as `newline`: "\\n", or "" for every line end that spreadsheets write.

    Raises:
        InvalidFile: the file is missing, unreadable or not UTF-8, or a line is longer than `max_characters`.

    """
    number = 0
    with file_errors(path):
        try:
            with path.open(encoding="utf-8-sig", newline=ends) as file:
                while line := file.readline(max_characters + 1):
                    number += 1
                    if len(line) > max_characters:
                        what = f"this line is longer than {max_characters >> 20} million characters"
                        raise invalid_file(str(path), Position(number, 1), what, "Split it")
                    yield line
        except UnicodeDecodeError:
            with path.open("rb") as content:
                raise _first_bad_byte(path, content) from None


def _first_bad_byte(path: Path, lines: Iterable[bytes]) -> InvalidFile:
    """Return the problem with the first line of a file that is not UTF-8."""
    for number, line in enumerate(lines, 1):
        try:
            line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            position = Position(number, len(error.object[: error.start].decode()) + 1)
            what = f"the byte 0x{error.object[error.start]:02x} here is not UTF-8"
            return invalid_file(str(path), position, what, "Save the file as UTF-8")
    return invalid_file(str(path), START, "the file changed while it was read", "Read it again")
