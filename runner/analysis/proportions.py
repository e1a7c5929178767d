"""Shares of requests: their design effect by rounds, Fisher's exact test, intervals, and sample sizes."""

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
    """A count out of `n`, which is at least 1. Both may be fractional after a division by a design effect."""

    count: float
    n: float

    @property
    def value(self) -> float:
        """The proportion, from 0 to 1."""
        return self.count / self.n

    @classmethod
    def of(cls, counts: "CountsByRound") -> Self:
        """Return the proportion of all rounds together."""
        return cls(float(counts[0].sum()), float(counts[1].sum()))

    def divided(self, effect: float) -> "Proportion":
        """Return the same proportion for the effective number of independent requests, `n` / `effect`."""
        n = max(1.0, self.n / effect)
        return Proportion(self.value * n, n)


BATCHES, MIN_BATCHES = (1, 2, 4), 8
"""Numbers of rounds in a batch to detect failures that come in spells, and the minimum number of batches of several
rounds to distinguish spells from chance."""

ENOUGH_BATCHES = 16
"""Minimum number of batches for a size in `batch_sizes`."""

CountsByRound = tuple[Floats, Floats]
"""Numbers of counted requests (failed, slow, ...) and of all requests of each round, in the order of rounds."""


def count_by_round(marks: NDArray[Any], rounds: NDArray[Any]) -> CountsByRound:
    """Return the numbers of counted requests and of all requests of each round; shape (rounds,) each.

    Args:
        marks: 1 for each request that counts, 0 for each that does not, NaN to leave one out; shape (requests,).
        rounds: the round, or another cluster, of each request; shape (requests,).

    """
    marks = marks.astype(np.float64)
    known = ~np.isnan(marks)
    of_request = np.unique(rounds[known], return_inverse=True)[1]
    counted = np.bincount(of_request, weights=marks[known]).astype(np.float64)
    return counted, np.bincount(of_request).astype(np.float64)


BY_CHANCE = 0.9
"""Quantile of the dispersion of independent requests up to which a dispersion is attributed to chance."""

CLEARLY_TOGETHER, CAUTION = 0.999, 0.1
"""Quantile of the dispersion of independent requests above which failures are clustered, and the level of the upper
limit then used as the design effect. The effect is as uncertain as any variance; it exceeds the limit with this
probability."""


def design_effect(*arms: CountsByRound, batches: Sequence[int] = BATCHES) -> float:
    """Return the variance of a difference of shares relative to that of independent requests, at least 1.

    It covers all arms together. It is the largest effect over batches of one, two and four rounds, or of `batches`,
    because an outage may outlast a round. J. Rao and A. Scott, "A Simple Method for the Analysis of Clustered Binary
    Data", Biometrics 48, 1992.
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
    """Return the batch sizes to try: powers of two with at least ENOUGH_BATCHES batches each.

    A queue that fills is slow for many consecutive requests, far longer than a round of one request.
    """
    return [1, *(size for size in (2**power for power in range(1, 20)) if clusters // size >= ENOUGH_BATCHES)]


def are_clustered(*arms: CountsByRound) -> bool:
    """Return whether failures are clustered in rounds, or in batches of rounds, clearly more than by chance."""
    found = [_dispersion(arms, size) for size in BATCHES]
    return any(
        degrees and ratio * degrees > chi_squared_quantile(CLEARLY_TOGETHER, degrees) for ratio, degrees in found
    )


def _dispersion(arms: Sequence[CountsByRound], size: int) -> tuple[float, float]:
    """Return the dispersion of the difference of two shares, or of one share, and its degrees of freedom.

    The arms are weighted by their variances, so that an arm with a single failure does not dominate the other. The
    degrees of freedom are those of F. Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
    Biometrics Bulletin 2, 1946.
    """
    parts = [_dispersion_of_arm(failed, tried, size) for failed, tried in arms]
    variance = sum(part[0] for part in parts)
    if not variance:
        return 0.0, 0.0
    dispersion = sum(part[0] * part[1] for part in parts) / variance
    return dispersion, variance**2 / sum(part[0] ** 2 / part[2] for part in parts if part[0])


def _dispersion_of_arm(failed: Floats, tried: Floats, size: int) -> tuple[float, float, int]:
    """Return the variance of a share of independent requests, Pearson's dispersion, and its degrees of freedom.

    All are 0 with too few batches of this number of rounds, or if the share is 0 or 1.
    """
    requests, batches = float(tried.sum()), len(failed) // size
    share = float(failed.sum()) / requests
    if not 0 < share < 1 or batches < (MIN_BATCHES if size > 1 else 2):
        return 0.0, 0.0, 0
    starts = np.arange(batches) * size
    of_batch, total = np.add.reduceat(failed, starts), np.add.reduceat(tried, starts)
    squares = float(((of_batch - share * total) ** 2 / (total * share * (1 - share))).sum())
    return share * (1 - share) / requests, squares / (batches - 1), batches - 1


def fisher_p(base: Proportion, new: Proportion) -> float:
    """Return the two-sided p-value of Fisher's exact test: twice the smaller hypergeometric tail, at most 1.

    R. Fisher, "The Logic of Inductive Inference", Journal of the Royal Statistical Society 98, 1935. Of the ways to
    make the test two-sided, doubling agrees with two one-sided tests. Counts are rounded to integers.
    """
    failures, sizes = (round(base.count), round(new.count)), (round(base.n), round(new.n))
    failed = sum(failures)
    counts = range(max(0, failed - sizes[0]), min(sizes[1], failed) + 1)
    probabilities = [_hypergeometric(count, failed, *sizes) for count in counts]
    at = failures[1] - counts.start
    return min(1.0, 2 * min(math.fsum(probabilities[: at + 1]), math.fsum(probabilities[at:])))


def smallest_fisher_p(base: int, new: int) -> float:
    """Return the smallest p-value of two arms of these sizes, in which one arm always failed and the other never."""
    return min(1.0, 2 * math.exp(-_log_choose(base + new, new)))


def _hypergeometric(count: int, failed: int, base: int, new: int) -> float:
    """Return the probability that `count` of the `failed` requests are in `new`."""
    ways = _log_choose(new, count) + _log_choose(base, failed - count)
    return math.exp(ways - _log_choose(base + new, failed))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def newcombe_interval(base: Proportion, new: Proportion) -> Interval:
    """Return the 95 % interval of new minus base.

    R. Newcombe, "Interval Estimation for the Difference Between Independent Proportions", Statistics in Medicine 17,
    1998, method 10: a hybrid of two Wilson intervals. Unlike Wald's, it has a positive width if no request failed.
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
    """Return Wilson's interval of a share of n, for z standard errors on either side."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def fewest_above(share: float) -> int:
    """Return the minimum n for which Wilson's interval of n out of n lies at or above a share, which is below 1."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    return math.ceil(z**2 * share / (1 - share))


MAX_REQUESTS = 1_000_000
"""Maximum number of requests to consider."""

PLAUSIBLE, ENOUGH_FOR, POWER = (1 / 6, 3 / 6, 5 / 6), 0.6, 0.8
"""Levels of intervals whose ends are six equally plausible values of a share; the share of the 36 pairs of such values
for which a number of requests must be enough; and the power with which it must be."""


def requests_needed(
    base: Proportion, new: Proportion, effect: float, least: float, level: float, *, enough_for: float = ENOUGH_FOR
) -> float:
    """Return the number of requests per side that should decide on a difference of shares; may be infinite.

    The shares in a small sample are uncertain, so they are not taken as the true ones. The number is enough for most
    pairs of shares that are plausible given the sample. A. O'Hagan, J. Stevens and M. Campbell, "Assurance in Clinical
    Trial Design", Pharmaceutical Statistics 4, 2005.

    Args:
        base: share of the base.
        new: share of the new side.
        effect: the design effect.
        least: the minimum effect.
        level: significance level of the test.
        enough_for: share of the pairs of plausible values for which the number must be enough.

    """
    sides = [
        [end for plausible in PLAUSIBLE for end in wilson_interval(share.divided(effect), plausible)]
        for share in (base, new)
    ]
    needed = sorted(_requests_if(old, now, least, level) for old in sides[0] for now in sides[1])
    return effect * needed[math.ceil(enough_for * len(needed)) - 1]


def _requests_if(base: float, new: float, least: float, level: float) -> float:
    """Return the number of independent requests that decide with probability POWER if these are the true shares."""
    variance, difference, normal = base * (1 - base) + new * (1 - new), abs(new - base), NormalDist()
    if difference < least:
        allowance = normal.inv_cdf((1 + POWER) / 2) * math.sqrt(variance)
        return _requests_within(base, new, least, allowance)
    if difference == least:
        return math.inf
    middle, z = (base + new) / 2, normal.inv_cdf(POWER)
    of_test = normal.inv_cdf(1 - level / 2) * math.sqrt(2 * middle * (1 - middle))
    significant = (of_test + z * math.sqrt(variance)) / difference
    return max(significant, z * math.sqrt(variance) / (difference - least)) ** 2


def _requests_within(base: float, new: float, least: float, spread: float) -> float:
    """Return the number of requests with which the whole interval lies within the minimum effect.

    `spread` is the deviation of the estimate to allow for, multiplied by the square root of the number of requests.
    """

    def is_enough(count: int) -> bool:
        interval = newcombe_interval(Proportion(base * count, count), Proportion(new * count, count))
        margin = least - spread / math.sqrt(count)
        return -margin < interval.low and interval.high < margin

    too_few, enough = 0, 1
    while not is_enough(enough):
        if enough > MAX_REQUESTS:
            return math.inf
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if is_enough(middle) else (middle, enough)
    return enough
