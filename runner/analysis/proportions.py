"""Failures of two arms as proportions: Fisher's exact test, and Newcombe's interval of the difference."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from runner.analysis.intervals import LEVEL, Interval


@dataclass(frozen=True, slots=True)
class Proportion:
    """A count out of `n`; n is at least 1."""

    count: int
    n: int

    @property
    def value(self) -> float:
        """The proportion itself."""
        return self.count / self.n

    def scaled(self, n: int) -> "Proportion":
        """Return the same proportion of another n, as nearly as whole counts allow."""
        return Proportion(round(self.value * n), n)


def fisher_p(base: Proportion, new: Proportion) -> float:
    """Return the two-sided p-value of Fisher's exact test: twice the smaller hypergeometric tail, 1 at most.

    R. Fisher, "The Logic of Inductive Inference", Journal of the Royal Statistical Society 98, 1935; of the ways to
    make it two-sided, doubling is the one that agrees with two one-sided tests.
    """
    failed = base.count + new.count
    counts = range(max(0, failed - base.n), min(new.n, failed) + 1)
    probabilities = [_hypergeometric(count, failed, base.n, new.n) for count in counts]
    at = new.count - counts.start
    return min(1.0, 2 * min(math.fsum(probabilities[: at + 1]), math.fsum(probabilities[at:])))


def smallest_fisher_p(base: int, new: int) -> float:
    """Return the smallest p-value of two arms of these sizes: one arm always failed, the other never."""
    return min(1.0, 2 * math.exp(-_log_choose(base + new, new)))


def _hypergeometric(count: int, failed: int, base: int, new: int) -> float:
    """Return the probability that `count` of the failures are in `new`, given how many there are."""
    ways = _log_choose(new, count) + _log_choose(base, failed - count)
    return math.exp(ways - _log_choose(base + new, failed))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def newcombe_interval(base: Proportion, new: Proportion, level: float = LEVEL) -> Interval:
    """Return the confidence interval of new less base.

    R. Newcombe, "Interval Estimation for the Difference Between Independent Proportions", Statistics in Medicine 17,
    1998, method 10: a hybrid of two Wilson intervals. Unlike Wald's it has a width where no request failed.
    """
    (base_low, base_high), (new_low, new_high) = _wilson_interval(base, level), _wilson_interval(new, level)
    difference = new.value - base.value
    low = difference - math.hypot(new.value - new_low, base_high - base.value)
    high = difference + math.hypot(new_high - new.value, base.value - base_low)
    return Interval(low, high, level)


def _wilson_interval(share: Proportion, level: float) -> tuple[float, float]:
    """Return the score interval of E. Wilson, "Probable Inference, the Law of Succession", JASA 22, 1927."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (share.value + z**2 / (2 * share.n)) / (1 + z**2 / share.n)
    half = z * math.sqrt(share.value * (1 - share.value) / share.n + z**2 / (4 * share.n**2)) / (1 + z**2 / share.n)
    return middle - half, middle + half
