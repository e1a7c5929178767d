"""Reads sockets in rounds: each that has something to read, in one look at all of them.

Looking as soon as anything comes means falling asleep and waking up for every token, which costs as much as all the
rest of hearing it. Where the kernel stamps what comes (`kernel_clock`), looking later makes no stamp late, but for
pieces of one reply that lie in the same read by then: they share the stamp of the last.
"""

import asyncio
import select
from collections.abc import Callable

CROWD = 64
"""From so many connections on, the loop rests after each round: the reads that come meanwhile are then many. With
fewer it looks at once, and two pieces of a fast reply that are told apart by less than a rest stay apart."""

REST_NS = 2_000_000
"""Between two rounds of a crowd. Who speaks faster than that, in a crowd, is more than one process can hear anyway."""


class BatchedReads:
    """Calls back for each socket that has something to read; one for all connections of a loop.

    It asks again for what a callback leaves unread, so that a callback may read once and go.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._rest: asyncio.TimerHandle | None = None
        loop.add_reader(self._epoll.fileno(), self._wake)

    def add(self, fd: int, read: Callable[[], None]) -> None:
        """Watch a descriptor. Its end, in order or not, counts as something to read."""
        self._epoll.register(fd, select.EPOLLIN)
        self._readers[fd] = read

    def remove(self, fd: int) -> None:
        """Watch a descriptor no more; behind the last one, nothing is left of the rounds."""
        if self._readers.pop(fd, None) is None:
            return
        self._epoll.unregister(fd)
        if not self._readers:
            self._close()

    @property
    def rest_ns(self) -> int:
        """How long a read is left lying on purpose, at most."""
        return REST_NS if len(self._readers) >= CROWD else 0

    def _wake(self) -> None:
        if self.rest_ns:
            self._loop.remove_reader(self._epoll.fileno())
            self._go_round()
        else:
            self._read(self._epoll.poll(0))

    def _go_round(self) -> None:
        """Read, and rest; wait to be woken again once there is nothing to read."""
        ready = self._epoll.poll(0)
        if ready:
            self._rest = self._loop.call_later(REST_NS / 1e9, self._go_round)
            self._read(ready)
        else:
            self._rest = None
            self._loop.add_reader(self._epoll.fileno(), self._wake)

    def _read(self, ready: list[tuple[int, int]]) -> None:
        for fd, _ in ready:
            read = self._readers.get(fd)  # none if a read of this round has closed it
            if read is not None:
                read()

    def _close(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        del _OPEN[self._loop]


_OPEN: dict[asyncio.AbstractEventLoop, BatchedReads] = {}
"""Those of each loop that has connections to read; the last one that leaves takes them away."""


def running_rounds() -> BatchedReads:
    """Return the running loop's rounds, to which a connection is to be added."""
    loop = asyncio.get_running_loop()
    rounds = _OPEN.get(loop)
    if rounds is None:
        rounds = _OPEN[loop] = BatchedReads(loop)
    return rounds


def resting_ns() -> int:
    """Return how long the running loop leaves a read lying on purpose, at most."""
    rounds = _OPEN.get(asyncio.get_running_loop())
    return 0 if rounds is None else rounds.rest_ns
