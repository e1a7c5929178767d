"""Prepare the standard streams of the command, so that no encoding or state of them makes a write fail."""

import codecs
import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from runner.errors import CompareError

ESCAPE = "compare-escape"
"""Name of the error handler that writes characters missing in an encoding as JSON escapes."""


def prepare_standard_streams() -> None:
    r"""Make standard output and standard error accept any text, and open closed streams on the null device.

    A character that is missing in a stream's encoding is written as `\uXXXX`, or as two of them outside the basic
    plane, so JSON keeps its meaning in any encoding, and no message raises an exception. The next file or socket would
    reuse the file descriptor of a closed stream, and output would go to it. A full disk, or a reader that has closed
    the pipe as in `| head`, raises nothing either: `lost_output` reports the loss.
    """
    codecs.register_error(ESCAPE, _escape)
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 -- for the whole process
    sys.stdout = _writable(sys.stdout, 1)
    sys.stderr = _writable(sys.stderr, 2)


class NonRaisingFile(io.FileIO):
    """The file of a standard stream, whose writes never raise: it keeps the first error, and drops further output."""

    failure: OSError | None = None
    is_result = False
    """Whether the output is the result that the command was called for, so that losing a part is a failure."""

    def write(self, data: Any, /) -> int | None:  # type: ignore[override] # None where it would block
        """Write bytes; after an error, drop them and report them as written."""
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def lost_output() -> str | None:
    """Return why a part of standard output was lost; None if nothing was, or if the reader closed the pipe."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    file = _non_raising_stdout()
    if file is None or file.failure is None or file.failure.errno == errno.EPIPE:
        return None
    return f"standard output cannot be written: {file.failure.strerror}"


def mark_result() -> None:
    """Mark standard output as the command's result, such as JSON, so that losing part of it is a failure."""
    if file := _non_raising_stdout():
        file.is_result = True


def lost_result() -> bool:
    """Return whether a part of the result that the command was called for was lost."""
    file = _non_raising_stdout()
    return lost_output() is not None and file is not None and file.is_result


def _non_raising_stdout() -> NonRaisingFile | None:
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    return file if isinstance(file, NonRaisingFile) else None


def read_standard_input() -> str:
    """Return all of standard input.

    Raises:
        CompareError: standard input cannot be read, or is not text.

    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="strict")  # in a C locale Python decodes any byte, as a surrogate
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        what = f"standard input is not {error.encoding}: its byte {error.start + 1}"
        raise CompareError(f"{what}. Convert it first, as in iconv -f GBK -t UTF-8") from None
    except OSError as error:
        raise CompareError(f"standard input cannot be read: {error.strerror}") from None


def text_argument(argument: str) -> str:
    """Return an argument that is not a path as text: in a C locale Python decodes UTF-8 bytes as surrogates."""
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
        io.BufferedWriter(NonRaisingFile(descriptor, "w", closefd=False)),
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
