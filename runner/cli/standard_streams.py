"""The standard streams of the command: any text can be written to them, whatever their encoding, and none is closed."""

import codecs
import os
import sys
from typing import TextIO

ESCAPE = "compare-escape"
"""The name of the error handler that writes characters which an encoding lacks as JSON does."""


def prepare_standard_streams() -> None:
    r"""Let standard output and standard error take any text, and open closed streams on the null device.

    A character that a stream's encoding lacks is written as `\uXXXX`, two of them for one beyond the basic plane. JSON
    text thus keeps its meaning in any encoding, and no message ends in an exception. A closed stream would lend its
    file descriptor to the next file or socket that is opened, which others would then write into.
    """
    codecs.register_error(ESCAPE, _escape)
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 -- for the whole process
    sys.stdout = _writable(sys.stdout, 1)
    sys.stderr = _writable(sys.stderr, 2)


def text_argument(argument: str) -> str:
    """Return the text of an argument that is no path: in a C locale Python keeps bytes that are UTF-8 as surrogates."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one


def _writable(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:
        stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=ESCAPE)
    return stream


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end
