"""Lines onto a disk: each whole or not at all, by one process at a time, and never lost without a word."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.core.record import Record
from runner.errors import JournalError, WriteFailed
from runner.storage.journal.header import Header, encode_header
from runner.storage.journal.line import encode_record, to_bytes

FILE_NAME = "journal.jsonl"

BINARY: int = getattr(os, "O_BINARY", 0)
"""Windows would write every newline as two bytes."""


class JournalWriter:
    """Appends lines to a run's journal, each passed through `redact`, which hides keys.

    One process at a time: the file is locked while it is open. `found_size` is how many bytes it then had.
    """

    def __init__(self, folder: Path, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self.path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o644)
        except OSError as error:
            raise JournalError(
                f"{self.path} cannot be written: {error.strerror}; choose another folder with -o"
            ) from error
        try:
            _lock(self._file, self.path)
            self.found_size = os.fstat(self._file).st_size
            self._end = _cut_torn_line(self._file)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def is_new(self) -> bool:
        """Whether nothing has been written yet."""
        return self._end == 0

    def append(self, line: Mapping[str, object]) -> None:
        """Append one line whole.

        Raises:
            WriteFailed: it cannot be kept; the lines before it are as they were, unless the file itself is gone.

        """
        data = to_bytes(line, self._redact)
        try:
            written = os.write(self._file, data)
            if written < len(data):
                os.truncate(self._file, self._end)
        except OSError as error:
            raise WriteFailed(
                f"{self.path} cannot be written: {error.strerror}; what was written before is safe"
            ) from error
        if written < len(data):
            raise WriteFailed(f"{self.path}: the disk is full; what was written before is safe")
        self._end += len(data)
        if os.fstat(self._file).st_nlink == 0:
            raise WriteFailed(f"{self.path} was removed while the run wrote to it: its rows are lost")

    def append_header(self, header: Header) -> None:
        """Write the run's first line."""
        self.append(encode_header(header))

    def append_resume(self, changes: Mapping[str, object], redone: Iterable[str], dropped: Iterable[str]) -> None:
        """Write that the run goes on, differing from its header in `changes`."""
        self.append({"kind": "resume", "changes": changes, "redone": sorted(redone), "dropped": sorted(dropped)})

    def append_record(self, record: Record) -> None:
        """Write a finished request."""
        self.append(encode_record(record))

    def close(self) -> None:
        """Release the journal; nothing is buffered, so nothing can be lost here."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lock(file: int, path: Path) -> None:
    """Refuse a second writer; where the platform or the disk has no flock, the unique folder names must do."""
    try:
        import fcntl  # noqa: PLC0415 -- POSIX only
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalError(
            f"{path} is being written by another run; let it end, or choose another folder with -o"
        ) from error
    except OSError:
        return


def _cut_torn_line(file: int) -> int:
    """Cut off what a killed run left behind the last whole line; return where the file then ends."""
    end = os.lseek(file, 0, os.SEEK_END)
    whole = end
    while whole > 0:
        start = max(0, whole - 65536)
        os.lseek(file, start, os.SEEK_SET)
        newline = os.read(file, whole - start).rfind(b"\n")
        if newline >= 0:
            whole = start + newline + 1
            break
        whole = start
    if whole < end:
        os.truncate(file, whole)
    return whole
