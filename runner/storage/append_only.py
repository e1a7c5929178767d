"""A file that is only ever appended to: each piece is written whole or not at all, and nothing is buffered."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.errors import JournalError, WriteFailed

BINARY: int = getattr(os, "O_BINARY", 0)
"""`os.O_BINARY` on Windows, which otherwise writes every newline as two bytes; else 0."""


class AppendOnlyFile:
    """A file open for appending; an incomplete piece that a killed writer left at its end is cut off first.

    Raises:
        JournalError: the file cannot be opened, or is not of the expected format.

    """

    KEPT: str
    """Last part of an error's message, on what is already on disk."""

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
        """Return the offset in bytes at which the last whole piece ends."""
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
        """Close the file. Nothing is buffered, so nothing can be lost."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
