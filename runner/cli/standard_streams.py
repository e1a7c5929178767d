"""The standard streams of the command: whatever their encoding and state, no text that is written to them ends it."""

import codecs
import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from runner.errors import CompareError

ESCAPE = "compare-escape"
"""The name of the error handler that writes characters which an encoding lacks as JSON does."""


def prepare_standard_streams() -> None:
    r"""Let standard output and standard error take any text, and open closed streams on the null device.

    A character that a stream's encoding lacks is written as `\uXXXX`, two of them for one beyond the basic plane. JSON
    text thus keeps its meaning in any encoding, and no message ends in an exception. A closed stream would lend its
    file descriptor to the next file or socket that is opened, which others would then write into. A full disk and a
    reader that is gone, as behind `| head`, end nothing either: `lost_output` says what was lost.
    """
    codecs.register_error(ESCAPE, _escape)
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 -- for the whole process
    sys.stdout = _writable(sys.stdout, 1)
    sys.stderr = _writable(sys.stderr, 2)


class SteadyFile(io.FileIO):
    """The file of a standard stream, whose writes do not fail: the first failure is kept, what follows is lost."""

    failure: OSError | None = None
    is_product = False
    """Whether what is written is what the command was called for, so that it failed if a part is lost."""

    def write(self, data: Any, /) -> int | None:  # type: ignore[override] # None where it would block
        """Write bytes; where that fails, do as if they were written."""
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def lost_output() -> str | None:
    """Return why a part of standard output was lost; None where nothing was, or its reader wanted no more."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    file = _steady_stdout()
    if file is None or file.failure is None or file.failure.errno == errno.EPIPE:
        return None
    return f"standard output cannot be written: {file.failure.strerror}"


def mark_product() -> None:
    """Note that standard output is what the command was called for, as JSON is: `lost_product` depends on it."""
    if file := _steady_stdout():
        file.is_product = True


def lost_product() -> bool:
    """Return whether a part of standard output was lost that the command was called for."""
    file = _steady_stdout()
    return lost_output() is not None and file is not None and file.is_product


def _steady_stdout() -> SteadyFile | None:
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    return file if isinstance(file, SteadyFile) else None


def read_standard_input() -> str:
    """Return all of standard input.

    Raises:
        CompareError: it cannot be read, or is not text.

    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="strict")  # in a C locale Python lets any byte pass, as a surrogate
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        what = f"standard input is not {error.encoding}: its byte {error.start + 1}"
        raise CompareError(f"{what}. Convert it first, as in iconv -f GBK -t UTF-8") from None
    except OSError as error:
        raise CompareError(f"standard input cannot be read: {error.strerror}") from None


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
    if sys.platform == "win32" or not isinstance(stream, io.TextIOWrapper):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPE)
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(SteadyFile(descriptor, "w", closefd=False)),
        encoding=stream.encoding,
        errors=ESCAPE,
        newline="\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end
