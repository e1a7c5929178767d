"""The recording of a response: compresses its reads as they arrive, and decodes the same reply from them later.

The reads of a time slice are compressed in one call, in the slice in which they are decoded. So a long stream needs
little memory, and a short one little time.
"""

from runner.core.events import Flagged
from runner.core.record_from_events import Fold
from runner.providers.redaction import Redactor
from runner.storage.recordings.recording_format import Label, PackedReads, Reads, ReadsPacker, unpack_reads
from runner.wire.decoders.provider_failures import undecodable
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.decoders.response_head import ResponseHead, response_started
from runner.wire.decompression import find_codings
from runner.wire.dialects import DIALECTS


class RecordingBuffer:
    """Buffer of the reads of one attempt."""

    def __init__(self, redactor: Redactor) -> None:
        self.holds_key = False
        """Whether the bytes contain a known key, even if it is split across two reads."""
        self._redactor = redactor
        self._packer = ReadsPacker()
        self._last = b""

    def add(self, reads: Reads) -> None:
        """Add reads, in the order of their arrival."""
        self._search_key(self._packer.add(reads))

    def _search_key(self, data: bytes) -> None:
        """Search for a key, including one that began in the previous bytes."""
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


def decode_recording(label: Label, reads: Reads) -> Fold:
    """Return the fold of a recorded attempt, decoded again from its reads and their timestamps."""
    fold = Fold()
    if label.status is not None and label.headers_ns is not None:
        _decode_recorded_response(label, ResponseHead(label.status, label.headers), label.headers_ns, reads, fold)
    if label.failed is not None and label.closed_ns is None:
        fold.add(label.failed)
    return fold


def _decode_recorded_response(label: Label, head: ResponseHead, headers_ns: int, reads: Reads, fold: Fold) -> None:
    fold.add(response_started(head, headers_ns))
    flags = label.body_flags
    if flags is None:
        flags = ("compressed",) if find_codings(head.headers) else ()
    for flag in flags:
        fold.add(Flagged(headers_ns, flag))
    decoder = ResponseDecoder(head.status, head.headers, dialect=DIALECTS[label.api].decoder)
    try:
        for at_ns, data in reads:
            for event in decoder.feed_plain([(at_ns, data)]) or decoder.feed(at_ns, data):
                fold.add(event)
        if label.closed_ns is not None:
            for event in decoder.close(label.closed_ns, label.failed):
                fold.add(event)
    except Exception as error:  # noqa: BLE001 -- as in `read_response`
        fold.add(undecodable(error, label.closed_ns or headers_ns))
