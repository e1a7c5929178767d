"""A response as it arrives: its head, and a stamp beside each piece of its body, until somebody decodes them.

The hot path of every token runs through `Body.receive`: it stores, and wakes the reader only when there is a reason.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

import httpx2

from runner.wire.time_slices import TimeSlices

TRANSPORT_CLOCK = "transport"
"""What a row's `clock` says: stamped in user space, when the event loop handed the read over."""

KERNEL_CLOCK = "kernel"
"""Stamped when the read's last byte reached this machine, however late the event loop looked."""

UNDECODED_LIMIT = 64 * 1024
"""Bytes a stream may pile up before its reader is woken to decode them: memory stays bounded."""

DONE_MARK = b"[DONE]"
ERROR_MARK = b"error"
"""Behind either mark nothing may come for long: the reader is woken to see whether it is the end."""


@dataclass(slots=True)
class Phases:
    """When a request's connection went through each stage, in `perf_counter_ns`; None where it did not."""

    dns_start: int | None = None
    dns_end: int | None = None
    tcp_start: int | None = None
    tcp_end: int | None = None
    tls_end: int | None = None
    reused: bool | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A response's status and headers; names in small letters, values of one name joined."""

    status: int
    headers: Mapping[str, str]


class LentConnection(Protocol):
    """A connection that was lent to a request, and must be given back."""

    def release(self) -> None:
        """Let another request have it."""

    def close(self) -> None:
        """Let nobody have it."""


class ResponseBody(httpx2.AsyncByteStream):
    """A response's body as it arrived: pairs of stamp and bytes, taken out by whoever decodes them."""

    def __init__(self, airtime: TimeSlices | None = None) -> None:
        self._airtime = airtime
        self.sent_ns: int | None = None
        self.when_sent: Callable[[], None] | None = None
        self.headers_ns: int | None = None
        self.head: Head | None = None
        self.phases = Phases()
        self.error: BaseException | None = None
        self.compressed = False
        self.complete = False
        self.clock = TRANSPORT_CLOCK
        # Two flat lists: a tuple for each read would give the garbage collector work while streams are measured.
        self._stamps_ns: list[int] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._urgent = False
        self._waiter: asyncio.Future[None] | None = None
        self._connection: LentConnection | None = None

    def dial(self) -> None:
        """Give back the turn in which the request was built: from here on it waits for the network."""
        if self._airtime is not None:
            self._airtime.release()

    def hold(self, connection: LentConnection) -> None:
        """Keep the connection that was lent for this response, until `aclose`."""
        self._connection = connection

    def mark_sent(self, at_ns: int) -> None:
        """Start the request's clock."""
        self.sent_ns = at_ns
        if self.when_sent is not None:
            self.when_sent()

    def open(self, at_ns: int, head: Head) -> None:
        """Take the head of the response."""
        if self.sent_ns is None:
            self.mark_sent(at_ns)  # an answer to half a request: no more of it will be wanted
        self.headers_ns = at_ns
        self.head = head
        self.compressed = "content-encoding" in head.headers
        self.wake()

    def receive(self, at_ns: int, data: bytes) -> None:
        """Keep what a read brought. Runs for every token: it stores, and rarely wakes anyone."""
        self._stamps_ns.append(at_ns)
        self._pieces.append(data)
        self._size += len(data)
        if self._size > UNDECODED_LIMIT or DONE_MARK in data[-24:] or ERROR_MARK in data:
            self._urgent = True
            self.wake()

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing more will come; `error` is why, if not by itself."""
        self.error = error
        self.complete = True
        self.wake()

    def wake(self) -> None:
        """Let the reader look at what has come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def undecoded(self) -> int:
        """Pieces that have come since the last `take`."""
        return len(self._pieces)

    def take(self) -> list[tuple[int, bytes]]:
        """Hand over all that has come since the last call."""
        taken = list(zip(self._stamps_ns, self._pieces, strict=True))
        self._stamps_ns, self._pieces, self._size, self._urgent = [], [], 0, False
        return taken

    async def wait_for_head(self) -> Head:
        """Return the head as soon as it is here; raise what broke the connection before."""
        while self.head is None and not self.complete:
            await self._sleep(None)
        if self.head is None:
            assert self.error is not None
            raise self.error
        return self.head

    async def wait(self, until_ns: int | None) -> None:
        """Return when the body is complete, needs decoding, or a moment has come, whichever is first."""
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

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body for readers that need no stamps, as the SDK does with a list of models."""
        while not self.complete:
            await self.wait(None)
            for _, data in self.take():
                yield data
        for _, data in self.take():
            yield data
        if self.error is not None:
            raise self.error

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.complete and self.error is None:
            connection.release()
        else:
            connection.close()


_LISTENING: ContextVar[ResponseBody | None] = ContextVar("listening", default=None)
"""The body that the running task's request will fill: how a connection learns for whom it stamps."""


def listen(airtime: TimeSlices | None = None) -> ResponseBody:
    """Return the body that the next request of this task will fill, also when that request fails."""
    body = ResponseBody(airtime)
    _LISTENING.set(body)
    return body


def listening() -> ResponseBody | None:
    """Return the body of the running task's request; None if nobody listens."""
    return _LISTENING.get()
