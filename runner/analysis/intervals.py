"""Confidence intervals of medians and percentiles; none where the sample is too small for one.

What is estimated is the quantile over these questions, as a longer run of the same suite would show it: the variation
between rounds counts, the one between questions does not, since they are always the same. Pure and without chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.analysis.autocorrelation import IN_INTERVALS, add_caution, autocorrelation, mean_of_rounds
from runner.analysis.student_t import quantile_of
from runner.core.percentiles import smallest_sample

LEVEL = 0.95

FEWEST_UNITS = 6
"""Of five rounds or fewer, all lie on one side of the median with a probability above 5 %."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval: it holds the true value in a share `level` of all repetitions of the experiment."""

    low: float
    high: float
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        """Return whether a value lies in the interval, ends included."""
        return self.low <= value <= self.high

    def exponential(self) -> "Interval":
        """Return the interval of a ratio, from that of its logarithm."""
        return Interval(math.exp(self.low), math.exp(self.high), self.level)


def median_interval(values: Sequence[float], rounds: Sequence[int] | None = None) -> Interval | None:
    """Return the 95 % interval of a median; None for fewer than six rounds, or six values without rounds.

    R. Woodruff, "Confidence Intervals for Medians and Other Position Measures", JASA 47, 1952: the interval of the
    share of values below the median, from the differences between rounds, is read as two quantiles. It ends at the
    extremes at most, which hold the median of six independent rounds with 96.9 %, and of more with more.

    Args:
        values: any unit; the ends of the interval have the same.
        rounds: the round of each value; without them each value is a round by itself.

    """
    found = _clustered_ranks(values, 0.5, rounds, FEWEST_UNITS)
    return None if found is None else _between(values, found)


def _clustered_ranks(
    values: Sequence[float], share: float, rounds: Sequence[int] | None, fewest: int
) -> tuple[int, int] | None:
    """Return the ranks, from 1, between which the quantile lies; None for fewer than `fewest` rounds."""
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
    """Return how much rounds resemble their neighbours: in the values beyond the quantile, or in the mean rank.

    A few values beyond a percentile show a spell less clearly than all values do.
    """
    ranks = np.unique(np.asarray(values, dtype=float), return_inverse=True)[1]
    means = np.bincount(of_round, weights=ranks) / np.bincount(of_round)
    found = np.maximum(autocorrelation(excess), autocorrelation(means[None, :]))
    return add_caution(found, excess.shape[1], IN_INTERVALS)


def _between(values: Sequence[float], ranks: tuple[int, int]) -> Interval:
    ascending = sorted(values)
    return Interval(ascending[ranks[0] - 1], ascending[ranks[1] - 1])


def percentile_interval(
    values: Sequence[float], percent: float, rounds: Sequence[int] | None = None
) -> Interval | None:
    """Return the 95 % interval of a percentile; None where the sample, or the number of rounds, is too small.

    With rounds it is Woodruff's (see `median_interval`), never narrower than the one of independent values by order
    statistics, which p95 needs 72 of, p99 368: H. David and H. Nagaraja, "Order Statistics", 3rd edition, 2003, section
    7.1. Of rounds it needs as many as the percentile needs values: 20 for p95, one of which is expected beyond it. The
    ends are in the unit of the values.
    """
    ranks = _interval_ranks(len(values), percent / 100, (1 - LEVEL) / 2)
    if ranks is not None and rounds is not None:
        fewest = max(FEWEST_UNITS, smallest_sample(percent))
        clustered = _clustered_ranks(values, percent / 100, rounds, fewest)
        ranks = clustered and (min(ranks[0], clustered[0]), max(ranks[1], clustered[1]))
    return None if ranks is None else _between(values, ranks)


def _interval_ranks(n: int, share: float, tail: float) -> tuple[int, int] | None:
    """Return the innermost ranks, from 1, beyond which the quantile lies with a probability of at most `tail` each.

    The quantile is below the r-th smallest value if fewer than r values are below the quantile.
    """
    below = np.cumsum(_binomial(n, share))
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
