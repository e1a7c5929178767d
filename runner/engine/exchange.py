"""One request becomes one record: attempts are made, waited between, and written down.

Marks come in as `perf_counter_ns` and leave relative to the run's start, so that a journal can be read anywhere.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from time import perf_counter_ns

import anyio

from runner.engine.lane import Lane
from runner.engine.lateness import LateSpans
from runner.engine.observer import Observer
from runner.engine.retry import RetryPolicy
from runner.events import Channel, Event, Failed, Outcome, Text
from runner.fold import Fold
from runner.journal import Writer
from runner.plan import Request, Target
from runner.providers.body import request_body, retirement
from runner.providers.redaction import Redactor
from runner.providers.row import Row
from runner.record import Marks, Record
from runner.wire.airtime import Airtime
from runner.wire.client import Client, Question
from runner.wire.listening import Attempt
from runner.wire.transport import CLOCK

REFUSABLE = ("stream_options", "max_completion_tokens", "max_tokens")
"""Fields of a body that some endpoints refuse by name, and can do without."""

RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


@dataclass(slots=True)
class Exchange:
    """What all requests to one provider share."""

    client: Client
    row: Row
    lane: Lane
    journal: Writer
    observer: Observer
    redactor: Redactor
    airtime: Airtime
    late: LateSpans
    epoch_ns: int
    salt: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    chance: Random = field(default_factory=Random)
    _unwanted: dict[str, set[str]] = field(default_factory=dict)
    """Target -> body fields it has refused, remembered so that they are refused only once."""

    async def warm_up(self, connections: int) -> None:
        """Open connections before anything is measured; each is a line of the journal."""
        opened = await self.client.warm_up(connections)
        for phases in opened:
            marks = {name: at - self.epoch_ns for name, at in asdict(phases).items() if type(at) is int}
            self.journal.append({"kind": "connection", "provider": self.lane.provider, "marks": marks})
        self.observer.connected(self.lane.provider, len(opened))

    async def hold(self, request: Request, ready_ns: int) -> Record:
        """Ask a request, again where that is worth it; return its record, which is in the journal by then.

        A cancellation leaves a record of what had been heard, then goes on.
        """
        await self.lane.wait_out_pause()
        asked = _Asked(request, ready_ns=ready_ns, slot_ns=perf_counter_ns())
        self.lane.in_flight += 1
        asked.in_flight = self.lane.in_flight
        self.observer.started(request)
        try:
            await self._attempt_until_settled(asked)
        except anyio.get_cancelled_exc_class():
            if not asked.attempt.fold.saw_done:
                asked.attempt.fold.add(Failed(perf_counter_ns(), Outcome.CANCELLED, "the run was interrupted"))
            self._write(asked)
            raise
        finally:
            self.lane.in_flight -= 1
        with anyio.CancelScope(shield=True):  # a reply that is whole is written, though the run may end meanwhile
            async with self.airtime:
                record = self._write(asked)
        return record

    def _write(self, asked: "_Asked") -> Record:
        record = without_keys(asked.record(self.epoch_ns, self.late), self.redactor)
        self.write(record)
        return record

    def write(self, record: Record) -> None:
        """Append a record to the journal, then tell the observer."""
        self.journal.append_record(record)
        self.observer.finished(record)

    async def _attempt_until_settled(self, asked: "_Asked") -> None:
        while True:
            await self._ask_once(asked)
            failed = asked.attempt.fold.failed
            if failed is None or asked.attempt.fold.has_text:
                return
            wait_s = self._wait_before_next(asked, failed)
            if wait_s is None:
                return
            self._write_attempt(asked, failed, wait_s)
            waited_from = perf_counter_ns()
            await anyio.sleep(wait_s)
            await self.lane.wait_out_pause()
            asked.backoff_ns += perf_counter_ns() - waited_from

    def _wait_before_next(self, asked: "_Asked", failed: Failed) -> float | None:
        if self._learn_refusal(asked, failed):
            return 0.0
        wait_s = self.retry.wait_s(failed, asked.attempts, self.chance)
        if wait_s is not None and failed.outcome is Outcome.RATE_LIMITED:
            self.lane.pause(wait_s)
            self.observer.paused(self.lane.provider, wait_s, self.redactor.in_errors(failed.message))
        return wait_s

    def _learn_refusal(self, asked: "_Asked", failed: Failed) -> bool:
        """Note a body field that the endpoint names as unwanted; True if another body would now be sent."""
        if failed.outcome is not Outcome.BAD_REQUEST:
            return False
        # Only what was sent can have been refused: some texts name the field that they would rather have.
        named = next((name for name in REFUSABLE if name in asked.body and name in failed.message), None)
        if named is None:
            return False
        target = asked.request.target
        self._unwanted.setdefault(target.name, set()).add(named)
        return self._body(target)[0] != asked.body

    def _body(self, target: Target) -> tuple[dict[str, object], tuple[str, ...]]:
        body, notes = request_body(self.row, target.model, target.parameters)
        unwanted = self._unwanted.get(target.name, set())
        for name in unwanted & body.keys():
            renamed = RENAMED.get(name)
            if renamed in unwanted:
                continue  # neither name was to blame, but the value
            value = body.pop(name)
            if renamed is not None:
                body[renamed] = value
        return body, notes

    async def _ask_once(self, asked: "_Asked") -> None:
        target = asked.request.target
        body, notes = self._body(target)
        if notes:
            asked.flags.add("adjusted")
        if retirement(self.row, target.model):
            asked.flags.add("retired_model")
        asked.body = body
        asked.attempts += 1
        asked.attempt = Attempt()
        asked.started_at = asked.started_at or datetime.now(UTC).isoformat(timespec="milliseconds")
        timeouts = target.parameters.timeouts
        if not target.parameters.stream:
            # The first text of an unstreamed answer is all of it.
            timeouts = replace(timeouts, first_token=timeouts.total)
        messages = [{"role": m.role, "content": m.content} for m in asked.request.messages(self.salt)]
        question = Question(target.model, messages, body, timeouts)

        def watch(event: Event) -> None:
            if isinstance(event, Text):
                event = event._replace(text=self.redactor.by_value(event.text))
            self.observer.heard(asked.request, event)

        await self.client.ask(question, asked.attempt, watch if self.observer.watches_text else None)

    def _write_attempt(self, asked: "_Asked", failed: Failed, wait_s: float) -> None:
        self.journal.append(
            {
                "kind": "attempt",
                "key": asked.request.key,
                "target": asked.request.target.name,
                "attempt": asked.attempts,
                "at_ns": failed.at_ns - self.epoch_ns,
                "outcome": failed.outcome.value,
                "error_type": failed.error_type,
                "http_status": failed.http_status,
                "code": failed.code,
                "error": self.redactor.in_errors(failed.message),
                "wait_s": wait_s,
            }
        )


@dataclass(slots=True)
class _Asked:
    """A request under way: what its record will need beside what the last attempt heard."""

    request: Request
    ready_ns: int
    slot_ns: int
    attempt: Attempt = field(default_factory=Attempt)
    body: Mapping[str, object] = field(default_factory=dict)
    """What the last attempt sent beside its messages."""
    attempts: int = 0
    backoff_ns: int = 0
    in_flight: int | None = None
    started_at: str | None = None
    flags: set[str] = field(default_factory=set)

    def record(self, epoch_ns: int, late: LateSpans) -> Record:
        """Make the record of the last attempt."""
        fold, body = self.attempt.fold, self.attempt.body
        failed, usage, opened = fold.failed, fold.usage, fold.opened
        return Record(
            identity=self.request.identity(),
            marks=self._marks(epoch_ns),
            outcome=fold.outcome(),
            heard=fold.heard(body.sent_ns or epoch_ns),
            reply=_reply(fold),
            reasoning=fold.text(Channel.REASONING),
            tool_calls=fold.text(Channel.TOOL),
            response_model=fold.response_model,
            finish_reason=fold.finish_reason,
            error_type=failed.error_type if failed else None,
            error=failed.message if failed else None,
            error_code=failed.code if failed else None,
            http_status=failed.http_status if failed and failed.http_status else opened.status if opened else None,
            request_id=opened.request_id if opened else None,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            reasoning_tokens=usage.reasoning_tokens if usage else None,
            cached_tokens=usage.cached_tokens if usage else None,
            usage=dict(usage.raw) if usage else None,
            reused=body.phases.reused,
            attempts=self.attempts,
            backoff_ns=self.backoff_ns,
            in_flight=self.in_flight,
            received_us=_since(body.sent_ns, opened.received_ns if opened else None),
            late_ns=late.worst_ns(fold.stamps_ns) if fold.has_text else None,
            clock=CLOCK,
            noted=tuple(sorted({*fold.notes, *self.flags})),
            started_at=self.started_at,
            warmup=self.request.warmup,
        )

    def _marks(self, epoch_ns: int) -> Marks:
        fold, body, phases = self.attempt.fold, self.attempt.body, self.attempt.body.phases

        def relative(at_ns: int | None) -> int | None:
            return None if at_ns is None else at_ns - epoch_ns

        return Marks(
            ready=relative(self.ready_ns),
            slot=relative(self.slot_ns),
            dns_start=relative(phases.dns_start),
            dns_end=relative(phases.dns_end),
            tcp_start=relative(phases.tcp_start),
            tcp_end=relative(phases.tcp_end),
            tls_end=relative(phases.tls_end),
            sent=relative(body.sent_ns),
            headers=relative(body.headers_ns),
            first_event=relative(fold.first_event),
            last_event=relative(fold.last_event),
        )


def _since(start_ns: int | None, at_ns: int | None) -> int | None:
    return None if start_ns is None or at_ns is None else (at_ns - start_ns) // 1000


def _reply(fold: Fold) -> str | None:
    """Return the answer; the empty string for a reply that came and said nothing, None for none."""
    answer = fold.text(Channel.ANSWER)
    came = fold.opened is not None and fold.failed is None and fold.first_event is not None
    return "" if answer is None and came else answer


def without_keys(record: Record, redactor: Redactor) -> Record:
    """Hide keys before anybody sees a record; only in errors whatever looks like one, for no reply is falsified."""

    def hide(text: str | None) -> str | None:
        return None if text is None else redactor.by_value(text)

    return replace(
        record,
        reply=hide(record.reply),
        reasoning=hide(record.reasoning),
        tool_calls=hide(record.tool_calls),
        response_model=hide(record.response_model),
        finish_reason=hide(record.finish_reason),
        error_code=hide(record.error_code),
        request_id=hide(record.request_id),
        error=None if record.error is None else redactor.in_errors(record.error),
    )
