"""Confidence intervals of medians and percentiles; none where the sample is too small for one.

Medians: bootstrap over blocks, so that variation between blocks widens the interval. Percentiles: order statistics,
which assume nothing about the distribution. Pure; the bootstrap is seeded: equal samples have equal intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95

FEWEST_UNITS = 6
"""Of five values or fewer, all lie on one side of the median with a probability above 5 %."""

MOST_RESAMPLES, FEWEST_RESAMPLES, WORK = 10_000, 200, 4_000_000
"""There are WORK / values resamples, within these bounds: large samples have narrow intervals, which need fewer."""

_CHUNK = 250_000
"""Cells of one batch of resamples: few enough for a processor's cache, which takes a third of the time."""

_MANY_DEGREES = 1000
"""From this many degrees of freedom on, the expansion of Student's t about the normal is exact to ten digits."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval: it holds the true value in a share `level` of all repetitions of the experiment."""

    low: float
    high: float
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        """Return whether a value lies in the interval, ends included."""
        return self.low <= value <= self.high


def median_interval(
    values: Sequence[float], blocks: Sequence[int] | None = None, *, level: float = LEVEL, seed: int = 0
) -> Interval | None:
    """Return the confidence interval of a median by bootstrap over blocks; None for fewer than six values.

    The percentile bootstrap with its tails widened for few units: T. Hesterberg, "What Teachers Should Know About the
    Bootstrap", The American Statistician 69, 2015, section 5.3, "expanded percentile".

    Args:
        values: any unit; the ends of the interval have the same.
        blocks: the block of each value. With fewer than six blocks the variation between blocks is unknown: then, or
            without blocks, each value is resampled by itself, and the interval is valid for the time of the run alone.
        level: the confidence level.
        seed: of the bootstrap.

    """
    units = _units(len(values), blocks)
    count = len(np.unique(units))
    if count < FEWEST_UNITS:
        return None
    medians = _resampled_medians(np.asarray(values, dtype=float), units, seed)
    tail = expanded_tail((1 - level) / 2, count)
    low, high = np.quantile(medians, [tail, 1 - tail], method="inverted_cdf")
    return Interval(float(low), float(high), level)


def _units(count: int, blocks: Sequence[int] | None) -> Ints:
    """Return the number of each of `count` values' resampling unit, from 0: its block, or itself if blocks are few."""
    if blocks is not None:
        labels: Ints = np.unique(np.asarray(blocks), return_inverse=True)[1]
        if len(np.unique(labels)) >= FEWEST_UNITS:
            return labels
    return np.arange(count)


def _resampled_medians(values: Floats, units: Ints, seed: int) -> Floats:
    """Return the median of each resample, which has as many units as the sample, drawn with replacement.

    Args:
        values: one number per value; shape (values,).
        units: the unit of each value, from 0; shape (values,).
        seed: of the random numbers.

    Returns:
        medians in the unit of the values; shape (resamples,).

    """
    rng = np.random.default_rng(seed)
    order = np.argsort(values, kind="stable")
    ascending, owners = values[order], units[order]
    resamples = min(max(WORK // len(values), FEWEST_RESAMPLES), MOST_RESAMPLES)
    rows = max(1, _CHUNK // len(values))
    parts = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    return np.concatenate([_weighted_medians(ascending, _draw(rng, part, units)[:, owners]) for part in parts])


def _draw(rng: np.random.Generator, resamples: int, units: Ints) -> Counts:
    """Return how often each unit is in each resample; shape (resamples, number of units)."""
    count = int(units.max()) + 1
    drawn = rng.integers(count, size=(resamples, count)) + count * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.int32)


def _weighted_medians(ascending: Floats, weights: Counts) -> Floats:
    """Return the median of the values repeated by their weights, for each row of weights.

    Args:
        ascending: sorted values; shape (values,).
        weights: how often each value counts; shape (resamples, values).

    Returns:
        medians in the unit of the values; shape (resamples,).

    """
    reached = np.cumsum(weights, axis=1, dtype=np.int32)
    total = reached[:, -1:]
    lower = np.argmax(reached >= (total + 1) // 2, axis=1)
    upper = np.argmax(reached >= total // 2 + 1, axis=1)
    medians: Floats = (ascending[lower] + ascending[upper]) / 2
    return medians


def expanded_tail(tail: float, units: int) -> float:
    """Return the share of the bootstrap distribution to cut off on each side, smaller for few units.

    The bootstrap takes no account of an estimated variance (Student's t for the normal) and divides by n (Hesterberg,
    see `median_interval`).
    """
    stretched = math.sqrt(units / (units - 1)) * t_quantile(1 - tail, units - 1)
    return math.erfc(stretched / math.sqrt(2)) / 2


def t_quantile(share: float, degrees: int) -> float:
    """Return the quantile of Student's t at a share of at least 0.5, by bisection.

    For many degrees of freedom it is expanded about the normal's: M. Abramowitz and I. Stegun, "Handbook of
    Mathematical Functions", 1964, 26.7.5.
    """
    if degrees >= _MANY_DEGREES:
        z = NormalDist().inv_cdf(share)
        first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        return z + first / degrees + second / degrees**2 + third / degrees**3
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, degrees) < share else (low, middle)
    return high


def t_cdf(value: float, degrees: int) -> float:
    """Return the distribution function of Student's t for whole degrees of freedom.

    M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 1964, 26.7.3 and 26.7.4.
    """
    angle = math.atan2(value, math.sqrt(degrees))
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    series = term if degrees > 1 else 0.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * math.cos(angle) ** 2
        series += term
    within = 2 / math.pi * (angle + math.sin(angle) * series) if odd else math.sin(angle) * series
    return (1 + within) / 2


def percentile_interval(values: Sequence[float], percent: float, *, level: float = LEVEL) -> Interval | None:
    """Return the confidence interval of a percentile by order statistics; None where the sample is too small.

    p95 needs 72 values, p99 needs 368. Conservative for independent values of any continuous distribution: H. David
    and H. Nagaraja, "Order Statistics", 3rd edition, 2003, section 7.1. The ends are in the unit of the values.
    """
    ranks = _interval_ranks(len(values), percent / 100, (1 - level) / 2)
    if ranks is None:
        return None
    ascending = sorted(values)
    return Interval(ascending[ranks[0] - 1], ascending[ranks[1] - 1], level)


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
