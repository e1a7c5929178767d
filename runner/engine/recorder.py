"""Each attempt's reads go into the run's recordings, less the keys in them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from runner.core.events import Channel, Failed
from runner.core.fold import Fold
from runner.engine.in_flight import InFlightRequest
from runner.providers.redaction import Redactor
from runner.storage.recordings.recording import (
    UNKEPT_HEADERS,
    Label,
    PackedReads,
    conversation_digest,
    encode_frame,
    pack_reads,
)
from runner.storage.recordings.writer import RecordingWriter
from runner.wire.recording_buffer import RecordingBuffer, hide_keys
from runner.wire.replay_decoder import hear_again


class Recorder:
    """Keeps what attempts hear. What it writes tells of a reply what the journal tells, or is withheld."""

    def __init__(self, writer: RecordingWriter, redactor: Redactor) -> None:
        self._writer = writer
        self._redactor = redactor

    def tape(self) -> RecordingBuffer:
        """Return what an attempt's reads are to be kept on."""
        return RecordingBuffer(self._redactor)

    def keep(self, asked: InFlightRequest, said: Sequence[tuple[str, str]], epoch_ns: int) -> None:
        """Write down what a request's last attempt heard, unless that has been done.

        Args:
            asked: the request; its attempt is over.
            said: the messages that were sent, pairs of role and text.
            epoch_ns: when the run began, by the clock of all stamps.

        """
        attempt = asked.attempt
        tape, attempt.tape = attempt.tape, None
        if tape is None:
            return
        label, reads = self._label(asked, said, epoch_ns), tape.wind_up()
        if tape.holds_key or _tells_key(attempt.fold, self._redactor):
            label, reads = self._cleaned(label, reads, attempt.fold)
        self._writer.append(encode_frame(label, reads))

    def _label(self, asked: InFlightRequest, said: Sequence[tuple[str, str]], epoch_ns: int) -> Label:
        attempt, target, hide = asked.attempt, asked.request.target, self._redactor.by_value
        body = attempt.body
        head = body.head if attempt.fold.response_started is not None else None
        failed = attempt.fold.failed if attempt.closed_ns is None else attempt.cut
        return Label(
            key=asked.request.key,
            attempt=asked.attempts,
            provider=target.provider,
            model=hide(target.model),
            conversation=conversation_digest(target.model, said),
            epoch_ns=epoch_ns,
            sent_ns=body.sent_ns,
            status=head.status if head else None,
            headers={n: hide(value) for n, value in head.headers.items() if n not in UNKEPT_HEADERS} if head else {},
            headers_ns=body.headers_ns if head else None,
            closed_ns=attempt.closed_ns,
            failed=None if failed is None else self._hidden(failed),
            flags=tuple(sorted(asked.flags)),
            warmup=asked.request.warmup,
        )

    def _hidden(self, failed: Failed) -> Failed:
        hide = self._redactor.by_value
        code = None if failed.code is None else hide(failed.code)
        return replace(failed, message=self._redactor.in_errors(failed.message), code=code)

    def _cleaned(self, label: Label, reads: PackedReads, fold: Fold) -> tuple[Label, PackedReads]:
        """Take the keys out; where the rest would tell something else, or a key all the same, keep no reads."""
        clean = hide_keys(reads, self._redactor)
        again = hear_again(label, clean)
        if _tells_key(again, self._redactor) or _gist(again, Redactor()) != _gist(fold, self._redactor):
            return replace(label, withheld=True), pack_reads(())
        return label, pack_reads(clean)


def _tells_key(fold: Fold, redactor: Redactor) -> bool:
    """Tell whether any text in a fold holds a key, put together from however many events."""
    return any(redactor.by_value(text) != text for text in _texts(fold))


def _texts(fold: Fold) -> Iterator[str]:
    failed = fold.failed
    texts = (
        *(fold.text(channel) for channel in Channel),
        *(fold.response_model, fold.finish_reason),
        *((failed.message, failed.code) if failed else ()),
        fold.response_started.request_id if fold.response_started else None,
        json.dumps(fold.usage.raw, ensure_ascii=False) if fold.usage else None,
    )
    return (text for text in texts if text)


def _gist(fold: Fold, redactor: Redactor) -> tuple[object, ...]:
    """Return how an attempt ended and what was said in it, in how many pieces."""
    said = [redactor.by_value(fold.text(channel) or "") for channel in Channel]
    return (fold.outcome(), fold.text_count, said)
