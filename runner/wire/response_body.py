"""A response as it arrives: its head, and the pieces of its body with their timestamps, until they are decoded.

`ResponseBody.receive` runs for every token: it stores the piece, and wakes the reader only if there is a reason.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

from runner.core.suite import REPLY_LIMIT
from runner.wire.decoders.response_head import ResponseHead
from runner.wire.event_loop_time_slices import TimeSlices

TRANSPORT_CLOCK = "transport"
"""Value of a row's `clock` for timestamps taken in user space, when the event loop delivered the read."""

KERNEL_CLOCK = "kernel"
"""Value for timestamps taken when each read's last byte reached this machine, however late the loop read it."""

UNDECODED_LIMIT = 64 * 1024
"""Number of undecoded bytes of a body above which its reader is woken to decode them."""

PAUSE_LIMIT = 1024 * 1024
"""Number of undecoded bytes of a body above which its connection is not read until they are decoded."""

DONE_MARK = b"[DONE]"
ERROR_MARK = b"error"
"""After either mark, or one of a dialect, the server may send nothing for long. The reader is woken to check whether
the reply has ended."""


@dataclass(slots=True)
class Phases:
    """Times at which a connection reached each stage, in `perf_counter_ns`; None for a stage that it did not have."""

    dns_start: int | None = None
    dns_end: int | None = None
    tcp_start: int | None = None
    tcp_end: int | None = None
    tls_end: int | None = None
    reused: bool | None = None


class ReplyTooLarge(Exception):
    """A body has more bytes than its limit; those up to the limit are kept."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class ReadSource(Protocol):
    """The connection from which a body arrives, whose reading can be paused."""

    def pause_reads(self) -> None:
        """Stop reading: data stays in the kernel, which makes the server wait."""

    def resume_reads(self) -> None:
        """Resume reading."""


class LentConnection(Protocol):
    """A connection that the pool lent to a request, to be released or closed."""

    def release(self) -> None:
        """Return the connection to the pool."""

    def close(self) -> None:
        """Close the connection."""


class ResponseBody:
    """The body of one response as it arrived: pairs of timestamp and bytes. It also holds the request's timestamps."""

    def __init__(
        self, time_slices: TimeSlices | None = None, limit: int = REPLY_LIMIT, end_marks: tuple[bytes, ...] = ()
    ) -> None:
        self._time_slices = time_slices
        self._end_marks = end_marks
        self._is_ending = False
        self.limit = limit
        self.sent_ns: int | None = None
        """Time at which the request's last byte left, or the earliest time at which it can have left."""
        self.sent_by_ns: int | None = None
        """Latest time at which it can have left; equal to `sent_ns` if the kernel timestamped it."""
        self.write_start_ns: int | None = None
        """Time at which the request's first byte was written; None if the response started before the upload ended."""
        self.when_connected: Callable[[], None] | None = None
        self.when_sent: Callable[[], None] | None = None
        self.headers_ns: int | None = None
        self.head: ResponseHead | None = None
        self.phases = Phases()
        self.error: BaseException | None = None
        self.compressed = False
        self.complete = False
        self.clock = TRANSPORT_CLOCK
        self.merged_ns: set[int] = set()
        """Kernel timestamps of reads that may have arrived in parts; they are those of the last byte."""
        # Two flat lists: a tuple for each read would cause work for the garbage collector while streams are measured.
        self._timestamps_ns: list[int] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._left = limit
        """Rest of the limit, in bytes, after the pieces that were taken."""
        self._wake_above = min(UNDECODED_LIMIT, limit)
        self._urgent = False
        self._source: ReadSource | None = None
        self._is_paused = self._is_stopped = False
        self.was_paused = False
        """Whether reading was paused because this machine decoded more slowly than the server sent."""
        self._waiter: asyncio.Future[None] | None = None
        self._connection: LentConnection | None = None

    def release_slice(self) -> None:
        """End the time slice in which the request was built, since what follows waits for the network."""
        if self._time_slices is not None:
            self._time_slices.release()

    def hold(self, connection: LentConnection) -> None:
        """Hold the connection that was lent for this response until `aclose`."""
        self._connection = connection

    def begin_sending(self, at_ns: int, source: ReadSource | None = None) -> None:
        """Set the time before the request's first byte was written, and the source of the response."""
        self.write_start_ns, self._source = at_ns, source
        if self.when_connected is not None:
            self.when_connected()

    def mark_sent(self, at_ns: int, by_ns: int) -> None:
        """Set the bounds of the time at which the request's last byte left: between `at_ns` and `by_ns`."""
        self.sent_ns, self.sent_by_ns = at_ns, by_ns
        if self.when_sent is not None:
            self.when_sent()

    def refine_sent(self, at_ns: int) -> None:
        """Set the time at which the request's last byte left, by the kernel; ignore one after the response's start."""
        if self.headers_ns is None or at_ns <= self.headers_ns:
            self.sent_ns = self.sent_by_ns = at_ns

    def start(self, at_ns: int, head: ResponseHead) -> None:
        """Set the head of the response."""
        if self.sent_ns is None:
            # The server answered before it had the whole request. The part that it had left after the write began.
            self.mark_sent(at_ns if self.write_start_ns is None else self.write_start_ns, at_ns)
            self.write_start_ns = None
        self.headers_ns = at_ns
        self.head = head
        self.wake()

    def receive(self, at_ns: int, data: bytes) -> None:
        """Store a piece of the body. Runs for every token, and rarely wakes the reader."""
        self._timestamps_ns.append(at_ns)
        self._pieces.append(data)
        self._size += len(data)
        is_marked = False
        for mark in self._end_marks:
            is_marked |= mark in data
        is_done = data.find(b"[", -24) >= 0 and DONE_MARK in data[-24:].upper()
        if is_marked or is_done or self._size > self._wake_above or data.find(ERROR_MARK) >= 0:
            self._urgent = True
            self._is_ending |= is_marked
            self._enforce_limits()
            self.wake()

    def _enforce_limits(self) -> None:
        """Drop bytes beyond the limit, divide a long piece, and pause reading while too many bytes are undecoded."""
        excess = self._size - self._left
        if excess > 0:
            kept = self._pieces[-1][:-excess]
            self._size = self._left
            if kept:
                self._pieces[-1] = kept
            else:
                self._pieces.pop()
                self._timestamps_ns.pop()
            self.exceed()
        elif self._size > PAUSE_LIMIT:
            self._pause()
        if self._pieces and len(self._pieces[-1]) > UNDECODED_LIMIT:
            self._divide_last()

    def _divide_last(self) -> None:
        """Divide the last piece, which decompression made long, into parts that fit into a time slice."""
        data, at_ns = self._pieces.pop(), self._timestamps_ns.pop()
        parts = [data[at : at + UNDECODED_LIMIT] for at in range(0, len(data), UNDECODED_LIMIT)]
        self._pieces += parts
        self._timestamps_ns += [at_ns] * len(parts)

    def exceed(self) -> None:
        """End the body because it is larger than its limit; `aclose` then closes its connection."""
        self.stop()
        self.finish(ReplyTooLarge(self.limit))

    def stop(self) -> None:
        """Stop reading this body: what has not arrived yet is too late."""
        self._is_stopped = True
        if self._source is not None:
            self._source.pause_reads()

    def _pause(self) -> None:
        if self._source is not None and not self._is_paused:
            self._is_paused = self.was_paused = True
            self._source.pause_reads()

    def finish(self, error: BaseException | None = None) -> None:
        """Mark the body as complete; `error` is the exception that ended it early. Only the first call counts."""
        if self.complete:
            return
        self.error = error
        self.complete = True
        self.wake()

    def wake(self) -> None:
        """Wake the task that waits for this body."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take(self) -> list[tuple[int, bytes]]:
        """Return all pieces that arrived since the last call, with their timestamps, and drop them."""
        taken = list(zip(self._timestamps_ns, self._pieces, strict=True))
        self._left -= self._size
        # The last event may be long, and nothing marks its end.
        self._wake_above = 0 if self._is_ending else min(UNDECODED_LIMIT, self._left)
        self._timestamps_ns, self._pieces, self._size, self._urgent = [], [], 0, False
        if self._is_paused and not self._is_stopped and self._source is not None:
            self._is_paused = False
            self._source.resume_reads()
        return taken

    async def wait_for_head(self) -> ResponseHead:
        """Return the head as soon as it has arrived; raise the error of a connection that broke before."""
        while self.head is None and not self.complete:
            await self._sleep(None)
        if self.head is None:
            assert self.error is not None
            raise self.error
        return self.head

    async def wait(self, until_ns: int | None) -> None:
        """Wait until the body is complete or needs decoding, but not beyond `until_ns` (`perf_counter_ns`)."""
        if not (self.complete or self._urgent):
            await self._sleep(until_ns)

    async def _sleep(self, until_ns: int | None) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None
        if until_ns is not None:
            timer = loop.call_later(max(0.0, (until_ns - perf_counter_ns()) / 1e9), self.wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    async def read(self) -> bytes:
        """Return the whole body without timestamps; raise the error that ended it early."""
        pieces: list[bytes] = []
        while not self.complete:
            await self.wait(None)
            pieces += [data for _, data in self.take()]
        pieces += [data for _, data in self.take()]
        if self.error is not None:
            raise self.error
        return b"".join(pieces)

    async def aclose(self) -> None:
        """Release the connection if the body was read to its end, otherwise close it."""
        connection, source, self._connection, self._source = self._connection, self._source, None, None
        if connection is None:
            return
        if self.complete and self.error is None:
            if self._is_paused and source is not None:
                source.resume_reads()  # the next request on this connection needs its reads
            connection.release()
        else:
            connection.close()
