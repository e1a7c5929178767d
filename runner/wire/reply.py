"""One reply's JSON values, in order -> events, with what has to be remembered between them."""

from collections.abc import Mapping

from runner.core.events import (
    Channel,
    EmptyChunk,
    Event,
    Failed,
    Finished,
    Flagged,
    ResponseStarted,
    StreamDone,
    Text,
    Usage,
)
from runner.core.fold import ERROR_REASONS
from runner.wire.chunk import read_chunk
from runner.wire.error_body import find_error
from runner.wire.failure import fail, read_error, request_id_in
from runner.wire.think_tags import ThinkTags


class ReplyDecoder:
    """Hears one reply until it is over."""

    def __init__(self, status: int, *, needs_id: bool) -> None:
        self.status = status
        self.over = False
        """[DONE] or a failure was heard: what still comes is ignored."""
        self.proven = False
        """A finish_reason or [DONE] was heard: the reply is whole, whatever becomes of the connection."""
        self.failed = False
        self._needs_id = needs_id
        self._tags = ThinkTags()

    @property
    def settled(self) -> bool:
        """Nothing is waited for that only the first chunks can bring: a tag, the request's id."""
        return self._tags.settled and not self._needs_id

    def hear(self, value: object, at_ns: int) -> list[Event]:
        """Return what one JSON value tells."""
        error = find_error(value)
        if not isinstance(value, dict):
            return [Flagged(at_ns, "skipped_data")] if error is None else self.hear_error(error, at_ns)
        events = self._hear_chunk(value, at_ns) if error is None or value.get("choices") else []
        if error is not None:
            return events + self.hear_error(error, at_ns)
        reason = _error_reason(events) if self.proven else None
        if reason is None:
            return events
        words = f"the reply ended with finish_reason {reason}"
        return events + self.end(fail("server", words, at_ns, status=self.status, code=reason))

    def hear_error(self, error: object, at_ns: int) -> list[Event]:
        """Return the failure that a value is known to report."""
        return [*self.name_request(error, at_ns), *self.end(read_error(error, at_ns=at_ns, status=self.status))]

    def name_request(self, value: object, at_ns: int) -> list[Event]:
        """Return the request's id where a value is the first to give one."""
        found = request_id_in(value) if self._needs_id else None
        self._needs_id = self._needs_id and found is None
        return [] if found is None else [ResponseStarted(at_ns, self.status, found)]

    def end(self, last: StreamDone | Failed) -> list[Event]:
        """Return the last event of the reply, behind what was still held back."""
        self.over = True
        self.failed = isinstance(last, Failed)
        self.proven = self.proven or not self.failed
        return [*self.flush(), last]

    def flush(self) -> list[Event]:
        """Return the text that was held back because it might have been part of a tag."""
        return [*self._tags.flush()]

    def _hear_chunk(self, chunk: Mapping[str, object], at_ns: int) -> list[Event]:
        events = read_chunk(chunk, at_ns)
        if not self._tags.settled:
            events = self._sort(events, at_ns)
        events += self.name_request(chunk, at_ns)
        self.proven = self.proven or any(isinstance(event, Finished) for event in events)
        return events

    def _sort(self, events: list[Event], at_ns: int) -> list[Event]:
        """Tell reasoning in think tags from the answer; whatever else comes ends the wait for a tag."""
        heard: list[Event] = []
        for event in events:
            if isinstance(event, Text) and event.channel is Channel.ANSWER:
                heard += self._tags.hear(event)
                continue
            if isinstance(event, Text | Finished):
                heard += self._tags.flush()
            heard.append(event)
        if not any(isinstance(event, Text | EmptyChunk | Usage | Finished) for event in heard):
            heard.append(EmptyChunk(at_ns))
        return heard


def _error_reason(events: list[Event]) -> str | None:
    """Return the finish_reason by which a provider says that it failed."""
    reasons = (event.reason for event in events if isinstance(event, Finished))
    return next((reason for reason in reasons if reason in ERROR_REASONS), None)
