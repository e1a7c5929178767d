"""The byte recorder: writes the bytes that each attempt received to the run's recordings, with keys removed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from runner.core.events import Channel, Failed
from runner.core.record_from_events import Fold
from runner.engine.make_record import InFlightRequest
from runner.providers.redaction import Redactor
from runner.storage.recordings.recording_format import (
    UNKEPT_HEADERS,
    Label,
    PackedReads,
    conversation_digest,
    encode_frame,
    pack_reads,
)
from runner.storage.recordings.writer import RecordingWriter
from runner.wire.decoders.answered_by_fields import without_addresses
from runner.wire.read_loop import BODY_FLAGS
from runner.wire.response_recording import RecordingBuffer, decode_recording, hide_keys


class ByteRecorder:
    """Records attempts. The bytes of an attempt are withheld if they would not yield the reply in the journal."""

    def __init__(self, writer: RecordingWriter, redactor: Redactor) -> None:
        self._writer = writer
        self._redactor = redactor

    def new_buffer(self) -> RecordingBuffer:
        """Return a buffer for the reads of one attempt."""
        return RecordingBuffer(self._redactor)

    def write(self, in_flight: InFlightRequest, messages: Sequence[tuple[str, str]], epoch_ns: int) -> None:
        """Write a request's last attempt, unless it has been written.

        Args:
            in_flight: the request; its attempt is over.
            messages: the messages that were sent, pairs of role and text.
            epoch_ns: the start of the run, by the clock of all timestamps.

        """
        attempt = in_flight.attempt
        buffer, attempt.recording = attempt.recording, None
        if buffer is None:
            return
        label, reads = self._label(in_flight, messages, epoch_ns), buffer.finish()
        if attempt.fold.failed is not None and self._redactor.has_short:
            label, reads = self._without_keys(label, reads, attempt.fold, self._redactor.with_short())
        elif buffer.holds_key or _holds_key(attempt.fold, self._redactor):
            label, reads = self._without_keys(label, reads, attempt.fold, self._redactor)
        self._writer.append_bytes(encode_frame(label, reads))

    def _label(self, in_flight: InFlightRequest, messages: Sequence[tuple[str, str]], epoch_ns: int) -> Label:
        attempt, target, hide = in_flight.attempt, in_flight.request.target, self._redactor.by_value
        body = attempt.body
        head = body.head if attempt.fold.response_started is not None else None
        headers = without_addresses(head.headers) if head else {}
        failed = attempt.fold.failed if attempt.closed_ns is None else attempt.ended_by
        return Label(
            key=in_flight.request.key,
            attempt=in_flight.attempts,
            provider=target.provider,
            model=hide(target.model),
            conversation=conversation_digest(target.full_name.model_and_variant, messages),
            epoch_ns=epoch_ns,
            sent_ns=body.sent_ns,
            status=head.status if head else None,
            headers=self._redactor.in_headers({n: v for n, v in headers.items() if n not in UNKEPT_HEADERS}),
            headers_ns=body.headers_ns if head else None,
            closed_ns=attempt.closed_ns,
            failed=None if failed is None else self._redacted(failed),
            flags=tuple(sorted(in_flight.flags)),
            body_flags=tuple(flag for flag in attempt.fold.notes if flag in BODY_FLAGS),
            warmup=in_flight.request.warmup,
            variant=target.variant,
            api=in_flight.api,
        )

    def _redacted(self, failed: Failed) -> Failed:
        code = None if failed.code is None else self._redactor.in_header_text(failed.code)
        return replace(failed, message=self._redactor.in_errors(failed.message), code=code)

    @staticmethod
    def _without_keys(label: Label, reads: PackedReads, fold: Fold, redactor: Redactor) -> tuple[Label, PackedReads]:
        """Return a label and reads without keys; no reads if those would yield another reply or still hold a key."""
        clean = hide_keys(reads, redactor)
        replayed = decode_recording(label, clean)
        if _holds_key(replayed, redactor) or _comparable(replayed, Redactor()) != _comparable(fold, redactor):
            return replace(label, withheld=True), pack_reads(())
        return label, pack_reads(clean)


def _holds_key(fold: Fold, redactor: Redactor) -> bool:
    """Return whether any text in a fold holds a key, even one that several events share."""
    return any(redactor.by_value(text) != text for text in _provider_texts(fold))


def _provider_texts(fold: Fold) -> Iterator[str]:
    failed, answered = fold.failed, fold.answered_by
    texts = (
        *(fold.text(channel) for channel in Channel),
        *(fold.response_model, fold.finish_reason),
        *(answered.served_by, answered.system_fingerprint, answered.service_tier),
        *((failed.message, failed.code) if failed else ()),
        fold.response_started.request_id if fold.response_started else None,
        json.dumps(fold.usage.raw, ensure_ascii=False) if fold.usage else None,
        *(text for call in fold.calls.values for text in (call.name, call.arguments, call.id)),
        *(text for block in fold.signed_thinking for text in block.values()),
    )
    return (text for text in texts if text)


def _comparable(fold: Fold, redactor: Redactor) -> tuple[object, ...]:
    """Return an attempt's outcome, number of pieces, texts and tool-call ids, for a comparison."""
    texts = [redactor.by_value(fold.text(channel) or "") for channel in Channel]
    ids = [redactor.by_value(call.id or "") for call in fold.calls.values]
    return (fold.outcome(), len(fold.timestamps_ns), texts, ids)
