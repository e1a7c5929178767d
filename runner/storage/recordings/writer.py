"""Appends recordings to a run's folder. Whoever holds the run's journal is the only one to write."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.errors import JournalError, WriteFailed
from runner.storage.recordings.reader import FILE_NAME, MAGIC, scan_recordings

BINARY: int = getattr(os, "O_BINARY", 0)


class RecordingWriter:
    """Appends frames, each with one write; what a killed run left half-written is cut off first."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._end = _find_end(folder)
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY, 0o644)
            os.truncate(self._file, self._end)
        except OSError as error:
            raise JournalError(
                f"{self._path} cannot be written: {error.strerror}; choose another folder with -o"
            ) from error
        if self._end == 0:
            self.append(MAGIC)

    def append(self, frame: bytes) -> None:
        """Append a frame whole, or raise WriteFailed and leave the file as it was."""
        try:
            written = os.write(self._file, frame)
            if written < len(frame):
                os.truncate(self._file, self._end)
        except OSError as error:
            raise WriteFailed(f"{self._path} cannot be written: {error.strerror}; what was recorded is safe") from error
        if written < len(frame):
            raise WriteFailed(f"{self._path}: the disk is full; what was recorded is safe")
        self._end += written

    def close(self) -> None:
        """Release the file; nothing is buffered."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _find_end(folder: Path) -> int:
    """Return where the last whole frame of an earlier run ends; 0 where there is none."""
    if not (folder / FILE_NAME).exists():
        return 0
    recordings = scan_recordings(folder)
    if recordings.entries:
        return recordings.entries[-1].end
    return min(len(MAGIC), recordings.path.stat().st_size) // len(MAGIC) * len(MAGIC)
