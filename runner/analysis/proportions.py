"""Failures of two arms: Fisher's exact test, and Newcombe's interval of the difference of two shares."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from runner.analysis.intervals import LEVEL, Interval


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many; of none there is no share."""

    count: int
    n: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.n

    def scaled(self, n: int) -> "Share":
        """Return the same share of another number, as nearly as whole counts allow."""
        return Share(round(self.value * n), n)


def fisher_p(base: Share, new: Share) -> float:
    """Return the two-sided p of equal shares: twice the smaller tail of the hypergeometric distribution, 1 at most."""
    failed = base.count + new.count
    counts = range(max(0, failed - base.n), min(new.n, failed) + 1)
    chances = [_chance(count, failed, base.n, new.n) for count in counts]
    at = new.count - counts.start
    return min(1.0, 2 * min(math.fsum(chances[: at + 1]), math.fsum(chances[at:])))


def smallest_fisher_p(base: int, new: int) -> float:
    """Return the p of the clearest data: one arm failed always, the other never."""
    return min(1.0, 2 * math.exp(-_log_choose(base + new, new)))


def _chance(count: int, failed: int, base: int, new: int) -> float:
    """Return the probability that so many of the failures fell to `new`, given how many there were."""
    ways = _log_choose(new, count) + _log_choose(base, failed - count)
    return math.exp(ways - _log_choose(base + new, failed))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def difference_interval(base: Share, new: Share, level: float = LEVEL) -> Interval:
    """Return the interval of new less base.

    R. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17,
    1998, method 10. Unlike the simple one it does not shrink to nothing where no request failed.
    """
    (base_low, base_high), (new_low, new_high) = _wilson(base, level), _wilson(new, level)
    difference = new.value - base.value
    low = difference - math.hypot(new.value - new_low, base_high - base.value)
    high = difference + math.hypot(new_high - new.value, base.value - base_low)
    return Interval(low, high, level)


def _wilson(share: Share, level: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (share.value + z**2 / (2 * share.n)) / (1 + z**2 / share.n)
    half = z * math.sqrt(share.value * (1 - share.value) / share.n + z**2 / (4 * share.n**2)) / (1 + z**2 / share.n)
    return middle - half, middle + half
