"""Failures of two arms as proportions: Fisher's exact test, and Newcombe's interval of the difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.student import chi_squared_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Proportion:
    """A count out of `n`; n is at least 1. Neither is whole where both were divided by a design effect."""

    count: float
    n: float

    @property
    def value(self) -> float:
        """The proportion itself."""
        return self.count / self.n

    def scaled(self, n: int) -> "Proportion":
        """Return the same proportion of another n, as nearly as whole counts allow."""
        return Proportion(round(self.value * n), n)

    def divided(self, effect: float) -> "Proportion":
        """Return the same proportion of fewer requests: as many independent ones as say as much."""
        n = max(1.0, self.n / effect)
        return Proportion(self.value * n, n)


BATCHES, FEWEST_BATCHES = (1, 2, 4), 8
"""Numbers of rounds that are taken together to see whether failures come in spells, and the fewest batches of several
rounds that tell it from chance."""

FailuresByRound = tuple[Floats, Floats]
"""How many requests of each round failed, and how many there were, in the order of rounds."""


CLEARLY_TOGETHER, CAUTION = 0.999, 0.2
"""Where the dispersion exceeds this quantile of what independent requests have, failures come together, and how much
they do is as uncertain as any variance: then the effect is taken at the end that it exceeds with so small a chance."""


def design_effect(*arms: FailuresByRound, batches: Sequence[int] = BATCHES) -> float:
    """Return by how much the variance of failures between rounds exceeds the binomial's: 1 at least.

    Of all arms together; the largest of those over batches of one, two and four rounds, or those given, since an outage
    may outlast a round. J. Rao and A. Scott, "A Simple Method for the Analysis of Clustered Binary Data", Biometrics
    48, 1992.
    """
    effects = [1.0]
    for size in batches:
        parts = [_dispersion(failed, tried, size) for failed, tried in arms]
        squares, degrees = sum(part[0] for part in parts), sum(part[1] for part in parts)
        if degrees:
            together = squares > chi_squared_quantile(CLEARLY_TOGETHER, degrees)
            effects.append(squares / (chi_squared_quantile(CAUTION, degrees) if together else degrees))
    return max(effects)


def _dispersion(failed: Floats, tried: Floats, size: int) -> tuple[float, int]:
    """Return Pearson's chi-squared of failures over batches of rounds, and its degrees of freedom."""
    share, batches = failed.sum() / tried.sum(), len(failed) // size
    if not 0 < share < 1 or batches < (FEWEST_BATCHES if size > 1 else 2):
        return 0.0, 0
    starts = np.arange(batches) * size
    of_batch, total = np.add.reduceat(failed, starts), np.add.reduceat(tried, starts)
    squares = (of_batch - share * total) ** 2 / (total * share * (1 - share))
    return float(squares.sum()), batches - 1


def fisher_p(base: Proportion, new: Proportion) -> float:
    """Return the two-sided p-value of Fisher's exact test: twice the smaller hypergeometric tail, 1 at most.

    R. Fisher, "The Logic of Inductive Inference", Journal of the Royal Statistical Society 98, 1935; of the ways to
    make it two-sided, doubling is the one that agrees with two one-sided tests. Counts are rounded to whole ones.
    """
    failures, sizes = (round(base.count), round(new.count)), (round(base.n), round(new.n))
    failed = sum(failures)
    counts = range(max(0, failed - sizes[0]), min(sizes[1], failed) + 1)
    probabilities = [_hypergeometric(count, failed, *sizes) for count in counts]
    at = failures[1] - counts.start
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
    (base_low, base_high), (new_low, new_high) = wilson_interval(base, level), wilson_interval(new, level)
    difference = new.value - base.value
    low = difference - math.hypot(new.value - new_low, base_high - base.value)
    high = difference + math.hypot(new_high - new.value, base.value - base_low)
    return Interval(low, high, level)


def wilson_interval(share: Proportion, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of E. Wilson, "Probable Inference, the Law of Succession", JASA 22, 1927."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (share.value + z**2 / (2 * share.n)) / (1 + z**2 / share.n)
    half = z * math.sqrt(share.value * (1 - share.value) / share.n + z**2 / (4 * share.n**2)) / (1 + z**2 / share.n)
    return middle - half, middle + half
