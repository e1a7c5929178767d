"""Batched reads: one epoll for all connections of a loop, polled at intervals while many connections are open.

Waking up for each token costs as much CPU as all other work on it. Where the kernel timestamps arrivals
(`kernel_clock`), a delayed read keeps its timestamp. The exception are pieces of a reply that one read returns
together: they share the timestamp of the last piece.
"""

import asyncio
import select
from collections.abc import Callable

MANY_CONNECTIONS = 64
"""Number of connections from which the loop waits between two batches, so that a batch holds many reads. With fewer
connections it reads at once, and two pieces of a fast reply keep their own timestamps."""

BATCH_INTERVAL_NS = 2_000_000
"""Time between two batches. With so many connections, a process cannot read each of them more often than that."""


class BatchedReads:
    """Calls a function for each socket that has something to read; one object serves all connections of a loop.

    The function may read once and return: it is called again while something is left to read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._paused: set[int] = set()
        self._next_batch: asyncio.TimerHandle | None = None
        loop.add_reader(self._epoll.fileno(), self._wake)

    def add(self, fd: int, read: Callable[[], None]) -> None:
        """Call `read` whenever a descriptor has something to read or has reached its end, clean or not."""
        self._epoll.register(fd, select.EPOLLIN)
        self._readers[fd] = read

    def remove(self, fd: int) -> None:
        """Stop watching a descriptor; with the last one, close the epoll."""
        if self._readers.pop(fd, None) is None:
            return
        if fd in self._paused:
            self._paused.remove(fd)
        else:
            self._epoll.unregister(fd)
        if not self._readers:
            self._close()

    def pause(self, fd: int) -> None:
        """Stop watching a descriptor until `resume`."""
        if fd in self._readers and fd not in self._paused:
            self._epoll.unregister(fd)
            self._paused.add(fd)

    def resume(self, fd: int) -> None:
        """Watch a descriptor again."""
        if fd in self._paused:
            self._paused.remove(fd)
            self._epoll.register(fd, select.EPOLLIN)

    @property
    def max_delay_ns(self) -> int:
        """The longest time that a read is delayed to make a batch, in nanoseconds."""
        return BATCH_INTERVAL_NS if len(self._readers) >= MANY_CONNECTIONS else 0

    def _wake(self) -> None:
        if self.max_delay_ns:
            self._loop.remove_reader(self._epoll.fileno())
            self._read_batch()
        else:
            self._read(self._epoll.poll(0))

    def _read_batch(self) -> None:
        """Read a batch and schedule the next one; without anything to read, wait to be woken again."""
        ready = self._epoll.poll(0)
        if ready:
            self._next_batch = self._loop.call_later(BATCH_INTERVAL_NS / 1e9, self._read_batch)
            self._read(ready)
        else:
            self._next_batch = None
            self._loop.add_reader(self._epoll.fileno(), self._wake)

    def _read(self, ready: list[tuple[int, int]]) -> None:
        for fd, _ in ready:
            read = self._readers.get(fd)  # None if an earlier read of this batch has closed it
            if read is not None:
                read()

    def _close(self) -> None:
        if self._next_batch is not None:
            self._next_batch.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        del _OPEN[self._loop]


_OPEN: dict[asyncio.AbstractEventLoop, BatchedReads] = {}
"""The batched reads of each loop that has connections; removed with the last connection."""


def batched_reads() -> BatchedReads:
    """Return the running loop's batched reads. The caller adds a connection to them."""
    loop = asyncio.get_running_loop()
    reads = _OPEN.get(loop)
    if reads is None:
        reads = _OPEN[loop] = BatchedReads(loop)
    return reads


def max_batch_delay_ns() -> int:
    """Return the longest time that the running loop delays a read to make a batch, in nanoseconds."""
    reads = _OPEN.get(asyncio.get_running_loop())
    return 0 if reads is None else reads.max_delay_ns
