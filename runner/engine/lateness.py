"""How late this process was, measured: a clock ticks on the loop that stamps, and every late tick is kept.

A tick that was due at one moment and ran at another shows that the loop looked at nothing in between. A read
stamped in that span, or just behind it, may have been waiting since the tick was due. This is an upper bound:
the bytes may as well have come a moment before their stamp.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter_ns

PERIOD_NS = 2_000_000
"""Two milliseconds between ticks: 500 ticks a second cost a thousandth of a core."""

NEGLIGIBLE_NS = 500_000
"""A tick less late than this is not kept; a row is never said to be surer than this."""

SPANS_KEPT = 100_000
"""Late ticks remembered: more than three minutes of a loop that is late all the time."""


@dataclass(slots=True)
class LateSpans:
    """Spans in which the loop was busy, in the order of time. Reads no clock."""

    due_ns: list[int] = field(default_factory=list)
    ran_ns: list[int] = field(default_factory=list)

    def add(self, due_ns: int, ran_ns: int) -> None:
        """Note when a tick was due and when it ran."""
        if ran_ns - due_ns < NEGLIGIBLE_NS:
            return
        self.due_ns.append(due_ns)
        self.ran_ns.append(ran_ns)
        if len(self.due_ns) > 2 * SPANS_KEPT:
            del self.due_ns[:SPANS_KEPT], self.ran_ns[:SPANS_KEPT]

    def worst_ns(self, stamps_ns: Sequence[int]) -> int:
        """Return how late any of these ascending stamps may be, at most."""
        worst = NEGLIGIBLE_NS
        if not stamps_ns:
            return worst
        # Whoever was held up with a tick is stamped in the same turn of the loop: at most one period behind it.
        first = bisect_left(self.ran_ns, stamps_ns[0] - PERIOD_NS)
        for due_ns, ran_ns in zip(self.due_ns[first:], self.ran_ns[first:], strict=True):
            if due_ns > stamps_ns[-1]:
                break
            at = bisect_left(stamps_ns, due_ns)
            if at < len(stamps_ns) and stamps_ns[at] <= ran_ns + PERIOD_NS:
                worst = max(worst, ran_ns - due_ns)
        return worst


def doubtful(stamps_ns: Sequence[int], *, by_kernel: bool) -> Sequence[int]:
    """Return the stamps that a busy loop may have made late.

    Of the loop's own that is all of them. The kernel tells when the last byte of a read came, however late it is
    read: in doubt are the stamps that several pieces of text share.
    """
    return [at_ns for at_ns, next_ns in pairwise(stamps_ns) if at_ns == next_ns] if by_kernel else stamps_ns


@contextmanager
def measure_lateness() -> Iterator[LateSpans]:
    """Tick on the running loop for the length of a `with` block."""
    spans = LateSpans()
    clock = _Ticker(asyncio.get_running_loop(), spans)
    clock.wind()
    try:
        yield spans
    finally:
        clock.stop()


class _Ticker:
    """Winds itself up again at each tick; a bare timer costs a fifth of a task that sleeps."""

    def __init__(self, loop: asyncio.AbstractEventLoop, spans: LateSpans) -> None:
        self._loop = loop
        self._spans = spans
        self._due_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def wind(self) -> None:
        """Set the next tick."""
        self._due_ns = perf_counter_ns() + PERIOD_NS
        self._timer = self._loop.call_later(PERIOD_NS / 1e9, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._spans.add(self._due_ns, perf_counter_ns())
        self.wind()
