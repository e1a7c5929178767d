"""Write recordings into a run's folder. Only the process that has locked the run's journal writes them."""

from pathlib import Path

from runner.storage.append_only import AppendOnlyFile
from runner.storage.recordings.reader import FILE_NAME, MAGIC, scan_recordings


class RecordingWriter(AppendOnlyFile):
    """Appends frames, each with one write; an incomplete frame of a killed run is cut off first.

    Raises:
        JournalError: the file cannot be written, or is damaged.

    """

    KEPT = "what was recorded is safe"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / FILE_NAME)
        if self._end == 0:
            self.append(MAGIC)

    def _find_end(self) -> int:
        recordings = scan_recordings(self.path.parent)
        if recordings.entries:
            return recordings.entries[-1].end
        return len(MAGIC) if self.path.stat().st_size >= len(MAGIC) else 0

    def append(self, frame: bytes) -> None:
        """Append a frame whole.

        Raises:
            WriteFailed: it cannot be written; the file is as it was.

        """
        self._append(frame)
