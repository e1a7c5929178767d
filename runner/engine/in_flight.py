"""A request under way, and the record that it becomes.

Timestamps come in as `perf_counter_ns` and leave relative to the run's start, so that a journal can be read anywhere.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from runner.core.events import Channel, Failed
from runner.core.fold import Fold
from runner.core.record import Record, Timestamps
from runner.engine.attempts import Vantage
from runner.planning.plan import Request
from runner.providers.redaction import Redactor
from runner.wire.read_loop import Attempt


@dataclass(slots=True)
class InFlightRequest:
    """A request under way: what its record will need beside what the last attempt heard."""

    request: Request
    ready_ns: int
    planned_ns: int | None
    slot_ns: int
    attempt: Attempt = field(default_factory=Attempt)
    body: Mapping[str, object] = field(default_factory=dict)
    """What the last attempt sent beside its messages."""
    attempts: int = 0
    backoff_ns: int = 0
    in_flight: int | None = None
    started_at: str | None = None
    flags: set[str] = field(default_factory=set)

    def record(self, epoch_ns: int, standpoint: Vantage, redactor: Redactor) -> Record:
        """Make the record of the last attempt, which was heard from there; no key that it may repeat is in it."""
        fold, body = self.attempt.fold, self.attempt.body
        hearing_epoch_ns = epoch_ns + standpoint.ahead_ns
        asked = Record(
            identity=self.request.identity(),
            timestamps=self._timestamps(epoch_ns, hearing_epoch_ns),
            outcome=fold.outcome(),
            reused=body.phases.reused,
            attempts=self.attempts,
            backoff_ns=self.backoff_ns,
            in_flight=self.in_flight,
            late_ns=standpoint.late_ns,
            clock=body.clock,
            started_at=self.started_at,
            node=standpoint.node,
            region=standpoint.region,
            warmup=self.request.warmup,
        )
        return with_heard(asked, fold, self.flags, redactor, sent_ns=body.sent_ns, epoch_ns=hearing_epoch_ns)

    def _timestamps(self, epoch_ns: int, hearing_epoch_ns: int) -> Timestamps:
        """Return all marks since the run's start: of before the request was sent by our clock, the others by its."""
        body, phases = self.attempt.body, self.attempt.body.phases

        def relative(at_ns: int | None) -> int | None:
            return None if at_ns is None else at_ns - hearing_epoch_ns

        return Timestamps(
            planned=None if self.planned_ns is None else self.planned_ns - epoch_ns,
            ready=self.ready_ns - epoch_ns,
            slot=self.slot_ns - epoch_ns,
            dns_start=relative(phases.dns_start),
            dns_end=relative(phases.dns_end),
            tcp_start=relative(phases.tcp_start),
            tcp_end=relative(phases.tcp_end),
            tls_end=relative(phases.tls_end),
            sent=relative(body.sent_ns),
            headers=relative(body.headers_ns),
        )


def with_heard(
    record: Record, fold: Fold, flags: Collection[str], redactor: Redactor, *, sent_ns: int | None, epoch_ns: int
) -> Record:
    """Return a record with all that an attempt heard, in place of what it held of that.

    Keys are hidden before anybody sees it; only in errors whatever looks like one, for no reply is falsified.

    Args:
        record: which request this is, and when it reached each stage before the first byte.
        fold: what was heard.
        flags: what is to be noted beside that.
        redactor: knows the keys.
        sent_ns: when the request was sent, by the clock of the fold's stamps.
        epoch_ns: when the run began, by the same clock.

    """
    failed, usage, opened = fold.failed, fold.usage, fold.response_started
    first, last = (None if at_ns is None else at_ns - epoch_ns for at_ns in (fold.first_event, fold.last_event))
    simulated = record.identity.simulated or (opened is not None and opened.simulated)

    def hide(text: str | None) -> str | None:
        return None if text is None else redactor.by_value(text)

    return replace(
        record,
        identity=record.identity
        if simulated == record.identity.simulated
        else replace(record.identity, simulated=True),
        timestamps=replace(record.timestamps, first_event=first, last_event=last),
        outcome=fold.outcome(),
        text_events=fold.text_events(sent_ns or epoch_ns),
        reply=hide(_reply(fold)),
        reasoning=hide(fold.text(Channel.REASONING)),
        tool_calls=hide(fold.text(Channel.TOOL)),
        response_model=hide(fold.response_model),
        finish_reason=hide(fold.finish_reason),
        error_type=failed.error_type if failed else None,
        error=redactor.in_errors(failed.message) if failed else None,
        error_code=hide(failed.code) if failed else None,
        http_status=failed.http_status if failed and failed.http_status else opened.status if opened else None,
        request_id=hide(opened.request_id) if opened else None,
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        usage=dict(usage.raw) if usage else None,
        received_us=_since(sent_ns, opened.received_ns if opened else None),
        noted=tuple(sorted({*fold.notes, *flags})),
    )


def _since(start_ns: int | None, at_ns: int | None) -> int | None:
    return None if start_ns is None or at_ns is None else (at_ns - start_ns) // 1000


def _reply(fold: Fold) -> str | None:
    """Return the answer; the empty string for a reply that came and said nothing, None for none."""
    answer = fold.text(Channel.ANSWER)
    came = fold.response_started is not None and fold.failed is None and fold.first_event is not None
    return "" if answer is None and came else answer


def describe_failure(failed: Failed, epoch_ns: int, redactor: Redactor) -> dict[str, object]:
    """Return what the journal says of an attempt that is made once more."""
    return {
        "at_ns": failed.at_ns - epoch_ns,
        "outcome": failed.outcome.value,
        "error_type": failed.error_type,
        "http_status": failed.http_status,
        "code": failed.code,
        "error": redactor.in_errors(failed.message),
    }
