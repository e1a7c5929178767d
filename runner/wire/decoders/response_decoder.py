"""The response decoder: turns the reads of one response into events, whatever its body is.

The body itself shows whether it is an event stream, a JSON document, a web page or an error. Content types are not
reliable: servers stream as text/plain, and send web pages and JSON errors with status 200 as text/event-stream.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from runner.core.events import AnsweredBy, Ended, Event, Failed, Finished, Flagged, ResponseStarted, StreamDone, Text
from runner.core.failure_kinds import failure
from runner.core.suite import MAX_REPLY_LIMIT
from runner.wire.decoders.answered_by_fields import (
    answered_by,
    has_own_id,
    request_id_in,
)
from runner.wire.decoders.chat_completions import ChatCompletionsDecoder
from runner.wire.decoders.dialect_decoder import DialectDecoder
from runner.wire.decoders.error_body import READ_LIMIT, find_json, is_markup, one_line, page_title
from runner.wire.decoders.lenient_json import read_json, read_json_halves, write_json
from runner.wire.decoders.provider_failures import classify_error, classify_response
from runner.wire.decoders.sse import BYTE_ORDER_MARK, Frame, FrameReader, is_done, is_whole

PREFIXES = re.compile(rb"(?:[ \t\r\n]|\xef\xbb\xbf)*")
DOCUMENT_STARTS = (b"{", b"[", b"<")

ERROR_BODY_LIMIT = 64 * 1024
"""Maximum number of bytes kept of an error's body, whose message comes first."""

FIELD = re.compile(rb"(?:^|[\r\n])(?:[ \t]*[Dd][Aa][Tt][Aa][ \t]*|event|id|retry|error)?:")
"""Matches the beginning of a line of an event stream; a colon alone begins a comment."""

PREFIX_SIZE = 1024
"""Number of bytes kept from the beginning of a stream, to quote them if it turns out not to be one."""

MAX_TOGETHER = 128
"""Maximum number of reads decoded together; if one of them is not plain, some are decoded again."""


class ResponseDecoder:
    """Decodes one response. Never raises, whatever the bytes, and keeps at most `limit` of them."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        *,
        dialect: Callable[[int], DialectDecoder] = ChatCompletionsDecoder,
        now: datetime | None = None,
        limit: int = MAX_REPLY_LIMIT,
    ) -> None:
        self._status = status
        self._headers = headers
        self._now = now
        self._limit = limit
        self._reply = _ReplyDecoder(status, dialect(status), needs_id=not has_own_id(headers))
        self._stream: _StreamDecoder | None = None
        self._body = bytearray()
        self._error_body = bytearray()
        self._is_document = False
        """Whether the body is known not to be a stream."""
        self._last_ns: int | None = None

    @property
    def over(self) -> bool:
        """Whether [DONE] or a failure was decoded, or enough of an error: the rest of the body is ignored."""
        return self._reply.over or len(self._error_body) >= ERROR_BODY_LIMIT

    def feed_plain(self, reads: Sequence[tuple[int, bytes]]) -> list[Text]:
        """Return the texts of the first reads, up to one that holds anything but one piece of text.

        Nearly all reads hold just that. `feed` returns the same for them, one by one, in several times the time.
        """
        return [] if self._stream is None else self._stream.feed_plain(reads)

    def feed(self, at_ns: int, data: bytes) -> list[Event]:
        """Return the events of one read, which arrived at `at_ns`."""
        if self._stream is not None:
            return self._stream.feed(at_ns, data)
        if not data or self.over:
            return []
        self._last_ns = at_ns
        if not self._is_success:
            self._error_body += data[: ERROR_BODY_LIMIT - len(self._error_body)]
            return []
        self._body += data
        if self._is_document:
            return self._limit_document(at_ns)
        self._drop_blanks()
        self._is_document = self._body.startswith(DOCUMENT_STARTS)
        if self._is_stream():
            self._stream = _StreamDecoder(self._reply, self._limit)
            body, self._body = bytes(self._body), bytearray()
            return self._stream.feed(at_ns, body)
        return self._limit_document(at_ns)

    def _limit_document(self, at_ns: int) -> list[Event]:
        if len(self._body) <= self._limit:
            return []
        self._body.clear()
        return self._reply.fail("too_long", "a body without end", at_ns)

    def close(self, at_ns: int, ended_by: Failed | None = None) -> list[Event]:
        """Return the events of the body's end; `ended_by` is the failure that ended it early.

        A connection that breaks after a finish_reason or [DONE] does not change the outcome.
        """
        events = self._close_body(at_ns, ended_by)
        if self._reply.failed:
            return events
        if ended_by is None:
            return [*events, Ended(at_ns)]
        if not self._reply.proven:
            return [*events, ended_by]
        return events if self.over else [*events, Flagged(at_ns, "cut_after_finish")]

    @property
    def _is_success(self) -> bool:
        return 200 <= self._status < 300

    def _close_body(self, at_ns: int, ended_by: Failed | None) -> list[Event]:
        if self._reply.over:
            return []
        if self._stream is not None:
            return self._stream.close(at_ns, was_cut=ended_by is not None)
        body, body_ns = bytes(self._body or self._error_body), self._last_ns or at_ns
        if not self._is_success:
            failed = classify_response(self._status, self._headers, body, at_ns=body_ns, now=self._now)
            return [*self._reply.identify(find_json(body), body_ns), *self._reply.end(failed)]
        if ended_by is not None and not (body.startswith(b"<") or is_whole(body)):
            return []
        return _decode_document(body, body_ns, self._reply)

    def _drop_blanks(self) -> None:
        """Drop what may precede a body: a byte order mark, and blank lines that keep a connection alive."""
        prefix = PREFIXES.match(self._body)
        if prefix is not None:
            del self._body[: prefix.end()]

    def _is_stream(self) -> bool:
        undecided = BYTE_ORDER_MARK.startswith(self._body)  # also while the body is empty
        return not undecided and not self._body.startswith(DOCUMENT_STARTS)


class _ReplyDecoder:
    """Passes the JSON values of one reply to the decoder of its dialect, and tracks the reply's progress."""

    def __init__(self, status: int, dialect: DialectDecoder, *, needs_id: bool) -> None:
        self.status = status
        self.dialect = dialect
        self.over = False
        """Whether [DONE] or a failure was decoded: everything after it is ignored."""
        self.proven = False
        """Whether a finish_reason or [DONE] was decoded: the reply is complete, whatever happens to the connection."""
        self.failed = False
        self.settled = False
        """Whether the dialect's `decode_plain` may be used; the request's id must be known by then."""
        self._needs_id = needs_id
        self._answered_by = AnsweredBy(0)
        """Latest names of who answered."""
        self._began = False
        """Whether a value of the dialect has been decoded."""
        self._foreign: object = None
        """First value that is not the dialect's."""

    def decode(self, value: object, at_ns: int, halves: object = None) -> list[Event]:
        """Return the events of one JSON value; `halves` is the same value with lone surrogates kept in its texts."""
        if isinstance(value, list) and value and all(map(self.dialect.holds_reply, value)):
            each = halves if isinstance(halves, list) else [None] * len(value)  # chunks that a relay has bundled
            return [event for chunk, half in zip(value, each, strict=True) for event in self.decode(chunk, at_ns, half)]
        error = self.dialect.find_error(value)
        self._note_value(value)
        if error is None and self.dialect.is_ping(value):
            return []
        if not isinstance(value, dict):
            return [Flagged(at_ns, "skipped_data")] if error is None else self.decode_error(error, at_ns)
        if error is not None and not self.dialect.holds_reply(value):
            return self.decode_error(error, at_ns)
        events = self.dialect.decode(halves if isinstance(halves, dict) else value, at_ns)
        last = events[-1] if events else None
        if isinstance(last, StreamDone | Failed):
            events.pop()
        events += self.identify(value, at_ns)
        self.proven = self.proven or any(isinstance(event, Finished) for event in events)
        self.settled = self.dialect.settled and not self._needs_id
        if error is not None:
            return events + self.decode_error(error, at_ns)
        return events + self.end(last) if isinstance(last, StreamDone | Failed) else events

    def decode_plain(self, frame: Frame) -> Text | None:
        """Return the text of a frame of plain text; None for any other frame, and before `settled`."""
        if not self.settled or frame.event == b"error":
            return None
        return next(iter(self.dialect.decode_plain([frame.data], [frame.at_ns])), None)

    def decode_common(self, data: bytes, at_ns: int) -> list[Event] | None:
        """Return the events of a JSON object of one of the dialect's common kinds; None for any other."""
        events = None if self._needs_id else self.dialect.decode_common(data, at_ns)
        if events is None:
            return None
        self._began = True
        self.proven = self.proven or Finished in map(type, events)
        self.settled = self.dialect.settled
        last = events[-1]
        return [*events[:-1], *self._new_names(last)] if isinstance(last, AnsweredBy) else events

    def _note_value(self, value: object) -> None:
        """Record whether a value belongs to the dialect; if none does, the stream is not a reply in this dialect."""
        foreign = self.dialect.is_foreign(value)
        self._began = self._began or not foreign
        self._foreign = value if foreign and self._foreign is None else self._foreign

    def fail_if_foreign(self, at_ns: int) -> list[Event]:
        """Return the failure of a body that has ended with something else than a reply in it; otherwise nothing."""
        if self._began or self._foreign is None:
            return []
        text = f"no {self.dialect.reply_name}: {one_line(write_json(self._foreign))}"
        return self.fail("not_a_reply", text, at_ns)

    def decode_error(self, error: object, at_ns: int) -> list[Event]:
        """Return the events of a JSON value that is known to report an error."""
        return [*self.identify(error, at_ns), *self.end(classify_error(error, at_ns=at_ns, status=self.status))]

    def identify(self, value: object, at_ns: int) -> list[Event]:
        """Return events for the request's id, if a value is the first with one, and for new names of who answered."""
        found = request_id_in(value) if self._needs_id else None
        self._needs_id = self._needs_id and found is None
        events: list[Event] = [] if found is None else [ResponseStarted(at_ns, self.status, found)]
        named = answered_by(value, at_ns)
        return events if named is None else [*events, *self._new_names(named)]

    def _new_names(self, named: AnsweredBy) -> list[Event]:
        """Return who answered if any of the names is new, otherwise nothing."""
        so_far = self._answered_by
        self._answered_by = AnsweredBy(
            0,
            named.served_by or so_far.served_by,
            named.system_fingerprint or so_far.system_fingerprint,
            named.service_tier or so_far.service_tier,
        )
        return [] if self._answered_by == so_far else [named]

    def fail(self, cause: str, message: str, at_ns: int) -> list[Event]:
        """Return the last events of a reply that failed with a known cause."""
        return self.end(failure(cause, message, at_ns, status=self.status))

    def end(self, last: StreamDone | Failed) -> list[Event]:
        """Return the text that was held back, then the last event of the reply."""
        self.over = True
        self.failed = isinstance(last, Failed)
        self.proven = self.proven or not self.failed
        return [*self.dialect.flush(), last]


class _StreamDecoder:
    """Decodes the body of a streamed response: reads become frames, frames become events, until [DONE] or a failure."""

    def __init__(self, reply: _ReplyDecoder, limit: int) -> None:
        self._reply = reply
        self._reader = FrameReader(limit)
        self._prefix = b""
        self._had_frames = False
        self._batch_size = 1
        """Number of reads decoded together; it grows each time that all of them were plain."""

    def feed(self, at_ns: int, data: bytes) -> list[Event]:
        """Return the events of one read."""
        reply = self._reply
        if reply.over:
            return []
        if (lone := self._reader.lone_object(data)) is not None:
            self._had_frames = True
            return self._decode_frame(Frame(at_ns, lone))
        if not self._had_frames and len(self._prefix) < PREFIX_SIZE:
            self._prefix += data[: PREFIX_SIZE - len(self._prefix)]
        events = self._decode_frames(self._reader.feed(data, at_ns))
        if self._reader.overflowed and not reply.over:
            events += reply.fail("too_long", "an event without end", at_ns)
        return events

    def feed_plain(self, reads: Sequence[tuple[int, bytes]]) -> list[Text]:
        """Return the texts of the first reads, up to one that is anything but a frame of plain text."""
        texts: list[Text] = []
        if self._reply.over or not self._reply.settled:
            return texts
        while len(texts) < len(reads):
            together = reads[len(texts) : len(texts) + self._batch_size]
            objects = self._reader.lone_objects(together)
            found = self._reply.dialect.decode_plain(objects, [at_ns for at_ns, _ in together])
            texts += found
            if len(found) < len(together):
                self._batch_size = 1
                break
            self._batch_size = min(2 * self._batch_size, MAX_TOGETHER)
        return texts

    def close(self, at_ns: int, *, was_cut: bool) -> list[Event]:
        """Return the events that depend on the body's end."""
        if self._reply.over:
            return []
        events = self._decode_frames(self._reader.close())
        if not was_cut and (foreign := self._reply.fail_if_foreign(at_ns)):
            return events + foreign
        if not (self._had_frames or was_cut or FIELD.search(self._prefix)):
            text = f"text instead of a reply: {one_line(self._prefix.decode(errors='replace'))}"
            return self._reply.fail("not_a_reply", text, at_ns)
        return [*events, *self._reply.dialect.flush()]

    def _decode_frames(self, frames: list[Frame]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            if self._reply.over:
                break
            self._had_frames = True
            plain = self._reply.decode_plain(frame)
            events += self._decode_frame(frame) if plain is None else [plain]
        return events

    def _decode_frame(self, frame: Frame) -> list[Event]:
        if is_done(frame.data):
            return self._reply.fail_if_foreign(frame.at_ns) or self._reply.end(StreamDone(frame.at_ns))
        if frame.event is None and (events := self._reply.decode_common(frame.data, frame.at_ns)) is not None:
            return events
        try:
            value, replaced = read_json(frame.data)
        except ValueError:
            return self._decode_text(frame)
        if frame.event == b"error":
            return self._reply.decode_error(value, frame.at_ns)
        # Only for escapes: a half may be joined with the next chunk, and is flagged if it is not.
        has_halves = replaced and b"\\u" in frame.data and _is_utf8(frame.data)
        events = self._reply.decode(value, frame.at_ns, read_json_halves(frame.data) if has_halves else None)
        if replaced and not has_halves:
            events.append(Flagged(frame.at_ns, "invalid_utf8"))
        return events

    def _decode_text(self, frame: Frame) -> list[Event]:
        """Return the events of data that is not JSON: an error in plain text, truncated JSON, a gateway's greeting."""
        text = one_line(frame.data.decode(errors="replace"))
        if frame.event == b"error":
            return self._reply.decode_error(text, frame.at_ns)
        if self._reply.dialect.is_ping(text.strip("[]{}() ")):
            return []
        if text.startswith(("{", "[")):
            return self._reply.fail("broken_json", f"broken JSON: {text}", frame.at_ns)
        return [Flagged(frame.at_ns, "skipped_data")]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_document(body: bytes, at_ns: int, reply: _ReplyDecoder) -> list[Event]:
    """Return the events of a non-streamed body with a 2xx status: a whole reply, an error, or something else.

    Their timestamp is that of the body's last byte.
    """
    if not body:
        return reply.fail("empty", f"HTTP {reply.status} with an empty body", at_ns)
    text = body[: READ_LIMIT * 4].decode(errors="replace")
    if is_markup(text):
        return reply.fail("html", f"a web page instead of a reply: {page_title(text) or 'it has no title'}", at_ns)
    try:
        value, replaced = read_json(body)
    except ValueError:
        return reply.fail("broken_json", f"broken JSON: {one_line(text)}", at_ns)
    flags: list[Event] = [Flagged(at_ns, "invalid_utf8")] if replaced else []
    if reply.dialect.holds_reply(value):
        events = [*flags, Flagged(at_ns, "not_streamed"), *reply.decode(value, at_ns)]
        return events if reply.over else events + reply.end(StreamDone(at_ns))
    if reply.dialect.find_error(value) is not None:
        return flags + reply.decode(value, at_ns)
    return flags + reply.fail("not_a_reply", f"no {reply.dialect.reply_name}: {one_line(write_json(value))}", at_ns)
