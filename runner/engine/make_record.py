"""A request in flight, and its conversion to a record.

Timestamps in this module are `perf_counter_ns`; those in the record are relative to the start of the run.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runner.core.attachment_parts import Attachment
from runner.core.events import TIMED, Channel, Failed
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.core.record_from_events import Fold
from runner.core.suite import DEFAULT_API, Api
from runner.core.tool_call import ToolCall
from runner.engine.attempt_runners import Provenance
from runner.planning.request import Request
from runner.providers.redaction import Redactor
from runner.wire.attempt import Attempt


@dataclass(slots=True)
class InFlightRequest:
    """A request in flight: its last attempt, and what else its record needs."""

    request: Request
    ready_ns: int
    planned_ns: int | None
    slot_ns: int
    lane_in_flight: int | None = None
    """Number of the lane's requests in flight when this one was sent."""
    attempt: Attempt = field(default_factory=Attempt)
    body: Mapping[str, object] = field(default_factory=dict)
    """Fields that the last attempt sent besides its messages."""
    api: Api = DEFAULT_API
    attempts: int = 0
    backoff_ns: int = 0
    started_at: str | None = None
    flags: set[str] = field(default_factory=set)
    texts: Mapping[Attachment, str] = field(default_factory=dict)
    """Contents of the attached text files."""

    def record(self, epoch_ns: int, provenance: Provenance, redactor: Redactor) -> Record:
        """Return the record of the last attempt, without any key that the provider may have repeated.

        Args:
            epoch_ns: the start of the run, by this process's clock.
            provenance: where the attempt was measured.
            redactor: hides keys.

        """
        fold, body = self.attempt.fold, self.attempt.body
        remote_epoch_ns = epoch_ns + provenance.clock_ahead_ns
        identity, moments = self.request.identity(), _response_moments(fold, remote_epoch_ns)
        response = _response_fields(fold, self.flags, redactor, sent_ns=body.sent_ns, epoch_ns=remote_epoch_ns)
        # Not `with_response`: making a record twice takes 0.1 ms of the core that measures.
        return Record(
            _of_response(identity, fold),
            self._timestamps(epoch_ns, remote_epoch_ns, moments),
            reused=body.phases.reused,
            attempts=self.attempts,
            backoff_ns=self.backoff_ns,
            in_flight=self.lane_in_flight,
            late_ns=provenance.late_ns,
            clock=body.clock,
            started_at=self.started_at,
            node=provenance.node,
            region=provenance.region,
            warmup=self.request.warmup,
            api=self.api,
            earlier_calls=self.request.earlier_calls,
            **response,
        )

    def unanswered_calls(self) -> set[str]:
        """Return the flag for tool calls that end the turn although the suite has tool results, as a set."""
        fold, request = self.attempt.fold, self.request
        calls = fold.calls.values
        if not calls or fold.outcome() not in TIMED:
            return set()
        flag = request.case.steps.unanswered_flag(request.turn, calls)
        return set() if flag is None else {flag}

    def _timestamps(self, epoch_ns: int, remote_epoch_ns: int, moments: Mapping[str, int | None]) -> Timestamps:
        """Return all timestamps relative to the start of the run, by their own clock.

        Those before the connection is used are of this process's clock, the others of the measuring process's clock.
        """
        body, phases = self.attempt.body, self.attempt.body.phases
        stages = {
            "dns_start": phases.dns_start,
            "dns_end": phases.dns_end,
            "tcp_start": phases.tcp_start,
            "tcp_end": phases.tcp_end,
            "tls_end": phases.tls_end,
            "write_start": body.write_start_ns,
            "sent": body.sent_ns,
            "sent_by": body.sent_by_ns,
            "headers": body.headers_ns,
        }
        return Timestamps(
            planned=None if self.planned_ns is None else self.planned_ns - epoch_ns,
            ready=self.ready_ns - epoch_ns,
            slot=self.slot_ns - epoch_ns,
            **_relative_to(remote_epoch_ns, stages),
            **moments,
        )


def with_response(
    record: Record, fold: Fold, flags: Collection[str], redactor: Redactor, *, sent_ns: int | None, epoch_ns: int
) -> Record:
    """Return a record whose response fields are replaced by those of an attempt.

    Known keys are hidden everywhere; text that only looks like a key is hidden only in errors, so that no reply is
    altered.

    Args:
        record: the request's identity, and when it reached each stage before the first byte of the response.
        fold: what the attempt received.
        flags: further flags of the row.
        redactor: hides keys.
        sent_ns: when the request was sent, by the clock of the fold's timestamps.
        epoch_ns: the start of the run, by the same clock.

    """
    return replace(
        record,
        identity=_of_response(record.identity, fold),
        timestamps=replace(record.timestamps, **_response_moments(fold, epoch_ns)),
        **_response_fields(fold, flags, redactor, sent_ns=sent_ns, epoch_ns=epoch_ns),
    )


def _of_response(identity: Identity, fold: Fold) -> Identity:
    """Return an identity that says whether a simulator answered."""
    is_news = fold.response_started is not None and fold.response_started.simulated and not identity.simulated
    return replace(identity, simulated=True) if is_news else identity


def _response_moments(fold: Fold, epoch_ns: int) -> dict[str, int | None]:
    """Return the timestamps that a response's events give."""
    moments = {"first_event": fold.first_event, "last_event": fold.last_event, "first_call": fold.first_call_ns}
    return _relative_to(epoch_ns, moments)


def _relative_to(epoch_ns: int, moments: Mapping[str, int | None]) -> dict[str, int | None]:
    return {name: None if at_ns is None else at_ns - epoch_ns for name, at_ns in moments.items()}


def _response_fields(
    fold: Fold, flags: Collection[str], redactor: Redactor, *, sent_ns: int | None, epoch_ns: int
) -> dict[str, Any]:
    """Return the other fields of a record that depend on what an attempt received; arguments as for `with_response`."""
    failed, usage, started, answered = fold.failed, fold.usage, fold.response_started, fold.answered_by

    def hide(text: str | None) -> str | None:
        return None if text is None else redactor.by_value(text)

    return {
        "outcome": fold.outcome(),
        "text_events": fold.text_events(sent_ns or epoch_ns),
        "reply": hide(_answer(fold)),
        "reasoning": hide(fold.text(Channel.REASONING)),
        "tool_calls": hide(fold.text(Channel.TOOL)),
        "response_model": hide(fold.response_model),
        "served_by": hide(answered.served_by),
        "system_fingerprint": hide(answered.system_fingerprint),
        "service_tier": hide(answered.service_tier),
        "finish_reason": hide(fold.finish_reason),
        "error_type": failed.error_type if failed else None,
        "error": redactor.in_errors(failed.message) if failed else None,
        "error_code": redactor.in_header_text(failed.code) if failed and failed.code is not None else None,
        "http_status": failed.http_status if failed and failed.http_status else started.status if started else None,
        "request_id": redactor.in_header_text(started.request_id)
        if started and started.request_id is not None
        else None,
        "rate_limits": redactor.in_headers(started.rate_limits) if started and started.rate_limits else None,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
        "cached_tokens": usage.cached_tokens if usage else None,
        "usage": redactor.in_json(usage.raw) if usage else None,
        "signed_thinking": [redactor.in_values(block) for block in fold.signed_thinking] or None,
        "received_us": _microseconds_between(sent_ns, started.received_ns if started else None),
        "noted": tuple(sorted({*fold.notes, *flags})),
        "calls": tuple(_without_keys(call, redactor) for call in fold.calls.values),
    }


def _without_keys(call: ToolCall, redactor: Redactor) -> ToolCall:
    own_id = None if call.id is None else redactor.by_value(call.id)
    return ToolCall(redactor.by_value(call.name), redactor.by_value(call.arguments), own_id)


def _microseconds_between(start_ns: int | None, at_ns: int | None) -> int | None:
    return None if start_ns is None or at_ns is None else (at_ns - start_ns) // 1000


def _answer(fold: Fold) -> str | None:
    """Return the text of the answer: empty if the response had none, None if there was no response."""
    answer = fold.text(Channel.ANSWER)
    has_response = fold.response_started is not None and fold.failed is None and fold.first_event is not None
    return "" if answer is None and has_response else answer


def describe_failure(failed: Failed, epoch_ns: int, redactor: Redactor) -> dict[str, object]:
    """Return the members of a journal line for an attempt that failed and is retried."""
    return {
        "at_ns": failed.at_ns - epoch_ns,
        "outcome": failed.outcome.value,
        "error_type": failed.error_type,
        "http_status": failed.http_status,
        "code": None if failed.code is None else redactor.in_header_text(failed.code),
        "error": redactor.in_errors(failed.message),
    }
