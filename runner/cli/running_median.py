"""The median of ever more durations in little memory: good enough to watch, and never written down."""

from collections import Counter
from dataclasses import dataclass, field
from math import exp, log

STEP = 0.004
"""Durations that differ by less than 0.4 % are counted as one."""


@dataclass(slots=True)
class RunningMedian:
    """Counts durations in bins as wide as a few thousandths of themselves: some thousand bins from 1 ms to an hour."""

    n: int = 0
    _bins: Counter[int] = field(default_factory=Counter)

    def add(self, duration_s: float) -> None:
        """Take a duration in; one of 0 counts as a microsecond."""
        self.n += 1
        self._bins[round(log(max(duration_s, 1e-6)) / STEP)] += 1

    @property
    def value(self) -> float | None:
        """The median so far, within half a step; None before the first."""
        passed = 0
        for place in sorted(self._bins):
            passed += self._bins[place]
            if 2 * passed >= self.n:
                return exp(place * STEP)
        return None
