"""A file's text, bounded in size and surely UTF-8."""

from pathlib import Path

from runner.document.composition import MAX_BYTES, parse
from runner.document.nodes import Document, Position, refusal
from runner.errors import InvalidFile

_START = Position(1, 1)


def read(path: Path) -> Document:
    """Read a YAML file; raise `InvalidFile` where it cannot be read as one."""
    return parse(read_text(path, MAX_BYTES), str(path))


def read_text(path: Path, max_bytes: int) -> str:
    """Return a UTF-8 file's text without byte order mark; raise `InvalidFile` naming what is wrong with it."""
    name = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise refusal(name, _START, "there is no such file", "Check the path") from None
    except IsADirectoryError:
        raise refusal(name, _START, "this is a folder, not a file", "Name a file in it") from None
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    if len(content) > max_bytes:
        raise refusal(name, _START, f"the file is larger than {max_bytes >> 20} MiB", "Split it")
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(name, content, error.start) from None


def _unreadable(name: str, error: OSError | ValueError) -> InvalidFile:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return refusal(name, _START, f"the file cannot be read: {reason.lower()}", "Check its name and permissions")


def _not_utf8(name: str, content: bytes, at: int) -> InvalidFile:
    before = content[:at].decode().removeprefix("\ufeff")
    place = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
    return refusal(name, place, f"the byte 0x{content[at]:02x} here is not UTF-8", "Save the file as UTF-8")
