"""The fold of an attempt's events into flat columns and an outcome. Performs no I/O, reads no clock."""

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
    """The state of one attempt, built from its events: only what a record needs, in flat columns."""

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

    def add(self, event: Event) -> None:
        """Add an event; events are added in their order on the wire."""
        if isinstance(event, Text):
            self._add_text(event)
        else:
            self._add_other(event)

    def _add_other(
        self, event: ResponseStarted | EmptyChunk | Usage | Finished | StreamDone | Flagged | Failed | Ended
    ) -> None:
        match event:
            case ResponseStarted():
                # A later one only has the id that was missing in the head.
                self.response_started = (
                    replace(self.response_started, request_id=event.request_id) if self.response_started else event
                )
            case EmptyChunk():
                self.response_model = self.response_model or event.response_model
                self._note_data(event.at_ns)
            case Usage():
                self.usage = event
                self._note_data(event.at_ns)
            case Finished():
                self.finish_reason = event.reason
                self._note_data(event.at_ns)
            case StreamDone():
                self.saw_done = True
            case Flagged():
                self._notes.add(event.flag)
            case Failed():
                self.failed = self.failed or event
            case Ended():
                pass

    def _note_data(self, at_ns: int) -> None:
        """Note the timestamp of an event with data; the reply ends with the last one."""
        if self.last_event is None:
            self.first_event = self.last_event = at_ns
        elif at_ns > self.last_event:  # text that was held back as a possible tag keeps its earlier timestamp
            self.last_event = at_ns

    def _add_text(self, event: Text) -> None:
        """Add text. This is the most frequent event, so it is unpacked once, which is faster than field access."""
        at_ns, channel, text, origin_ns, model = event
        self._at_ns.append(at_ns)
        self._lengths.append(len(text))
        self._channels.write(channel)
        self._texts[channel].write(text)
        if origin_ns is not None:
            self._origin_ns.append(origin_ns)
        if self.response_model is None:
            self.response_model = model
        self._note_data(at_ns)

    @property
    def has_text(self) -> bool:
        """Whether any text has arrived, after which the request must not be sent again."""
        return bool(self._at_ns)

    @property
    def timestamps_ns(self) -> Sequence[int]:
        """The timestamps of all text events in ascending order, in `perf_counter_ns`."""
        return self._at_ns

    def text(self, channel: Channel) -> str | None:
        """Return the whole text of a channel; None if there is none."""
        return self._texts[channel].getvalue() or None

    @property
    def notes(self) -> tuple[str, ...]:
        """The flags of the attempt, sorted."""
        return tuple(sorted(self._notes))

    def text_events(self, sent_ns: int) -> TextEvents:
        """Return the text events in microseconds since the request was sent, at `sent_ns`."""
        complete = len(self._origin_ns) == len(self._at_ns)
        return TextEvents(
            at_us=tuple((at - sent_ns) // 1000 for at in self._at_ns),
            channels=self._channels.getvalue(),
            lengths=tuple(self._lengths),
            origin_us=tuple((at - sent_ns) // 1000 for at in self._origin_ns) if complete else (),
        )

    def outcome(self) -> Outcome:
        """Return how the attempt ended; it succeeded only if there was a finish_reason or [DONE]."""
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
