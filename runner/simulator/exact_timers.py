"""Timers that call back at absolute times of `time.perf_counter_ns`, for hundreds of streams, and never too early.

Event loops count time in whole milliseconds: libuv rounds to them, and epoll waits for them. An interval of 20 ms
between tokens would be wrong by up to 1 ms. Linux has timers that are file descriptors, exact to microseconds. One of
them serves all streams; a heap gives the next time.
"""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from heapq import heappop, heappush
from time import perf_counter_ns
from typing import Protocol

SECOND_NS = 1_000_000_000


class Timer(Protocol):
    """The interface of timers."""

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> None:
        """Call back once, at the given time or as soon as possible after it."""


class LoopTimer:
    """The event loop's own timers: exact if its selector is (kqueue), else to a millisecond or worse."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> None:
        """Call back once; if the loop rounds down and calls too early, set another timer."""
        left_ns = due_ns - perf_counter_ns()
        if left_ns <= 0:
            self._loop.call_soon(callback)
        else:
            self._loop.call_later(left_ns / SECOND_NS, self._call_when_due, due_ns, callback)

    def _call_when_due(self, due_ns: int, callback: Callable[[], None]) -> None:
        if perf_counter_ns() < due_ns:
            self.call_at(due_ns, callback)
        else:
            callback()


class _TimerFile:
    """A Linux timer file descriptor; `arm` sets the time at which it becomes readable, 0 for never."""

    if sys.version_info >= (3, 13):

        def __init__(self) -> None:
            self.fd = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

        def arm(self, due_ns: int) -> None:
            os.timerfd_settime_ns(self.fd, flags=os.TFD_TIMER_ABSTIME, initial=due_ns)

    else:
        NONBLOCK_CLOEXEC = 0o2004000
        ABSTIME = 1

        def __init__(self) -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            self.fd: int = libc.timerfd_create(time.CLOCK_MONOTONIC, self.NONBLOCK_CLOEXEC)
            if self.fd < 0:
                raise OSError(ctypes.get_errno(), "timerfd_create")
            self._settime = libc.timerfd_settime
            # `struct itimerspec` of 64-bit Linux: seconds and nanoseconds of the interval, then of the time.
            self._spec = (ctypes.c_long * 4)()
            self._spec_reference = ctypes.byref(self._spec)

        def arm(self, due_ns: int) -> None:
            self._spec[2], self._spec[3] = divmod(due_ns, SECOND_NS)
            self._settime(self.fd, self.ABSTIME, self._spec_reference, None)


class KernelTimer:
    """Timers on one timer file descriptor of Linux, where `perf_counter_ns` is the same clock: CLOCK_MONOTONIC."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._file = _TimerFile()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._armed_ns: int | None = None
        loop.add_reader(self._file.fd, self._call_due)

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> None:
        """Call back once, at the given time or as soon as possible after it."""
        self._sequence += 1
        heappush(self._heap, (due_ns, self._sequence, callback))
        if self._armed_ns is None or due_ns < self._armed_ns:
            self._arm(due_ns)

    def _arm(self, due_ns: int) -> None:
        # Arming makes the descriptor unreadable again, so it never needs to be read.
        self._armed_ns = due_ns
        self._file.arm(max(due_ns, 1))

    def _call_due(self) -> None:
        # Call only callbacks that were due on entry: a stream without delays must not keep sockets from being read.
        now_ns = perf_counter_ns()
        self._armed_ns = 0
        while self._heap and self._heap[0][0] <= now_ns:
            heappop(self._heap)[2]()
        if self._heap:
            self._arm(self._heap[0][0])
        else:
            self._armed_ns = None
            self._file.arm(0)


def make_timer(loop: asyncio.AbstractEventLoop) -> Timer:
    """Return the most exact timer of the platform."""
    if sys.platform == "linux" and sys.maxsize > 2**32:
        return KernelTimer(loop)
    return LoopTimer(loop)
