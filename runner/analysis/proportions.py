"""Shares of requests: how far they come together in rounds, Fisher's exact test, and intervals of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.student_t import chi_squared_quantile

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

    @classmethod
    def of(cls, counts: "CountsByRound") -> Self:
        """Return the proportion of all rounds together."""
        return cls(float(counts[0].sum()), float(counts[1].sum()))

    def divided(self, effect: float) -> "Proportion":
        """Return the same proportion of fewer requests: as many independent ones as say as much."""
        n = max(1.0, self.n / effect)
        return Proportion(self.value * n, n)


BATCHES, FEWEST_BATCHES = (1, 2, 4), 8
"""Numbers of rounds that are taken together to see whether failures come in spells, and the fewest batches of several
rounds that tell it from chance."""

ENOUGH_BATCHES = 16
"""The fewest batches whose dispersion `batch_sizes` has looked at."""

CountsByRound = tuple[Floats, Floats]
"""How many requests of each round failed, or were slow, and how many there were, in the order of rounds."""


def count_by_round(marks: NDArray[Any], rounds: NDArray[Any]) -> CountsByRound:
    """Return the counts of requests: 1 for one that counts, 0 for one that does not, NaN for one that is in no share.

    Args:
        marks: of each request; shape (requests,).
        rounds: of each request its round, or another cluster; likewise.

    """
    marks = marks.astype(np.float64)
    known = ~np.isnan(marks)
    of_request = np.unique(rounds[known], return_inverse=True)[1]
    counted = np.bincount(of_request, weights=marks[known]).astype(np.float64)
    return counted, np.bincount(of_request).astype(np.float64)


BY_CHANCE = 0.9
"""A dispersion below this quantile of what independent requests have is chance."""

CLEARLY_TOGETHER, CAUTION = 0.999, 0.1
"""Where the dispersion exceeds this quantile of what independent requests have, failures come together, and how much
they do is as uncertain as any variance: then the effect is taken at the end that it exceeds with so small a chance."""


def design_effect(*arms: CountsByRound, batches: Sequence[int] = BATCHES) -> float:
    """Return by how much the variance of a difference of shares exceeds that of independent requests: 1 at least.

    Of all arms together; the largest of those over batches of one, two and four rounds, or those given, since an outage
    may outlast a round. J. Rao and A. Scott, "A Simple Method for the Analysis of Clustered Binary Data", Biometrics
    48, 1992.
    """
    effects = [1.0]
    for size in batches:
        dispersion, degrees = _dispersion(arms, size)
        squares = dispersion * degrees
        if degrees and squares > chi_squared_quantile(BY_CHANCE, degrees):
            together = squares > chi_squared_quantile(CLEARLY_TOGETHER, degrees)
            effects.append(squares / (chi_squared_quantile(CAUTION, degrees) if together else degrees))
    return max(effects)


def batch_sizes(clusters: int) -> list[int]:
    """Return the numbers of clusters to take together: doubled while enough batches tell spells from chance.

    A queue that fills is slow for many requests in a row, far longer than a round of one request.
    """
    return [1, *(size for size in (2**power for power in range(1, 20)) if clusters // size >= ENOUGH_BATCHES)]


def come_together(*arms: CountsByRound) -> bool:
    """Return whether failures come together in rounds, or in batches of them, by clearly more than chance."""
    found = [_dispersion(arms, size) for size in BATCHES]
    return any(
        degrees and ratio * degrees > chi_squared_quantile(CLEARLY_TOGETHER, degrees) for ratio, degrees in found
    )


def _dispersion(arms: Sequence[CountsByRound], size: int) -> tuple[float, float]:
    """Return the dispersion of the difference of two shares, or of one share, and its degrees of freedom.

    That of each arm counts as its variance does: a single failure of one arm must not vouch for the other. The degrees
    of freedom are those of F. Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
    Biometrics Bulletin 2, 1946.
    """
    parts = [_dispersion_of_arm(failed, tried, size) for failed, tried in arms]
    variance = sum(part[0] for part in parts)
    if not variance:
        return 0.0, 0.0
    dispersion = sum(part[0] * part[1] for part in parts) / variance
    return dispersion, variance**2 / sum(part[0] ** 2 / part[2] for part in parts if part[0])


def _dispersion_of_arm(failed: Floats, tried: Floats, size: int) -> tuple[float, float, int]:
    """Return the variance of a share if requests were independent, Pearson's dispersion, and its degrees of freedom.

    All are 0 where there are too few batches of rounds of this size, or nothing varies.
    """
    requests, batches = float(tried.sum()), len(failed) // size
    share = float(failed.sum()) / requests
    if not 0 < share < 1 or batches < (FEWEST_BATCHES if size > 1 else 2):
        return 0.0, 0.0, 0
    starts = np.arange(batches) * size
    of_batch, total = np.add.reduceat(failed, starts), np.add.reduceat(tried, starts)
    squares = float(((of_batch - share * total) ** 2 / (total * share * (1 - share))).sum())
    return share * (1 - share) / requests, squares / (batches - 1), batches - 1


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


def newcombe_interval(base: Proportion, new: Proportion) -> Interval:
    """Return the 95 % interval of new less base.

    R. Newcombe, "Interval Estimation for the Difference Between Independent Proportions", Statistics in Medicine 17,
    1998, method 10: a hybrid of two Wilson intervals. Unlike Wald's it has a width where no request failed.
    """
    (base_low, base_high), (new_low, new_high) = wilson_interval(base), wilson_interval(new)
    difference = new.value - base.value
    low = difference - math.hypot(new.value - new_low, base_high - base.value)
    high = difference + math.hypot(new_high - new.value, base.value - base_low)
    return Interval(low, high)


def wilson_interval(share: Proportion, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of E. Wilson, "Probable Inference, the Law of Succession", JASA 22, 1927."""
    return score_interval(share.value, share.n, NormalDist().inv_cdf((1 + level) / 2))


def score_interval(share: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of n, which reaches z standard errors to either side."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def fewest_above(share: float) -> int:
    """Return of how few, if all count, Wilson's interval lies at a share (below 1) or above."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    return math.ceil(z**2 * share / (1 - share))


MOST_REQUESTS = 1_000_000
"""More are never thought of."""

PLAUSIBLE, ENOUGH_FOR, POWER = (1 / 6, 3 / 6, 5 / 6), 0.6, 0.8
"""The levels of intervals whose ends are six equally plausible values of a share; for how many of all 36 pairs of them
a number of requests is to be enough, and with which chance."""


def requests_needed(
    base: Proportion, new: Proportion, effect: float, least: float, level: float, *, enough_for: float = ENOUGH_FOR
) -> float:
    """Return how many requests on each side should be enough to decide on a difference of shares; may be infinite.

    What a small sample shows of two shares is uncertain, so it is not taken for the truth: the number is enough for
    most of the pairs of shares that are plausible after it. A. O'Hagan, J. Stevens and M. Campbell, "Assurance in
    Clinical Trial Design", Pharmaceutical Statistics 4, 2005.

    Args:
        base: of one side.
        new: of the other.
        effect: the design effect.
        least: the minimum effect.
        level: of the test.
        enough_for: the share of pairs of plausible values for which the number is to be enough.

    """
    sides = [
        [end for plausible in PLAUSIBLE for end in wilson_interval(share.divided(effect), plausible)]
        for share in (base, new)
    ]
    needed = sorted(_requests_if(old, now, least, level) for old in sides[0] for now in sides[1])
    return effect * needed[math.ceil(enough_for * len(needed)) - 1]


def _requests_if(base: float, new: float, least: float, level: float) -> float:
    """Return how many independent requests decide with the power if the shares are these."""
    variance, difference, normal = base * (1 - base) + new * (1 - new), abs(new - base), NormalDist()
    if difference < least:
        to_either_side = normal.inv_cdf((1 + POWER) / 2) * math.sqrt(variance)
        return _requests_within(base, new, least, to_either_side)
    if difference == least:
        return math.inf
    middle, z = (base + new) / 2, normal.inv_cdf(POWER)
    of_test = normal.inv_cdf(1 - level / 2) * math.sqrt(2 * middle * (1 - middle))
    significant = (of_test + z * math.sqrt(variance)) / difference
    return max(significant, z * math.sqrt(variance) / (difference - least)) ** 2


def _requests_within(base: float, new: float, least: float, spread: float) -> float:
    """Return of how many requests the whole interval lies within the minimum effect, wherever the power has it."""

    def is_enough(count: int) -> bool:
        interval = newcombe_interval(Proportion(base * count, count), Proportion(new * count, count))
        margin = least - spread / math.sqrt(count)
        return -margin < interval.low and interval.high < margin

    too_few, enough = 0, 1
    while not is_enough(enough):
        if enough > MOST_REQUESTS:
            return math.inf
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if is_enough(middle) else (middle, enough)
    return enough
