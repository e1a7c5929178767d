"""A response's body, whatever it turns out to be -> events.

The body itself says what it is, for content types lie: servers stream as text/plain, and send web pages and
JSON errors with status 200 as text/event-stream.
"""

from collections.abc import Mapping
from datetime import datetime

from runner.core.events import Ended, Event, Failed, Flagged
from runner.wire.error_body import find_value
from runner.wire.event_stream import EventStream
from runner.wire.failure import classify, fail, request_id
from runner.wire.non_streamed import read_whole_body
from runner.wire.reply import ReplyDecoder
from runner.wire.sse import BYTE_ORDER_MARK, FRAME_LIMIT, is_whole

BLANKS = b" \t\r\n"
DOCUMENT_STARTS = (b"{", b"[", b"<")

ERROR_BODY_LIMIT = 64 * 1024
"""Bytes of an error's body that are read: its words come first."""


class ResponseDecoder:
    """Hears one response out. Never raises, whatever the bytes; keeps at most `limit` of them."""

    def __init__(
        self, status: int, headers: Mapping[str, str], *, now: datetime | None = None, limit: int = FRAME_LIMIT
    ) -> None:
        self._status = status
        self._headers = headers
        self._now = now
        self._limit = limit
        self._reply = ReplyDecoder(status, needs_id=request_id(headers) is None)
        self._stream: EventStream | None = None
        self._body = bytearray()
        self._last_ns: int | None = None

    @property
    def over(self) -> bool:
        """Whether [DONE] or a failure was heard: nothing that still comes will matter."""
        return self._reply.over

    def feed(self, at_ns: int, data: bytes) -> list[Event]:
        """Take one read and its stamp; return what it told."""
        if self._stream is not None:
            return self._stream.feed(at_ns, data)
        if not data or self.over:
            return []
        self._last_ns = at_ns
        if not self._is_success:
            self._body += data[: ERROR_BODY_LIMIT - len(self._body)]
            return []
        self._body += data
        self._drop_blanks()
        if self._is_stream():
            self._stream = EventStream(self._reply, self._limit)
            body, self._body = bytes(self._body), bytearray()
            return self._stream.feed(at_ns, body)
        if len(self._body) > self._limit:
            self._body.clear()
            return self._reply.end(fail("too_long", "a body without end", at_ns, status=self._status))
        return []

    def close(self, at_ns: int, cut: Failed | None = None) -> list[Event]:
        """Return what was left to tell, and how it ended. `cut` is why nothing more came, if not by itself.

        A connection that breaks behind a finish_reason or [DONE] takes nothing from the reply.
        """
        events = self._close_body(at_ns, cut)
        if self._reply.failed:
            return events
        if cut is None:
            return [*events, Ended(at_ns)]
        if not self._reply.proven:
            return [*events, cut]
        return events if self.over else [*events, Flagged(at_ns, "cut_after_finish")]

    @property
    def _is_success(self) -> bool:
        return 200 <= self._status < 300

    def _close_body(self, at_ns: int, cut: Failed | None) -> list[Event]:
        if self.over:
            return []
        if self._stream is not None:
            return self._stream.close(at_ns, was_cut=cut is not None)
        body, body_ns = bytes(self._body), self._last_ns or at_ns
        if not self._is_success:
            failed = classify(self._status, self._headers, body, at_ns=body_ns, now=self._now)
            return [*self._reply.name_request(find_value(body), body_ns), *self._reply.end(failed)]
        if cut is not None and not (body.startswith(b"<") or is_whole(body)):
            return []
        return read_whole_body(body, body_ns, self._reply)

    def _drop_blanks(self) -> None:
        """Drop what may stand before any body: a byte order mark, blank lines that keep a connection alive."""
        del self._body[: len(self._body) - len(self._body.lstrip(BLANKS))]
        if self._body.startswith(BYTE_ORDER_MARK):
            del self._body[: len(BYTE_ORDER_MARK)]
            self._drop_blanks()

    def _is_stream(self) -> bool:
        undecided = BYTE_ORDER_MARK.startswith(self._body)  # also where nothing has come
        return not undecided and not self._body.startswith(DOCUMENT_STARTS)
