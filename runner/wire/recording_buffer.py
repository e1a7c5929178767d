"""The recording buffer of one attempt: its reads with their timestamps, compressed as they arrive.

The reads of a time slice are compressed in one call, in the same slice in which they are decoded: a long stream needs
little memory, and a short one little time.
"""

from runner.providers.redaction import Redactor
from runner.storage.recordings.recording import PackedReads, Reads, ReadsPacker, unpack_reads


class RecordingBuffer:
    """The reads of one attempt so far."""

    def __init__(self, redactor: Redactor) -> None:
        self.holds_key = False
        """Whether the bytes contain a known key, also one that two reads divide."""
        self._redactor = redactor
        self._packer = ReadsPacker()
        self._last = b""

    def add(self, reads: Reads) -> None:
        """Add reads, in the order in which they arrived."""
        self._search_key(self._packer.add(reads))

    def _search_key(self, data: bytes) -> None:
        """Search for a key, also across the border to the bytes before."""
        if self.holds_key or not self._redactor.longest:
            return
        searched = self._last + data
        self.holds_key = self._redactor.occurs_in(searched)
        self._last = searched[1 - self._redactor.longest :]

    def finish(self) -> PackedReads:
        """Return all reads. Nothing can be added afterwards."""
        return self._packer.finish()


def hide_keys(packed: PackedReads, redactor: Redactor) -> list[tuple[int, bytes]]:
    """Return reads with the known keys hidden in their bytes; each read keeps its timestamp."""
    reads = unpack_reads(packed)
    hidden = redactor.in_pieces([data for _, data in reads])
    return [(at_ns, data) for (at_ns, _), data in zip(reads, hidden, strict=True)]
