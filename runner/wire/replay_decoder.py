"""A recorded attempt heard once more: the same bytes and stamps, by the definitions of today. Reads no clock."""

from runner.core.events import Flagged
from runner.core.fold import Fold
from runner.storage.recordings.recording import Label, Reads
from runner.wire.read_loop import opened
from runner.wire.response_body import Head
from runner.wire.response_decoder import ResponseDecoder


def hear_again(label: Label, reads: Reads) -> Fold:
    """Return what a recorded attempt tells."""
    fold = Fold()
    if label.status is not None and label.headers_ns is not None:
        _hear_reply(label, label.status, label.headers_ns, reads, fold)
    if label.failed is not None and label.closed_ns is None:
        fold.add(label.failed)
    return fold


def _hear_reply(label: Label, status: int, headers_ns: int, reads: Reads, fold: Fold) -> None:
    fold.add(opened(Head(status, label.headers), headers_ns))
    if "content-encoding" in label.headers:
        fold.add(Flagged(headers_ns, "compressed"))
    hearing = ResponseDecoder(status, label.headers)
    for at_ns, data in reads:
        for event in hearing.feed(at_ns, data):
            fold.add(event)
    if label.closed_ns is not None:
        for event in hearing.close(label.closed_ns, label.failed):
            fold.add(event)
