"""Write recordings into a run's folder. Only the process that has locked the run's journal writes them."""

import shutil
from pathlib import Path

from runner.errors import WriteFailed
from runner.storage.append_only import AppendOnlyFile
from runner.storage.recordings.reader import MAGIC, RECORDINGS_FILE, find_sound_end, scan_recordings


class RecordingWriter(AppendOnlyFile):
    """Appends frames, each with one write; an incomplete frame of a killed run is cut off first.

    Raises:
        JournalError: the file cannot be written, or is damaged.

    """

    KEPT = "what was recorded is safe"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / RECORDINGS_FILE)
        if self._end == 0:
            self.append_bytes(MAGIC)

    def _find_end(self) -> int:
        recordings = scan_recordings(self.path.parent)
        if recordings.entries:
            return recordings.entries[-1].end
        return len(MAGIC) if self.path.stat().st_size >= len(MAGIC) else 0


def copy_recordings(run: Path, folder: Path) -> str | None:
    """Copy a run's recordings into another folder up to the first that is damaged; return what is left out.

    Raises:
        JournalError: they cannot be read.
        WriteFailed: they cannot be written.

    """
    if not (run / RECORDINGS_FILE).exists():
        return None
    end, left_out = find_sound_end(run)
    try:
        shutil.copyfile(run / RECORDINGS_FILE, folder / RECORDINGS_FILE)
        with (folder / RECORDINGS_FILE).open("r+b") as copy:
            copy.truncate(end)
    except OSError as error:
        raise WriteFailed(f"{folder / RECORDINGS_FILE} cannot be written: {error.strerror}") from error
    return left_out
