"""Decode the recording of a response: the events are those that were decoded when it was received."""

from runner.core.events import Flagged
from runner.core.record_from_events import Fold
from runner.storage.recordings.recording import Label, Reads
from runner.wire.connection_failure import undecodable
from runner.wire.decompression import find_codings
from runner.wire.dialects import DIALECTS
from runner.wire.response_body import ResponseHead
from runner.wire.response_decoder import ResponseDecoder, response_started


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
    except Exception as error:  # noqa: BLE001 -- as when it was received
        fold.add(undecodable(error, label.closed_ns or headers_ns))
