"""Time slices of the event loop, so that reads are timestamped before any other work is done.

Each time the loop polls its sockets, it timestamps all reads that are ready. Other work (building a request, decoding,
writing a record) delays the next poll by its own duration; if 200 streams end at once, by the sum of their durations.
Such work is therefore cut into slices of 1 to 2 ms, and one slice runs between two polls.
"""

import asyncio
from time import perf_counter_ns
from types import TracebackType

READS_PER_SLICE = 128
"""Reads decoded in one slice: about 0.5 ms at 3 to 4 µs each."""

SEND_INTERVAL_NS = 750_000
"""Minimum mean time between two requests. Requests sent in a burst would wait for each other at the server, and that
wait cannot be told from the model's own time."""

CATCH_UP_NS = 2 * SEND_INTERVAL_NS
"""Maximum delay of a request that later requests catch up on. Timers run at whole milliseconds, so a request is late by
up to one. Without this limit, all requests that are due after the loop was blocked would leave in a burst."""


class TimeSlices:
    """Slices of one loop: the block of `async with time_slices:` runs after the sockets have been polled once more.

    Slices are granted in the order in which they were requested. A slice contains no await, unless `release` ends it
    first.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None
        self._sending = asyncio.Lock()
        self._next_send_ns = 0

    async def acquire_to_send(self) -> None:
        """Wait for a slice in which to send a request, `SEND_INTERVAL_NS` after the previous request was due.

        A request is due when it was asked for, at the earliest: time in which none was wanted is not caught up on.
        """
        asked_ns = perf_counter_ns()
        async with self._sending:
            left_ns = self._next_send_ns - perf_counter_ns()
            if left_ns > 0:
                await asyncio.sleep(left_ns / 1e9)
            await self.acquire()
            due_ns = max(self._next_send_ns, asked_ns, perf_counter_ns() - CATCH_UP_NS)
            self._next_send_ns = due_ns + SEND_INTERVAL_NS

    async def acquire(self) -> None:
        """Wait for a slice."""
        await self._lock.acquire()
        self._holder = asyncio.current_task()
        try:
            await asyncio.sleep(0)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """End the running task's slice; do nothing if it has none."""
        if self._holder is not None and self._holder is asyncio.current_task():
            self._holder = None
            self._lock.release()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
