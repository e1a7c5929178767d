"""The fold: events become flat columns, and a verdict on how the attempt ended. Performs no I/O, reads no clock."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

from runner.core.events import (
    Channel,
    EmptyChunk,
    Ended,
    Event,
    Failed,
    Finished,
    Flagged,
    Outcome,
    ResponseStarted,
    StreamDone,
    Text,
    Usage,
)
from runner.core.record import TextEvents

LENGTH_REASONS = frozenset({"length", "max_tokens", "MAX_TOKENS", "model_context_window_exceeded"})
FILTER_REASONS = frozenset(
    {"content_filter", "content_filtered", "sensitive", "safety", "SAFETY", "RECITATION", "refusal"}
)
ERROR_REASONS = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})


class Fold:
    """Listens to one attempt's events and remembers only what a record needs, in flat columns."""

    def __init__(self) -> None:
        self._at_ns = array("q")
        self._origin_ns = array("q")
        self._lengths = array("q")
        self._channels = StringIO()
        self._texts = {channel: StringIO() for channel in Channel}
        self._notes: set[str] = set()
        self.first_event: int | None = None
        self.last_event: int | None = None
        self.response_started: ResponseStarted | None = None
        self.usage: Usage | None = None
        self.failed: Failed | None = None
        self.finish_reason: str | None = None
        self.response_model: str | None = None
        self.saw_done = False
        self.ended_at: int | None = None

    def add(self, event: Event) -> None:
        """Take one event in; the order of calls is the order on the wire."""
        if isinstance(event, Text):
            self._add_text(event)
        else:
            self._add_other(event)

    def _add_other(
        self, event: ResponseStarted | EmptyChunk | Usage | Finished | StreamDone | Flagged | Failed | Ended
    ) -> None:
        match event:
            case ResponseStarted():
                # A later one only brings the id that the head did not give.
                self.response_started = (
                    replace(self.response_started, request_id=event.request_id) if self.response_started else event
                )
            case EmptyChunk():
                self.response_model = self.response_model or event.response_model
                self._mark(event.at_ns)
            case Usage():
                self.usage = event
                self._mark(event.at_ns)
            case Finished():
                self.finish_reason = event.reason
                self._mark(event.at_ns)
            case StreamDone():
                self.saw_done = True
            case Flagged():
                self._notes.add(event.flag)
            case Failed():
                self.failed = self.failed or event
            case Ended():
                self.ended_at = event.at_ns

    def _mark(self, at_ns: int) -> None:
        """Note the stamp of an event that carried data; the last one is where the reply ended."""
        if self.last_event is None:
            self.first_event = self.last_event = at_ns
        elif at_ns > self.last_event:  # text held back, because it might have been part of a tag, has its old stamp
            self.last_event = at_ns

    def _add_text(self, event: Text) -> None:
        """Take text in: the hot one of all events, unpacked once instead of looked into field by field."""
        at_ns, channel, text, origin_ns, model = event
        self._at_ns.append(at_ns)
        self._lengths.append(len(text))
        self._channels.write(channel)
        self._texts[channel].write(text)
        if origin_ns is not None:
            self._origin_ns.append(origin_ns)
        if self.response_model is None:
            self.response_model = model
        self._mark(at_ns)

    @property
    def has_text(self) -> bool:
        """Whether any text was heard: from then on nothing may be sent again."""
        return bool(self._at_ns)

    @property
    def text_count(self) -> int:
        """Text events so far."""
        return len(self._at_ns)

    @property
    def timestamps_ns(self) -> Sequence[int]:
        """The stamps of all text events, ascending."""
        return self._at_ns

    def text(self, channel: Channel) -> str | None:
        """All that was heard on a channel; None if it stayed silent."""
        return self._texts[channel].getvalue() or None

    @property
    def notes(self) -> tuple[str, ...]:
        """Flags the wire raised."""
        return tuple(sorted(self._notes))

    def text_events(self, sent_ns: int) -> TextEvents:
        """Return the text events relative to the moment the request was sent."""
        complete = len(self._origin_ns) == len(self._at_ns)
        return TextEvents(
            at_us=tuple((at - sent_ns) // 1000 for at in self._at_ns),
            channels=self._channels.getvalue(),
            lengths=tuple(self._lengths),
            origin_us=tuple((at - sent_ns) // 1000 for at in self._origin_ns) if complete else (),
        )

    def outcome(self) -> Outcome:
        """Judge how the attempt ended; a stream proves its success by a finish_reason or [DONE]."""
        if self.failed is not None:
            return self.failed.outcome
        reason = self.finish_reason
        if reason in ERROR_REASONS:
            return Outcome.PROVIDER_ERROR
        if reason in FILTER_REASONS:
            return Outcome.FILTERED
        if reason in LENGTH_REASONS:
            return Outcome.LENGTH
        if reason is None and not (self.saw_done and self.first_event is not None):
            return Outcome.TRUNCATED
        return Outcome.OK
