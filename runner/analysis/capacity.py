"""A search for the highest load at which enough requests meet an SLO: verdicts on loads, and the load to try next.

The share of requests that meet the SLO is assumed to fall as the load grows. A load keeps the SLO if the whole interval
of its share is at or above the wanted share, misses it if the whole interval is below, and is undecided otherwise. A
rate keeps the SLO only if its number in flight rose and fell often enough, because a queue that fills slowly meets any
SLO at first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from runner.analysis.goodput import Goodput
from runner.analysis.proportions import MAX_REQUESTS, fewest_above

ENOUGH_READINGS = 100
"""Minimum number of independent readings of the number in flight for a rate to keep an SLO. With this number, at most
5 % of the rates at which a queue misses the SLO are reported to keep it, as measured by
`tests/benchmarks/capacity.py`."""


LEFT_OUT_PER_PLACE = 4
"""Requests at the beginning and the end of a closed loop that are not judged, for each place in flight, at most."""


class LoadVerdict(StrEnum):
    """Verdict on a load: it keeps the SLO, misses it, or is undecided."""

    KEPT = "kept"
    MISSED = "missed"
    UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class TriedLoad:
    """A load that was tried, as a concurrency or in requests per second; `goodput` is None if no request was judged."""

    load: float
    goodput: Goodput | None
    requests_per_s: float | None = None
    ttft_p95_s: float | None = None
    run_id: str | None = None


def requests_for_readings(tried: TriedLoad) -> int | None:
    """Return how many requests should give enough independent readings of the number in flight.

    None if there are enough already. The number is rounded up to two significant digits. It is a lower bound if the
    queue was still filling.
    """
    goodput = tried.goodput
    if goodput is None or goodput.in_flight_n is None or goodput.in_flight_n >= ENOUGH_READINGS:
        return None
    return _round_up(goodput.n * ENOUGH_READINGS / goodput.in_flight_n)


def _round_up(needed: float) -> int:
    """Return a number of requests, rounded up to two significant digits."""
    step = int(10 ** max(0, len(str(int(needed))) - 2))
    return ceil(needed / step - 1e-9) * step  # the quotients above are rounded, up as well as down


@dataclass(frozen=True, slots=True)
class CapacitySearch:
    """A search by doubling, then by bisection, within limits."""

    share: float = 0.95
    """Share of requests that must meet the SLO, above 0 and below 1."""
    first: float = 1
    """First load to try, above 0."""
    most: float = 256
    """Highest load to try, not below the first."""
    loads: int = 12
    """Maximum number of loads to try."""
    by_rate: bool = False
    """True if the load is a request rate, which may be fractional; False if it is a concurrency."""
    precision: float = 0.05
    """Distance of neighbouring loads at which the search ends, as a share of the lower one; at least 1 for
    concurrencies."""

    @property
    def fewest_judged(self) -> int:
        """The number of judged requests with which a load keeps the SLO if all of them meet it."""
        return fewest_above(self.share)

    def verdict_on(self, tried: TriedLoad) -> LoadVerdict:
        """Return the verdict on a load."""
        interval = tried.goodput.interval if tried.goodput else None
        if interval is None:
            return LoadVerdict.UNDECIDED
        if interval.low >= self.share and not requests_for_readings(tried):
            return LoadVerdict.KEPT
        return LoadVerdict.MISSED if interval.high < self.share else LoadVerdict.UNDECIDED

    def requests_needed(self, tried: TriedLoad) -> int | None:
        """Return how many requests at this load should decide, if the share stays as measured.

        None if the load is decided and its number in flight was read often enough, or if the share is too close to the
        wanted one for any feasible number.
        """
        for_readings, for_share = requests_for_readings(tried), None
        if self.verdict_on(tried) is LoadVerdict.UNDECIDED:
            for_share = self._requests_for_share(tried)
        return max((each for each in (for_readings, for_share) if each is not None), default=None)

    def _requests_for_share(self, tried: TriedLoad) -> int | None:
        """Return the number of requests with which Wilson's interval would no longer contain the wanted share.

        An end b of the interval of a share p of n requests has n = effect z^2 b (1 - b) / (p - b)^2. The number for
        which the wanted share is that end has the same effect, by which requests come in spells.
        """
        goodput = tried.goodput
        if goodput is None or goodput.interval is None or goodput.share == self.share:
            return None
        end = goodput.interval.low if goodput.share > self.share else goodput.interval.high
        spread = end * (1 - end)
        if not spread or not goodput.interval.low <= self.share <= goodput.interval.high:
            return None
        times = self.share * (1 - self.share) / spread * ((goodput.share - end) / (goodput.share - self.share)) ** 2
        left_out = 0 if self.by_rate else LEFT_OUT_PER_PLACE * tried.load
        needed = goodput.n * times + left_out
        return None if needed > MAX_REQUESTS else _round_up(needed)

    def highest_kept(self, tried: Sequence[TriedLoad]) -> float | None:
        """Return the highest load that keeps the SLO, below all that do not; None if there is none."""
        limit = min((each.load for each in tried if self.verdict_on(each) is not LoadVerdict.KEPT), default=None)
        return max((each.load for each in tried if limit is None or each.load < limit), default=None)

    def lowest_missed(self, tried: Sequence[TriedLoad]) -> float | None:
        """Return the lowest load that misses the SLO; None if there is none."""
        return min((each.load for each in tried if self.verdict_on(each) is LoadVerdict.MISSED), default=None)

    def next_load(self, tried: Sequence[TriedLoad]) -> float | None:
        """Return the load to try next, given those tried; None when the search is over.

        The load doubles until the SLO is missed. Then the search halves the gap above the highest load that keeps it,
        and after that the gap below the lowest load that misses it.
        """
        if not tried:
            return self.first
        if len(tried) >= self.loads:
            return None
        loads = sorted(each.load for each in tried)
        missed, kept = self.lowest_missed(tried), self.highest_kept(tried)
        if missed is None and loads[-1] < self.most:
            return min(2 * loads[-1], self.most)
        gaps = []
        if kept != loads[-1]:
            gaps.append((kept or 0.0, min(load for load in loads if kept is None or load > kept)))
        if missed is not None and missed != loads[0]:
            gaps.append((max(load for load in loads if load < missed), missed))
        found = (self._between(low, high) for low, high in gaps)
        return next((load for load in found if load is not None), None)

    def _between(self, low: float, high: float) -> float | None:
        """Return the load midway between two; None if they are within the precision."""
        if self.by_rate:
            close = high - low <= self.precision * low or high <= self.first / 4
            return None if close else float(f"{(low + high) / 2:.3g}")
        return None if high - low <= max(1, ceil(self.precision * low)) else (int(low) + int(high)) // 2


@dataclass(frozen=True, slots=True)
class FoundCapacity:
    """Result of a search for one target."""

    target: str
    search: CapacitySearch
    slo: str
    tried: tuple[TriedLoad, ...]
    """Loads in the order in which they were tried."""
    simulated: bool = False
    """Whether any reply comes from the simulator."""

    @property
    def curve(self) -> tuple[TriedLoad, ...]:
        """The loads that were tried, in ascending order."""
        return tuple(sorted(self.tried, key=lambda each: each.load))

    @property
    def highest_kept(self) -> float | None:
        """The highest load that keeps the SLO; None if there is none."""
        return self.search.highest_kept(self.tried)

    @property
    def lowest_missed(self) -> float | None:
        """The lowest load that misses the SLO; None if there is none."""
        return self.search.lowest_missed(self.tried)
