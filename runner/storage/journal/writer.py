"""Write a journal: each line whole or not at all, by one process at a time."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.core.record import Record
from runner.errors import JournalError, WriteFailed
from runner.storage.append_only import AppendOnlyFile
from runner.storage.journal.header import Header, encode_header
from runner.storage.journal.line import encode_record, to_bytes

JOURNAL_FILE = "journal.jsonl"


class JournalWriter(AppendOnlyFile):
    """Appends lines to a run's journal, each passed through `redact`, which hides keys.

    Only one process can write it: the file is locked while it is open. `found_size` is its size in bytes when it was
    opened.

    Raises:
        JournalError: the file cannot be written, or another process writes it.

    """

    KEPT = "what was written before is safe"

    def __init__(self, folder: Path, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        super().__init__(folder / JOURNAL_FILE)

    def _find_end(self) -> int:
        lock(self._file, self.path)
        self.found_size = os.fstat(self._file).st_size
        return _end_of_last_line(self._file)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written so far; an incomplete line of a killed run is cut off."""
        return self._end == 0

    def append(self, line: Mapping[str, object]) -> None:
        """Append one line whole.

        Raises:
            WriteFailed: it cannot be written; the lines before it are as they were, unless the file itself was removed.

        """
        self.append_bytes(to_bytes(line, self._redact))
        if os.fstat(self._file).st_nlink == 0:
            raise WriteFailed(f"{self.path} was removed while the run wrote to it: its rows are lost")

    def append_header(self, header: Header) -> None:
        """Append the run's first line."""
        self.append(encode_header(header))

    def append_resume(self, changes: Mapping[str, object], repeated: Iterable[str], dropped: Iterable[str]) -> None:
        """Append the line of a resume.

        Args:
            changes: the members of the header that are different from now on, by their stored names.
            repeated: keys that are requested again; their records so far no longer count.
            dropped: keys of records that are not in the plan.

        """
        self.append({"kind": "resume", "changes": changes, "redone": sorted(repeated), "dropped": sorted(dropped)})

    def append_record(self, record: Record) -> None:
        """Append a finished request."""
        self.append(encode_record(record))


class RecordLog(Protocol):
    """Interface for the lines and records of a run: a run's journal, or a judge's part of it."""

    def append(self, line: Mapping[str, object]) -> None:
        """Append one line whole."""

    def append_record(self, record: Record) -> None:
        """Append a finished request."""


@dataclass(frozen=True, slots=True)
class JudgeLog:
    """Writes a judge's requests into the journal of the run that it judges.

    `links` maps the key of each request to the lines that name the records it is about.
    """

    journal: JournalWriter
    links: Mapping[str, Sequence[Mapping[str, object]]]

    def append(self, line: Mapping[str, object]) -> None:
        """Append a line under a kind of its own, which no table of the run reads."""
        self.journal.append({**line, "kind": f"judge_{line['kind']}"})

    def append_record(self, record: Record) -> None:
        """Append a finished request, and the lines that name the records it is about."""
        self.append(encode_record(record))
        for link in self.links.get(record.identity.key, ()):
            self.journal.append(link)


def lock(file: int, path: Path) -> None:
    """Lock an open file or folder until it is closed, where the platform and the file system have flock.

    Raises:
        JournalError: another process has locked it.

    """
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


def _end_of_last_line(file: int) -> int:
    """Return the offset in bytes at which the last complete line of a file ends; 0 if there is none."""
    end = os.lseek(file, 0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65536)
        os.lseek(file, start, os.SEEK_SET)
        newline = os.read(file, end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
