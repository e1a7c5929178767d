"""A file that is only ever appended to: each piece is written whole or not at all, and nothing is buffered."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.errors import JournalError, WriteFailed

BINARY: int = getattr(os, "O_BINARY", 0)
"""Without it, Windows writes every newline as two bytes."""


class AppendOnlyFile:
    """A file open for appending; what a killed writer left half-written at its end is cut off first.

    Raises:
        JournalError: the file cannot be opened, or holds something else than it should.

    """

    KEPT: str
    """The end of an error's message: what is on disk already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o644)
        except OSError as error:
            raise JournalError(f"{path} cannot be written: {error.strerror}; choose another folder with -o") from error
        try:
            self._end = self._find_end()
            if self._end < os.fstat(self._file).st_size:
                os.truncate(self._file, self._end)
        except BaseException:
            os.close(self._file)
            raise

    def _find_end(self) -> int:
        """Return where the last whole piece ends, in bytes."""
        raise NotImplementedError

    def append_bytes(self, data: bytes) -> None:
        """Append bytes with one write.

        Raises:
            WriteFailed: they cannot be written; the file is as it was.

        """
        try:
            written = os.write(self._file, data)
            if written < len(data):
                os.truncate(self._file, self._end)
        except OSError as error:
            raise WriteFailed(f"{self.path} cannot be written: {error.strerror}; {self.KEPT}") from error
        if written < len(data):
            raise WriteFailed(f"{self.path}: the disk is full; {self.KEPT}")
        self._end += len(data)

    def close(self) -> None:
        """Close the file; nothing is buffered, so nothing can be lost here."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
