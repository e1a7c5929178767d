"""Wakes callbacks at absolute moments of `time.perf_counter_ns`, hundreds of them at once, never too early.

Event loops count time in whole milliseconds: libuv rounds to them, and epoll waits for them. Twenty
milliseconds between tokens would then be twenty give or take one. Linux has a clock that is a file
descriptor, exact to microseconds; one of it serves all streams, with the next moment on top of a heap.
"""

import asyncio
import ctypes
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from time import perf_counter_ns
from typing import Protocol

CLOCK_MONOTONIC = 1
TFD_NONBLOCK_CLOEXEC = 0o2004000
TFD_TIMER_ABSTIME = 1
SECOND_NS = 1_000_000_000


class Alarm(Protocol):
    """What a stream needs of a clock."""

    def set(self, due_ns: int, ring: Callable[[], None]) -> None:
        """Call `ring` once, at the given moment or as soon as possible after it."""


class LoopAlarm:
    """The event loop's own timers: exact where its selector is (kqueue), to a millisecond or worse elsewhere."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def set(self, due_ns: int, ring: Callable[[], None]) -> None:
        """Call `ring` once; a loop that rounds its timers down is asked again."""
        left_ns = due_ns - perf_counter_ns()
        if left_ns <= 0:
            self._loop.call_soon(ring)
        else:
            self._loop.call_later(left_ns / SECOND_NS, self._check, due_ns, ring)

    def _check(self, due_ns: int, ring: Callable[[], None]) -> None:
        if perf_counter_ns() < due_ns:
            self.set(due_ns, ring)
        else:
            ring()


class _TimerSpec(ctypes.Structure):
    """`struct itimerspec` of 64-bit Linux."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class KernelAlarm:
    """A Linux timer file descriptor. `perf_counter_ns` is the same clock there, CLOCK_MONOTONIC."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._timer = libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _TimerSpec()
        self._spec_reference = ctypes.byref(self._spec)
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._armed_ns: int | None = None
        loop.add_reader(self._timer, self._ring)

    def set(self, due_ns: int, ring: Callable[[], None]) -> None:
        """Call `ring` once, at the given moment or as soon as possible after it."""
        self._sequence += 1
        heappush(self._heap, (due_ns, self._sequence, ring))
        if self._armed_ns is None or due_ns < self._armed_ns:
            self._arm(due_ns)

    def _arm(self, due_ns: int) -> None:
        # Setting the timer also takes back its earlier ring, so it never needs to be read.
        self._armed_ns = due_ns
        self._spec.value_s, self._spec.value_ns = divmod(max(due_ns, 1), SECOND_NS)
        self._settime(self._timer, TFD_TIMER_ABSTIME, self._spec_reference, None)

    def _disarm(self) -> None:
        self._spec.value_s = self._spec.value_ns = 0
        self._settime(self._timer, 0, self._spec_reference, None)
        self._armed_ns = None

    def _ring(self) -> None:
        # Only what was due on entry: a stream without delays must not keep sockets from being read.
        now_ns = perf_counter_ns()
        self._armed_ns = 0
        while self._heap and self._heap[0][0] <= now_ns:
            heappop(self._heap)[2]()
        if self._heap:
            self._arm(self._heap[0][0])
        else:
            self._disarm()


def make_alarm(loop: asyncio.AbstractEventLoop) -> Alarm:
    """Return the most exact alarm that the platform has."""
    if sys.platform == "linux" and sys.maxsize > 2**32:
        return KernelAlarm(loop)
    return LoopAlarm(loop)
