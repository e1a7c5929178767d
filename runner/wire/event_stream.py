"""The body of a streamed reply: reads -> frames -> events, until [DONE] or a failure."""

import re

from runner.core.events import Event, Flagged, StreamDone
from runner.wire.chunk import read_plain_chunk
from runner.wire.error_body import shorten
from runner.wire.failure import fail
from runner.wire.json_value import read_json
from runner.wire.reply import ReplyDecoder
from runner.wire.sse import FRAME_LIMIT, Frame, FrameReader, is_done

FIELD = re.compile(rb"(?:^|[\r\n])(?:data|event|id|retry|error)?:")
"""How a line of an event stream begins; a colon alone begins a comment."""

PREFIX_SIZE = 1024
"""Bytes kept from the beginning, to say what a body was that is no event stream."""


class EventStream:
    """Hears one body. Whatever its bytes are, it raises nothing and keeps little of them."""

    def __init__(self, reply: ReplyDecoder, limit: int = FRAME_LIMIT) -> None:
        self._reply = reply
        self._reader = FrameReader(limit)
        self._prefix = b""
        self._had_frames = False

    def feed(self, at_ns: int, data: bytes) -> list[Event]:
        """Take one read; return what it told."""
        if self._reply.over:
            return []
        if self._reply.settled and (lone := self._reader.lone_object(data)) is not None:
            plain = read_plain_chunk(lone, at_ns)
            return self._hear_frame(Frame(at_ns, lone)) if plain is None else [plain]
        if len(self._prefix) < PREFIX_SIZE:
            self._prefix += data[: PREFIX_SIZE - len(self._prefix)]
        events = self._hear(self._reader.feed(data, at_ns))
        if self._reader.overflowed and not self._reply.over:
            events += self._reply.end(fail("too_long", "an event without end", at_ns, status=self._reply.status))
        return events

    def close(self, at_ns: int, *, was_cut: bool) -> list[Event]:
        """Return what could not be told before it was clear that nothing more would come."""
        if self._reply.over:
            return []
        events = self._hear(self._reader.close())
        if not (self._had_frames or was_cut or FIELD.search(self._prefix)):
            text = f"text instead of a reply: {shorten(self._prefix.decode(errors='replace'))}"
            return self._reply.end(fail("not_a_reply", text, at_ns, status=self._reply.status))
        return events + self._reply.flush()

    def _hear(self, frames: list[Frame]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            if self._reply.over:
                break
            self._had_frames = True
            events += self._hear_frame(frame)
        return events

    def _hear_frame(self, frame: Frame) -> list[Event]:
        if is_done(frame.data):
            return self._reply.end(StreamDone(frame.at_ns))
        try:
            value, replaced = read_json(frame.data)
        except ValueError:
            return self._hear_text(frame)
        if frame.event == b"error":
            return self._reply.hear_error(value, frame.at_ns)
        events = self._reply.hear(value, frame.at_ns)
        if replaced:
            events.append(Flagged(frame.at_ns, "invalid_utf8"))
        return events

    def _hear_text(self, frame: Frame) -> list[Event]:
        """Hear data that is not JSON: an error in plain words, JSON cut short, some gateway's greeting."""
        text = shorten(frame.data.decode(errors="replace"))
        if frame.event == b"error":
            return self._reply.hear_error(text, frame.at_ns)
        if text.startswith(("{", "[")):
            failed = fail("broken_json", f"broken JSON: {text}", frame.at_ns, status=self._reply.status)
            return self._reply.end(failed)
        return [Flagged(frame.at_ns, "skipped_data")]
