"""Medians and percentiles, and their confidence intervals, which are None if the sample is too small.

The estimate is the quantile over these questions that a longer run of the same suite would show. Variation between
rounds counts; variation between questions does not, because the questions are fixed. All functions are pure and
deterministic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median as median_of

import numpy as np
from numpy.typing import NDArray

from runner.analysis.autocorrelation import IN_INTERVALS, autocorrelation, mean_of_rounds, with_margin
from runner.analysis.student_t import quantile_of
from runner.core.percentiles import MEDIAN, name_extreme, name_percentile, nearest_rank, smallest_sample

LEVEL = 0.95

MIN_UNITS = 6
"""Minimum number of rounds; five or fewer all lie on one side of the median with a probability above 5 %."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, which contains the true value in a share `level` of repetitions of the experiment."""

    low: float
    high: float
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        """Return whether a value lies in the interval, including its ends."""
        return self.low <= value <= self.high

    def exponential(self) -> "Interval":
        """Return the interval of a ratio from that of its logarithm."""
        return Interval(math.exp(self.low), math.exp(self.high), self.level)


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic with its name (`p50`, `p95`, `max`, `slow`) and the number of requests behind it."""

    name: str
    value: float
    n: int
    interval: Interval | None = None
    """95 % confidence interval; None if the sample is too small."""


def median(values: Sequence[float], rounds: Sequence[int] | None = None) -> Statistic | None:
    """Return the median, which is the mean of the middle two for an even number of values; None without values.

    Args:
        values: any number of values, in any unit.
        rounds: round of each value, for the interval; see `median_interval`.

    """
    if not values:
        return None
    return Statistic("p50", median_of(values), len(values), median_interval(values, rounds))


def percentile(values: Sequence[float], percent: float, rounds: Sequence[int] | None = None) -> Statistic | None:
    """Return a percentile by nearest rank, which is an observed value; None without values.

    If the sample is too small, return the maximum (for percentiles below the median, the minimum) under that name.
    Nearest rank is definition 1 of R. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The American
    Statistician 50, 1996: the inverse of the empirical distribution function.

    Args:
        values: any number of values, in any unit.
        percent: the percentile, between 0 and 100.
        rounds: round of each value, for the interval; see `percentile_interval`.

    """
    if not values:
        return None
    name, value = percentile_or_extreme(values, percent)
    supported = len(values) >= smallest_sample(percent)
    return Statistic(name, value, len(values), percentile_interval(values, percent, rounds) if supported else None)


def percentile_or_extreme(values: Sequence[float], percent: float) -> tuple[str, float]:
    """Return the name and the value of a percentile by nearest rank, or of the extreme if the sample is too small."""
    n = len(values)
    if n < smallest_sample(percent):
        return name_extreme(percent), max(values) if percent >= MEDIAN else min(values)
    return name_percentile(percent), sorted(values)[nearest_rank(percent, n) - 1]


def median_interval(values: Sequence[float], rounds: Sequence[int] | None = None) -> Interval | None:
    """Return the 95 % interval of a median; None for fewer than six rounds, or fewer than six values without rounds.

    The interval of the share of values below the median, from the variation between rounds, is converted to two
    quantiles: R. Woodruff, "Confidence Intervals for Medians and Other Position Measures", JASA 47, 1952. It is limited
    to the extremes, which contain the median of six independent rounds with a probability of 96.9 %, and that of more
    rounds with a higher one.

    Args:
        values: in any unit, which is also that of the interval; shape (values,).
        rounds: round of each value; without them each value is a round by itself.

    """
    found = _clustered_ranks(values, 0.5, rounds, MIN_UNITS)
    return None if found is None else _between(values, found)


def _clustered_ranks(
    values: Sequence[float], share: float, rounds: Sequence[int] | None, fewest: int
) -> tuple[int, int] | None:
    """Return the ranks, from 1, of the ends of a quantile's interval; None for fewer than `fewest` rounds."""
    count = len(values)
    if count < fewest:
        return None
    ordered = np.sort(np.asarray(values, dtype=float))
    below = np.asarray(values, dtype=float) <= ordered[max(math.ceil(share * count), 1) - 1]
    of_round = np.arange(count) if rounds is None else np.unique(np.asarray(rounds), return_inverse=True)[1]
    excess = np.bincount(of_round, weights=below - below.mean())[None, :].astype(np.float64)
    number = excess.shape[1]
    if number < fewest:
        return None
    found = mean_of_rounds(excess, _correlation(values, of_round, excess))
    error = math.sqrt(float(found.variance[0])) * number / count
    half = quantile_of((1 + LEVEL) / 2, float(found.degrees[0])) * error
    low, high = math.ceil((share - half) * count - 1e-9), math.floor((share + half) * count + 1e-9) + 1
    return max(low, 1), min(high, count)


def _correlation(values: Sequence[float], of_round: NDArray[np.intp], excess: Floats) -> Floats:
    """Return the autocorrelation of rounds: the larger one of their values beyond the quantile and their mean ranks.

    A few values beyond a percentile show a spell less clearly than all values do.
    """
    ranks = np.unique(np.asarray(values, dtype=float), return_inverse=True)[1]
    means = np.bincount(of_round, weights=ranks) / np.bincount(of_round)
    found = np.maximum(autocorrelation(excess), autocorrelation(means[None, :]))
    return with_margin(found, excess.shape[1], IN_INTERVALS)


def _between(values: Sequence[float], ranks: tuple[int, int]) -> Interval:
    ascending = sorted(values)
    return Interval(ascending[ranks[0] - 1], ascending[ranks[1] - 1])


def percentile_interval(
    values: Sequence[float], percent: float, rounds: Sequence[int] | None = None
) -> Interval | None:
    """Return the 95 % interval of a percentile, in the unit of the values; None with too few values or rounds.

    The interval by order statistics for independent values needs 72 values for p95 and 368 for p99: H. David and H.
    Nagaraja, "Order Statistics", 3rd edition, 2003, section 7.1. With rounds, it is widened to that of Woodruff (see
    `median_interval`), which needs as many rounds as the percentile needs values: 20 for p95, of which one is expected
    beyond it.
    """
    ranks = _interval_ranks(len(values), percent / 100)
    if ranks is not None and rounds is not None:
        fewest = max(MIN_UNITS, smallest_sample(percent))
        clustered = _clustered_ranks(values, percent / 100, rounds, fewest)
        ranks = clustered and (min(ranks[0], clustered[0]), max(ranks[1], clustered[1]))
    return None if ranks is None else _between(values, ranks)


def _interval_ranks(n: int, share: float) -> tuple[int, int] | None:
    """Return the innermost ranks, from 1, beyond each of which the quantile lies with a probability of at most 2.5 %.

    The quantile is below the r-th smallest value if fewer than r values are below the quantile. None if n is too small.
    """
    below, tail = np.cumsum(_binomial(n, share)), (1 - LEVEL) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return (low, high) if low >= 1 and high <= n else None


def _binomial(n: int, share: float) -> Floats:
    """Return the binomial probabilities of 0 to n successes in n tries; shape (n + 1,)."""
    k = np.arange(1, n + 1)
    steps = np.log((n - k + 1) / k) + math.log(share / (1 - share))
    logs = np.concatenate([[0.0], np.cumsum(steps)]) + n * math.log1p(-share)
    probabilities: Floats = np.exp(logs)
    return probabilities
