"""Requests to one provider, each of which becomes a record: permits, attempts, retries and journal lines.

Timestamps in this module are `perf_counter_ns`; those in the journal are relative to the start of the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from random import Random
from time import perf_counter_ns

import anyio
from anyio import to_thread

from runner.core.attachment_parts import Attachment, attachments_of
from runner.core.events import AnswerWasReasoning, CallPiece, Channel, Event, Failed, Outcome, Text
from runner.core.media_types import TEXT
from runner.core.record import Record
from runner.core.suite import Message
from runner.engine.attempt_runners import AttemptRunner
from runner.engine.byte_recorder import ByteRecorder
from runner.engine.input_probes_and_cache_warming import InputProbes, PrefixWarmer
from runner.engine.make_record import InFlightRequest, describe_failure
from runner.engine.permit_queue import LaneQueue, LaneQueues
from runner.engine.provider_lane import Lane, LimitChange, Permit
from runner.engine.request_template_and_refused_fields import RequestTemplates
from runner.engine.retry import RetryPolicy, with_requested_wait
from runner.engine.run_observers import Observer
from runner.planning.request import Request
from runner.providers.body_fields import BodyBuilder
from runner.providers.part_fields import FilledAttachment
from runner.providers.redaction import Redactor, StreamRedactor
from runner.providers.request_body import BUILDERS
from runner.storage.attachment_files import AttachmentFiles
from runner.storage.journal.writer import RecordLog
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.decoders.answered_by_fields import check_route
from runner.wire.event_loop_time_slices import TimeSlices

OVERLOADED = "overloaded"
"""The `error_type` of a provider that cannot keep up; like a 429, it lowers the concurrency limit."""


@dataclass(slots=True)
class SendContext:
    """The objects and settings that all senders of a run share."""

    journal: RecordLog
    """Log to which records are written."""
    observer: Observer
    redactor: Redactor
    """Hides keys in providers' error messages."""
    salt: str
    """Differs between runs, and so keeps the nonces of `cache: bust` from repeating."""
    epoch_ns: int = field(default_factory=perf_counter_ns)
    """The start of the run, in `perf_counter_ns`; earlier than this process for a resumed run."""
    probes: InputProbes = field(default_factory=InputProbes)
    """Measured characters per token of the targets, for texts that are cut to a number of tokens."""
    recorder: ByteRecorder | None = None
    """Stores the bytes of every attempt; None if the run is not recorded."""
    time_slices: TimeSlices = field(default_factory=TimeSlices)
    files: AttachmentFiles = field(default_factory=AttachmentFiles)
    """Reads attached files."""


@dataclass(slots=True)
class RequestSender:
    """Sends the requests to one provider."""

    runner: AttemptRunner
    templates: RequestTemplates
    queues: LaneQueues
    context: SendContext
    warmer: PrefixWarmer = field(default_factory=PrefixWarmer)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    random: Random = field(default_factory=Random)

    async def warm_up(self, connections: int) -> None:
        """Open connections before anything is measured; each becomes a line of the journal."""
        provider = self.queues.provider
        opened = await self.runner.warm_up(connections)
        for phases in opened:
            marks = {name: at - self.context.epoch_ns for name, at in asdict(phases).items() if type(at) is int}
            self.context.journal.append({"kind": "connection", "provider": provider, "marks": marks})
        self.context.observer.connected(provider, len(opened))

    async def send(
        self, request: Request, ready_ns: int, *, planned_ns: int | None = None, permit: Permit | None = None
    ) -> Record:
        """Send a request, with retries; return its record, which has been written to the journal.

        A cancellation is re-raised after the record of what had been received is written.

        Args:
            request: the request to send.
            ready_ns: the earliest time at which the lane could have sent it, in `perf_counter_ns`.
            planned_ns: the time for which an open loop scheduled it, in `perf_counter_ns`.
            permit: permission to send it at once; without one it waits in its lane's queue.

        """
        queue = self.queues.for_model(request.target.model)
        permit = permit or await queue.acquire(request)
        in_flight = InFlightRequest(request, ready_ns, planned_ns, permit.at_ns, permit.in_flight)
        self.context.observer.started(request)
        try:
            await self._attempt_until_settled(in_flight, queue, permit)
        except anyio.get_cancelled_exc_class():
            if not in_flight.attempt.fold.saw_done:
                in_flight.attempt.fold.add(Failed(perf_counter_ns(), Outcome.CANCELLED, "the run was interrupted"))
            self._write_record(in_flight)
            raise
        with anyio.CancelScope(shield=True):  # a complete reply is written even if the run is interrupted meanwhile
            async with self.context.time_slices:
                record = self._write_record(in_flight)
        return record

    def _write_record(self, in_flight: InFlightRequest) -> Record:
        self._write_recording(in_flight)
        provenance = self.runner.provenance_of(in_flight.attempt)
        record = in_flight.record(self.context.epoch_ns, provenance, self.context.redactor)
        self.write(record)
        return record

    def write(self, record: Record) -> None:
        """Append a record to the journal, then notify the observer."""
        self.context.journal.append_record(record)
        self.context.observer.finished(record)

    async def _attempt_until_settled(self, in_flight: InFlightRequest, queue: LaneQueue, permit: Permit) -> None:
        while True:
            wait_s = await self._attempt(in_flight, queue, permit)
            if wait_s is None:
                return
            waiting_since_ns = perf_counter_ns()
            await anyio.sleep(wait_s)
            permit = await queue.acquire(in_flight.request)
            in_flight.backoff_ns += perf_counter_ns() - waiting_since_ns

    async def _attempt(self, in_flight: InFlightRequest, queue: LaneQueue, permit: Permit) -> float | None:
        """Make one attempt; return the seconds to wait before the next one, None if this was the last."""
        try:
            await self._send_once(in_flight)
            wait_s = self._wait_before_next(in_flight)
            self._adjust_lane(in_flight, queue.lane, permit, wait_s)
        finally:
            usage = in_flight.attempt.fold.usage
            queue.lane.release(
                permit,
                input_tokens=usage.input_tokens if usage else None,
                output_tokens=usage.output_tokens if usage else None,
            )
            if queue.lane.is_full:
                queue.wake_waiter()
            else:
                queue.wake()
        return wait_s

    def _wait_before_next(self, in_flight: InFlightRequest) -> float | None:
        failed = in_flight.attempt.fold.failed
        if failed is None or in_flight.attempt.fold.has_text:
            return None
        if (failed.retry_after_s or 0.0) > self.retry.longest_wait_s:
            failed = in_flight.attempt.fold.failed = with_requested_wait(failed)
        if self.templates.learn_refusal(in_flight.request, in_flight.body, failed):
            wait_s: float | None = 0.0
        else:
            wait_s = self.retry.wait_s(failed, in_flight.attempts, self.random)
        if wait_s is not None:
            self._write_attempt(in_flight, failed, wait_s)
        return wait_s

    def _adjust_lane(self, in_flight: InFlightRequest, lane: Lane, permit: Permit, retry_s: float | None) -> None:
        """Raise or lower a lane's limit, or close the lane, depending on how an attempt ended."""
        failed, now_ns = in_flight.attempt.fold.failed, perf_counter_ns()
        if failed is None:
            self.note_limit(lane, lane.note_success(permit, now_ns))
            return
        if failed.outcome is not Outcome.RATE_LIMITED and failed.error_type != OVERLOADED:
            return
        why = self.context.redactor.in_errors(failed.message)
        wait_s = self.retry.pause_s(failed, retry_s)
        self.note_limit(lane, lane.note_refusal(permit, now_ns, wait_s=wait_s, why=why))
        if wait_s:
            self.context.observer.lane_paused(lane.name, wait_s, why)

    def note_limit(self, lane: Lane, change: LimitChange | None) -> None:
        """Write a change of a lane's limit to the journal and notify the observer, if there is one."""
        if change is None:
            return
        at_ns = change.at_ns - self.context.epoch_ns
        moved = {"at_ns": at_ns, "from": change.before, "to": change.after, "why": change.why}
        self.context.journal.append({"kind": "limit", **_name_lane(lane), **moved})
        self.context.observer.limit_changed(lane.name, change.after, change.why)

    def note_opening(self, lane: Lane) -> None:
        """Write the opening of a lane's level to the journal, once it is known when the last place opens."""
        opening = lane.take_opening()
        if opening is not None:
            times = {"at_ns": opening.at_ns - self.context.epoch_ns, "open_ns": opening.open_ns - self.context.epoch_ns}
            measured = {"measured": opening.measured} if opening.measured else {}
            self.context.journal.append(
                {"kind": "level", **_name_lane(lane), "concurrency": opening.width, **times, **measured}
            )

    async def _send_once(self, in_flight: InFlightRequest) -> None:
        request, template = in_flight.request, self.templates.for_request(in_flight.request)
        in_flight.flags |= template.flags
        if self.context.probes.is_estimated(request):
            in_flight.flags.add("estimated_input")
        in_flight.body, in_flight.api = template.body, template.api
        if in_flight.attempts:
            in_flight.attempt = Attempt()
        in_flight.attempts += 1
        in_flight.attempt.recording = self.context.recorder.new_buffer() if self.context.recorder else None
        in_flight.started_at = in_flight.started_at or datetime.now(UTC).isoformat(timespec="milliseconds")
        messages = await self._load_messages(in_flight, BUILDERS[template.api])
        completion = AttemptRequest(
            template.model,
            messages,
            template.body,
            template.timeouts,
            template.target.parameters.reply_limit,
            template.api,
        )

        observer = self.context.observer
        watch = _RedactedWatch(observer, request, self.context.redactor) if observer.watches_text else None
        await self.runner.run(completion, in_flight.attempt, watch, vantage=request.vantage)
        if watch is not None:
            watch.flush()
        in_flight.flags |= check_route(in_flight.attempt.fold, template.vendors, perf_counter_ns())
        in_flight.flags |= in_flight.unanswered_calls()

    def _messages_of(self, request: Request) -> tuple[Message, ...]:
        return request.messages(self.context.salt, self.context.probes.of(request))

    async def _load_messages(self, in_flight: InFlightRequest, builder: BodyBuilder) -> list[Mapping[str, object]]:
        """Return a request's messages as its dialect's builder takes them, with the content of attached files."""
        messages = self._messages_of(in_flight.request)
        loaded = {}
        for attachment in dict.fromkeys(each for message in messages for each in attachments_of(message.parts)):
            data = self.context.files.kept(attachment)
            # Read in a thread: reading and hashing a large file takes longer than a time slice.
            loaded[attachment] = await to_thread.run_sync(self.context.files.read, attachment) if data is None else data
        in_flight.texts = {each: data for each, data in loaded.items() if each.media_type == TEXT}
        return self._as_mappings(messages, loaded, builder)

    def _sent_texts(self, in_flight: InFlightRequest, builder: BodyBuilder) -> Sequence[tuple[str, str]]:
        """Return the roles and texts of the messages as the server reads them, without reading files again."""
        messages = self._messages_of(in_flight.request)
        attachments = (each for message in messages for each in attachments_of(message.parts))
        marks = {each: in_flight.texts.get(each, each.digest or "") for each in attachments}
        return builder.read_back(self._as_mappings(messages, marks, builder))

    def _as_mappings(
        self, messages: Sequence[Message], data: Mapping[Attachment, str], builder: BodyBuilder
    ) -> list[Mapping[str, object]]:
        """Return messages as a builder takes them; `data` is what is sent of each attachment."""
        field = self.templates.row.reasoning_with_calls
        gives_back = builder.gives_back_thinking
        return [_as_mapping(each, data, gives_back_thinking=gives_back, reasoning_field=field) for each in messages]

    def _write_recording(self, in_flight: InFlightRequest) -> None:
        if self.context.recorder is not None:
            builder = BUILDERS[in_flight.api]
            self.context.recorder.write(in_flight, self._sent_texts(in_flight, builder), self.context.epoch_ns)

    def _write_attempt(self, in_flight: InFlightRequest, failed: Failed, wait_s: float) -> None:
        self._write_recording(in_flight)
        epoch_ns = self.context.epoch_ns + self.runner.provenance_of(in_flight.attempt).clock_ahead_ns
        self.context.journal.append(
            {
                "kind": "attempt",
                "key": in_flight.request.key,
                "target": in_flight.request.target.name,
                "attempt": in_flight.attempts,
                **describe_failure(failed, epoch_ns, self.context.redactor),
                "wait_s": wait_s,
            }
        )


def _name_lane(lane: Lane) -> dict[str, str]:
    return {"provider": lane.provider} | ({} if lane.model is None else {"model": lane.model})


def _as_mapping(
    message: Message, data: Mapping[Attachment, str], *, gives_back_thinking: bool, reasoning_field: str | None
) -> Mapping[str, object]:
    """Return a message as a builder takes it: its role and text, and what else it has."""
    plain: dict[str, object] = {"role": message.role, "content": message.content}
    if message.parts:
        plain["parts"] = [
            part if isinstance(part, str) else FilledAttachment(part, data[part]) for part in message.parts
        ]
    if gives_back_thinking and message.signed_thinking:
        plain["signed_thinking"] = message.signed_thinking
    if reasoning_field is not None and message.calls and message.reasoning:
        plain[reasoning_field] = message.reasoning
    if message.calls:
        plain["calls"] = message.calls
    return plain if message.call_id is None else {**plain, "call_id": message.call_id}


class _RedactedWatch:
    """Passes an attempt's events to an observer without keys, even those that several pieces of text share."""

    def __init__(self, observer: Observer, request: Request, redactor: Redactor) -> None:
        self._observer = observer
        self._request = request
        self._redactor = redactor
        self._streams: dict[Channel, StreamRedactor] = {}
        self._last: dict[Channel, Text | CallPiece] = {}
        self._call_begins = False
        """Whether the next piece of a tool call that is shown is the first of its call."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Text):
            self._pass_piece(event, event.channel, event.text)
        elif isinstance(event, CallPiece):
            self._call_begins = self._call_begins or bool(event.name)
            self._pass_piece(event, Channel.TOOL, event.name + event.arguments)
        else:
            if isinstance(event, AnswerWasReasoning):
                self.flush()
            self._observer.received(self._request, event)

    def _pass_piece(self, piece: Text | CallPiece, channel: Channel, text: str) -> None:
        stream = self._streams.setdefault(channel, self._redactor.stream())
        self._last[channel] = piece
        self._show(piece, stream.feed(text))

    def _show(self, piece: Text | CallPiece, text: str) -> None:
        """Pass a piece on with a redacted text; the first text of a tool call is passed as its name."""
        if not text:
            return
        if isinstance(piece, CallPiece):
            name, arguments = (text, "") if self._call_begins else ("", text)
            piece, self._call_begins = piece._replace(name=name, arguments=arguments), False
        else:
            piece = piece._replace(text=text)
        self._observer.received(self._request, piece)

    def flush(self) -> None:
        """Pass on the text that was held back as the possible beginning of a key."""
        for channel, stream in self._streams.items():
            self._show(self._last[channel], stream.flush())
