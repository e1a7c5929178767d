"""Keeps what an attempt hears, to be heard again: reads and stamps, compressed as they come.

A slice of reads is compressed in one call, in the slice of airtime in which it is decoded anyway: a long stream needs
little memory, and a short one little time.
"""

from runner.providers.redaction import Redactor
from runner.storage.recordings.recording import PackedReads, Reads, ReadsPacker, unpack_reads


class RecordingBuffer:
    """The reads of one attempt so far."""

    def __init__(self, redactor: Redactor) -> None:
        self.holds_key = False
        """Whether a known key stands in the bytes, however they were cut."""
        self._redactor = redactor
        self._packer = ReadsPacker()
        self._last = b""

    def keep(self, reads: Reads) -> None:
        """Take in reads, in the order in which they came."""
        self._look_for_key(self._packer.add(reads))

    def _look_for_key(self, data: bytes) -> None:
        """Look behind the last cut, too: half a key may have come before it."""
        if self.holds_key or not self._redactor.longest:
            return
        seen = self._last + data
        self.holds_key = self._redactor.occurs_in(seen)
        self._last = seen[1 - self._redactor.longest :]

    def wind_up(self) -> PackedReads:
        """Return all that was kept; the tape is used up."""
        return self._packer.finish()


def hide_keys(reads: PackedReads, redactor: Redactor) -> list[tuple[int, bytes]]:
    """Return reads with the known keys hidden in their bytes; each read keeps its stamp."""
    heard = unpack_reads(reads)
    hidden = redactor.in_pieces([data for _, data in heard])
    return [(at_ns, data) for (at_ns, _), data in zip(heard, hidden, strict=True)]
