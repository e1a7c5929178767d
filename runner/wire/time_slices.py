"""Shares the event loop so that stamping comes first.

All reads that are ready are stamped each time the loop polls its sockets. What else there is to do (building a
request, decoding, writing a record) would delay the next poll by its own length, and by the sum of all lengths
where two hundred streams end at once. So such work is cut into slices of a millisecond or two, and one slice
runs between two polls.
"""

import asyncio
from time import perf_counter_ns
from types import TracebackType

READS_PER_SLICE = 128
"""Reads decoded in one slice: about half a millisecond, at some four microseconds each."""


DEPARTURE_INTERVAL_NS = 750_000
"""Between two requests that leave. In a burst they would wait for each other at the server, which nobody could tell
from the model's own time."""


class TimeSlices:
    """Turns on the loop: `async with airtime:` runs a slice after the sockets have been polled once more.

    Turns are given in the order in which they were asked for. A slice contains no await, unless `release` gives
    the turn back first.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None
        self._next_departure_ns = 0

    async def depart(self) -> None:
        """Wait for a turn in which to send a request, a little behind the one that left before."""
        now_ns = perf_counter_ns()
        at_ns = max(now_ns, self._next_departure_ns)
        self._next_departure_ns = at_ns + DEPARTURE_INTERVAL_NS
        if at_ns > now_ns:
            await asyncio.sleep((at_ns - now_ns) / 1e9)
        await self.acquire()

    async def acquire(self) -> None:
        """Wait for a turn."""
        await self._lock.acquire()
        self._holder = asyncio.current_task()
        try:
            await asyncio.sleep(0)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the turn to whoever is next; nothing happens if the running task has none."""
        if self._holder is not None and self._holder is asyncio.current_task():
            self._holder = None
            self._lock.release()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
