"""Read a run's recordings from disk: all labels at once, the reads of an attempt on demand."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runner.errors import JournalError
from runner.storage.recordings.recording_format import (
    SIZES,
    DamagedRecording,
    Label,
    PackedReads,
    read_label,
    unpack_reads,
)

RECORDINGS_FILE = "recordings.bin"
MAGIC = b"compare recordings 1\n"

_HOW_TO_RECORD = "by `compare run SUITE --record` or, in Python, record=True"


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording's label, and the place of its reads in the file, in bytes."""

    label: Label
    at: int
    steps_size: int
    sizes_size: int
    body_size: int

    @property
    def end(self) -> int:
        """The place of the next frame."""
        return self.at + self.steps_size + self.sizes_size + self.body_size


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recordings of a run, in the order in which the attempts ended."""

    path: Path
    entries: tuple[RecordingEntry, ...]
    is_torn: bool
    """Whether the last frame is incomplete, for example after a kill or on a full disk."""

    def reads(self, entry: RecordingEntry) -> list[tuple[int, bytes]]:
        """Return the reads of one attempt.

        Raises:
            JournalError: the file is damaged there, or can no longer be read.

        """
        try:
            with self.path.open("rb") as file:
                file.seek(entry.at)
                parts = [file.read(size) for size in (entry.steps_size, entry.sizes_size, entry.body_size)]
            return unpack_reads(PackedReads(*parts))
        except OSError as error:
            raise _unreadable(self.path, error) from error
        except DamagedRecording as error:
            raise _damaged(self.path, entry.at, error) from error


def read_recordings(folder: Path) -> Recordings:
    """Open a run's recordings.

    Raises:
        JournalError: there is none, the file is damaged, or this version does not know its format.

    """
    recordings = scan_recordings(folder)
    if not recordings.entries:
        raise JournalError(f"{recordings.path} holds no complete recording; record the run again, {_HOW_TO_RECORD}")
    return recordings


def scan_recordings(folder: Path) -> Recordings:
    """Open a run's recordings, even if there is no complete one among them.

    Raises:
        JournalError: the file is missing, cannot be read, is damaged, or has a format that this version does not know.

    """
    path = folder / RECORDINGS_FILE
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            entries = tuple(_read_entries(file, path, size))
    except FileNotFoundError as error:
        raise JournalError(f"{folder} holds no {RECORDINGS_FILE}; record a run first, {_HOW_TO_RECORD}") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    return Recordings(path, entries, is_torn=size > (entries[-1].end if entries else len(MAGIC)))


def find_sound_end(folder: Path) -> tuple[int, str | None]:
    """Return the byte at which the sound recordings of a run end, and a sentence on the rest; None if there is none.

    Raises:
        JournalError: the file cannot be read.

    """
    path, end, kept = folder / RECORDINGS_FILE, 0, 0
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            end = min(len(MAGIC), size)
            for kept, entry in enumerate(_read_entries(file, path, size), start=1):  # noqa: B007 -- used after the loop
                end = entry.end
    except OSError as error:
        raise _unreadable(path, error) from error
    except JournalError as error:
        return end, f"{str(error).partition(';')[0]}. {_describe_kept(kept)}"
    return end, None if size == end else f"{path} ends within a recording, at byte {size:,}. {_describe_kept(kept)}"


def _describe_kept(kept: int) -> str:
    return f"Recordings kept, those before it: {kept:,}; that one and any behind it are lost"


def _read_entries(file: BinaryIO, path: Path, size: int) -> Iterator[RecordingEntry]:
    """Yield the complete recordings in a file."""
    start = file.read(len(MAGIC))
    if start != MAGIC:
        if MAGIC.startswith(start):
            return  # the writer was killed before its first frame
        raise JournalError(f"{path} is not what this version of compare records: upgrade compare, or record again")
    at = len(MAGIC)
    while size - at >= SIZES.size:
        label_size, *reads_sizes = SIZES.unpack(file.read(SIZES.size))
        reads_at = at + SIZES.size + label_size
        if reads_at + sum(reads_sizes) > size:
            return
        try:
            label = read_label(file.read(label_size))
        except DamagedRecording as error:
            raise _damaged(path, at, error) from error
        entry = RecordingEntry(label, reads_at, *reads_sizes)
        yield entry
        at = file.seek(entry.end)


def _unreadable(path: Path, error: OSError) -> JournalError:
    return JournalError(f"{path} cannot be read: {error.strerror}; see that it is there and that you may read it")


def _damaged(path: Path, at: int, error: DamagedRecording) -> JournalError:
    return JournalError(f"{path} is damaged at byte {at}: {error}; take it from a backup, or record again")
