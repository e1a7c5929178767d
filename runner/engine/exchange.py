"""One request becomes one record: attempts are made, waited between, and written down.

Timestamps come in as `perf_counter_ns` and leave relative to the run's start, so that a journal can be read anywhere.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from random import Random
from time import perf_counter_ns

import anyio

from runner.core.events import Event, Failed, Outcome, Text
from runner.core.record import Record
from runner.engine.attempts import AttemptRunner
from runner.engine.in_flight import InFlightRequest, describe_failure
from runner.engine.lane import Lane, LimitChange, Permit
from runner.engine.lane_queue import LaneQueue
from runner.engine.lane_queues import LaneQueues
from runner.engine.observer import Observer
from runner.engine.recorder import Recorder
from runner.engine.request_template import RequestTemplates
from runner.engine.retry import RetryPolicy
from runner.planning.plan import Request
from runner.providers.redaction import Redactor
from runner.storage.journal import JournalWriter
from runner.wire.client import ChatRequestBody
from runner.wire.read_loop import Attempt
from runner.wire.time_slices import TimeSlices

OVERLOADED = "overloaded"
"""The `error_type` of a provider that could not keep up; like a 429, it asks for less."""


@dataclass(slots=True)
class RequestExchange:
    """What all requests to one provider share."""

    asker: AttemptRunner
    forms: RequestTemplates
    doors: LaneQueues
    journal: JournalWriter
    observer: Observer
    redactor: Redactor
    airtime: TimeSlices
    epoch_ns: int
    salt: str
    recorder: Recorder | None = None
    """Keeps the bytes of every attempt, if the run wants that."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    chance: Random = field(default_factory=Random)

    async def warm_up(self, connections: int) -> None:
        """Open connections before anything is measured; each is a line of the journal."""
        provider = self.doors.provider
        opened = await self.asker.warm_up(connections)
        for phases in opened:
            marks = {name: at - self.epoch_ns for name, at in asdict(phases).items() if type(at) is int}
            self.journal.append({"kind": "connection", "provider": provider, "marks": marks})
        self.observer.connected(provider, len(opened))

    async def hold(
        self, request: Request, ready_ns: int, *, planned_ns: int | None = None, ticket: Permit | None = None
    ) -> Record:
        """Ask a request, again where that is worth it; return its record, which is in the journal by then.

        A cancellation leaves a record of what had been heard, then goes on.

        Args:
            request: what to ask.
            ready_ns: when the lane could have taken it.
            planned_ns: when an open loop wanted it sent.
            ticket: leave to send it at once; without one it waits for its lane.

        """
        door = self.doors.of(request.target.model)
        ticket = ticket or await door.enter(request)
        asked = InFlightRequest(request, ready_ns, planned_ns, slot_ns=ticket.at_ns, in_flight=ticket.in_flight)
        self.observer.started(request)
        try:
            await self._attempt_until_settled(asked, door, ticket)
        except anyio.get_cancelled_exc_class():
            if not asked.attempt.fold.saw_done:
                asked.attempt.fold.add(Failed(perf_counter_ns(), Outcome.CANCELLED, "the run was interrupted"))
            self._write(asked)
            raise
        with anyio.CancelScope(shield=True):  # a reply that is whole is written, though the run may end meanwhile
            async with self.airtime:
                record = self._write(asked)
        return record

    def _write(self, asked: InFlightRequest) -> Record:
        self._keep_recording(asked)
        record = asked.record(self.epoch_ns, self.asker.standpoint(asked.attempt), self.redactor)
        self.write(record)
        return record

    def write(self, record: Record) -> None:
        """Append a record to the journal, then tell the observer."""
        self.journal.append_record(record)
        self.observer.finished(record)

    async def _attempt_until_settled(self, asked: InFlightRequest, door: LaneQueue, ticket: Permit) -> None:
        while True:
            wait_s = await self._attempt(asked, door, ticket)
            if wait_s is None:
                return
            waited_from = perf_counter_ns()
            await anyio.sleep(wait_s)
            ticket = await door.enter(asked.request)
            asked.backoff_ns += perf_counter_ns() - waited_from

    async def _attempt(self, asked: InFlightRequest, door: LaneQueue, ticket: Permit) -> float | None:
        """Ask once; return the seconds to wait before the next attempt, None if this one was the last."""
        try:
            await self._ask_once(asked)
            wait_s = self._wait_before_next(asked)
            self._tell_lane(asked, door.lane, ticket, wait_s)
        finally:
            usage = asked.attempt.fold.usage
            door.lane.leave(
                ticket,
                input_tokens=usage.input_tokens if usage else None,
                output_tokens=usage.output_tokens if usage else None,
            )
            door.ring()
        return wait_s

    def _wait_before_next(self, asked: InFlightRequest) -> float | None:
        failed = asked.attempt.fold.failed
        if failed is None or asked.attempt.fold.has_text:
            return None
        if self.forms.learn_refusal(asked.request.target, asked.body, failed):
            wait_s: float | None = 0.0
        else:
            wait_s = self.retry.wait_s(failed, asked.attempts, self.chance)
        if wait_s is not None:
            self._write_attempt(asked, failed, wait_s)
        return wait_s

    def _tell_lane(self, asked: InFlightRequest, lane: Lane, ticket: Permit, retry_s: float | None) -> None:
        """Let the lane draw its conclusions from how an attempt ended."""
        failed, now_ns = asked.attempt.fold.failed, perf_counter_ns()
        if failed is None:
            self.note_limit(lane, lane.succeeded(ticket, now_ns))
            return
        if failed.outcome is not Outcome.RATE_LIMITED and failed.error_type != OVERLOADED:
            return
        why = self.redactor.in_errors(failed.message)
        wait_s = self.retry.pause_s(failed, retry_s)
        self.note_limit(lane, lane.refused(ticket, now_ns, wait_s=wait_s, why=why))
        if wait_s:
            self.observer.paused(lane.name, wait_s, why)

    def note_limit(self, lane: Lane, change: LimitChange | None) -> None:
        """Write down that a lane's limit is another now, if it is."""
        if change is None:
            return
        place = {"provider": lane.provider} | ({} if lane.model is None else {"model": lane.model})
        moved = {"at_ns": change.at_ns - self.epoch_ns, "from": change.before, "to": change.after, "why": change.why}
        self.journal.append({"kind": "limit", **place, **moved})
        self.observer.limited(lane.name, change.after, change.why)

    async def _ask_once(self, asked: InFlightRequest) -> None:
        form = self.forms.of(asked.request.target)
        asked.flags |= form.flags
        asked.body = form.body
        asked.attempts += 1
        asked.attempt = Attempt(tape=self.recorder.tape() if self.recorder else None)
        asked.started_at = asked.started_at or datetime.now(UTC).isoformat(timespec="milliseconds")
        messages = [{"role": m.role, "content": m.content} for m in asked.request.messages(self.salt)]
        question = ChatRequestBody(form.target.model, messages, form.body, form.timeouts)

        def watch(event: Event) -> None:
            if isinstance(event, Text):
                event = event._replace(text=self.redactor.by_value(event.text))
            self.observer.heard(asked.request, event)

        watching = watch if self.observer.watches_text else None
        await self.asker.ask(question, asked.attempt, watching, vantage=asked.request.vantage)

    def _keep_recording(self, asked: InFlightRequest) -> None:
        if self.recorder is not None:
            said = [(message.role, message.content) for message in asked.request.messages(self.salt)]
            self.recorder.keep(asked, said, self.epoch_ns)

    def _write_attempt(self, asked: InFlightRequest, failed: Failed, wait_s: float) -> None:
        self._keep_recording(asked)
        epoch_ns = self.epoch_ns + self.asker.standpoint(asked.attempt).ahead_ns
        self.journal.append(
            {
                "kind": "attempt",
                "key": asked.request.key,
                "target": asked.request.target.name,
                "attempt": asked.attempts,
                **describe_failure(failed, epoch_ns, self.redactor),
                "wait_s": wait_s,
            }
        )
