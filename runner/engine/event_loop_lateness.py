"""Upper bounds of the lateness of this process's timestamps, measured by a timer that ticks on the event loop.

A tick that ran later than it was due shows that the loop polled nothing in between, and perhaps nothing since the
previous tick. A read timestamped in that span, or just after it, may have waited as long. This is an upper bound: the
bytes may also have arrived just before their timestamp.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns

PERIOD_NS = 2_000_000
"""Time between ticks, two milliseconds: 500 ticks a second cost a thousandth of a core."""

PERIOD_S = PERIOD_NS / 1e9

NEGLIGIBLE_NS = 500_000
"""Smallest lateness that is recorded; no row claims to be more exact than this."""

SPANS_KEPT = 100_000
"""Number of late ticks kept: more than three minutes of a loop that is always late."""


@dataclass(slots=True)
class LateSpans:
    """Spans in which the loop was busy, in chronological order. Reads no clock."""

    due_ns: list[int] = field(default_factory=list)
    ran_ns: list[int] = field(default_factory=list)

    def add(self, due_ns: int, ran_ns: int) -> None:
        """Record when a tick was due and when it ran, if it was late."""
        if ran_ns - due_ns < NEGLIGIBLE_NS:
            return
        self.due_ns.append(due_ns)
        self.ran_ns.append(ran_ns)
        if len(self.due_ns) > 2 * SPANS_KEPT:
            del self.due_ns[:SPANS_KEPT], self.ran_ns[:SPANS_KEPT]

    def worst_ns(self, timestamps_ns: Sequence[int]) -> int:
        """Return the maximum lateness of any of these timestamps, which ascend, in nanoseconds."""
        worst = NEGLIGIBLE_NS
        if not timestamps_ns:
            return worst
        # A read delayed with a tick is timestamped in the same iteration of the loop, at most one period after it.
        first = bisect_left(self.ran_ns, timestamps_ns[0] - PERIOD_NS)
        for due_ns, ran_ns in zip(self.due_ns[first:], self.ran_ns[first:], strict=True):
            if due_ns > timestamps_ns[-1]:
                break
            at = bisect_left(timestamps_ns, due_ns)
            if at < len(timestamps_ns) and timestamps_ns[at] <= ran_ns + PERIOD_NS:
                worst = max(worst, ran_ns - due_ns + PERIOD_NS)
        return worst


def doubtful_timestamps(timestamps_ns: Sequence[int], shared_ns: Collection[int], *, by_kernel: bool) -> Sequence[int]:
    """Return the timestamps that a busy loop may have made late.

    Those are all timestamps that the loop took itself. The kernel records when the last byte of a read arrived, however
    late it is read. Of its timestamps only those in `shared_ns` are doubtful: their read arrived in parts and held more
    than one text.
    """
    if not by_kernel:
        return timestamps_ns
    return [at_ns for at_ns in timestamps_ns if at_ns in shared_ns] if shared_ns else ()


@contextmanager
def measure_lateness() -> Iterator[LateSpans]:
    """Measure the lateness of the running loop for the length of a `with` block."""
    spans = LateSpans()
    ticker = _Ticker(asyncio.get_running_loop(), spans)
    ticker.schedule()
    try:
        yield spans
    finally:
        ticker.stop()


class _Ticker:
    """A timer that reschedules itself at each tick; it costs a fifth of a task that sleeps."""

    def __init__(self, loop: asyncio.AbstractEventLoop, spans: LateSpans) -> None:
        self._loop = loop
        self._spans = spans
        self._due_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def schedule(self) -> None:
        """Schedule the next tick."""
        self._due_ns = perf_counter_ns() + PERIOD_NS
        self._timer = self._loop.call_later(PERIOD_S, self._tick)

    def stop(self) -> None:
        """Cancel the next tick."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        ran_ns = perf_counter_ns()
        if ran_ns - self._due_ns >= NEGLIGIBLE_NS:
            self._spans.add(self._due_ns, ran_ns)
        self.schedule()
