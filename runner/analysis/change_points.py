"""Change points in a history of runs: the run from which a level changed, the size of the change, and its p-value.

A series is split where the ranks before and after differ most. The split is kept if the ranks differ as much in at most
a share `alpha` of all orders of the runs (A. Pettitt, "A Non-parametric Approach to the Change-Point Problem", Applied
Statistics 28, 1979, with each split weighted by its variance). Both parts are then split in the same way (L.
Vostrikova, "Detecting Disorder in Multidimensional Random Processes", Soviet Mathematics Doklady 24, 1981). Ranks
prevent a single outlier from becoming a change. A permutation test ignores that neighbouring runs may be correlated, so
a change must also be significant by Student's t with the variance of a correlated series, and large enough to matter.

All functions are pure. They take logarithms of levels, or shares, in the order of time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runner.analysis.autocorrelation import IN_INTERVALS, autocorrelation, variance_inflation, with_margin
from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.student_t import quantile_of, two_sided_p

MIN_PER_SIDE = 3
"""Minimum number of runs before and after a change; two alone do not distinguish a new level from outliers."""

ALPHA = 0.01
MIN_CHANGE = 0.05
"""Smallest change of a level that is reported, as a ratio minus 1."""

DRAWS = 1_999
SEED = 7
RANKS_AT_ONCE = 16_000
"""Number of ranks to permute at once. All orders of 10,000 runs at once would take 160 MB, and arrays that do not fit
into the CPU's cache and are newly allocated each time take twice as long."""

BEYOND_CHANCE = 1e-6
"""Upper bound of a p-value below which no orders are drawn, since none of DRAWS orders would be as extreme."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of level at run `at`, counted from 0, that lasts until the next change.

    `before` and `after` are the numbers of runs on either side, up to the neighbouring changes. `ratio` is the ratio of
    their geometric means (after / before); it is None for shares, which have `difference`, that of their means,
    instead. `p` is the larger p-value of the two tests.
    """

    at: int
    ratio: float | None
    interval: Interval
    p: float
    before: int
    after: int
    difference: float | None = None

    @property
    def is_rise(self) -> bool:
        """Return whether the level rose."""
        return self.difference > 0 if self.difference is not None else (self.ratio or 0.0) > 1


def find_level_changes(levels: Sequence[float], *, is_share: bool) -> tuple[ChangePoint, ...]:
    """Return the changes of positive levels, or of shares, in the order of time."""
    values = np.array(levels, dtype=np.float64)
    return find_share_changes(values) if is_share else find_changes(np.log(values))


def find_changes(logs: Floats, alpha: float = ALPHA, min_change: float = MIN_CHANGE) -> tuple[ChangePoint, ...]:
    """Return the changes of a level, in the order of time.

    Args:
        logs: logarithms of levels; shape (runs,).
        alpha: significance level of each test.
        min_change: smallest change to report, as a ratio minus 1, in either direction.

    """
    return tuple(
        replace(each, ratio=math.exp(each.difference or 0.0), difference=None, interval=each.interval.exponential())
        for each in find_share_changes(logs, alpha, math.log1p(min_change))
    )


def find_share_changes(shares: Floats, alpha: float = ALPHA, min_change: float = MIN_CHANGE) -> tuple[ChangePoint, ...]:
    """Return the changes of a share, in the order of time, with differences instead of ratios.

    Args:
        shares: shape (runs,).
        alpha: significance level of each test.
        min_change: smallest difference to report, in either direction.

    """
    p_of = cache(lambda start, at, end: _p_of_split(shares[start:end], at - start, alpha))
    places = _refine_splits(shares, _split(shares, 0, alpha))
    while places:
        # Dropping a change alters the p-values of its neighbours, which are computed between the remaining changes.
        ends = [0, *places, len(shares)]
        changes = _measure_changes(shares, {at: p_of(*ends[number : number + 3]) for number, at in enumerate(places)})
        weakest = max(changes, key=lambda change: change.p)
        small = {change.at for change in changes if abs(change.difference or 0.0) < min_change}
        dropped = {weakest.at} if weakest.p > alpha else small
        if not dropped:
            return changes
        places = [at for at in places if at not in dropped]
    return ()


def _split(logs: Floats, offset: int, alpha: float) -> list[int]:
    """Return the places at which a series splits, each plus `offset`."""
    if len(logs) < 2 * MIN_PER_SIDE:
        return []
    at = _best_split(logs)
    if _p_of_split(logs, at, alpha) > alpha:
        return []
    return [*_split(logs[:at], offset, alpha), offset + at, *_split(logs[at:], offset + at, alpha)]


def _refine_splits(logs: Floats, places: list[int]) -> list[int]:
    """Return the best split between the neighbours of each change, which was found when these were not known."""
    ends = [0, *places, len(logs)]
    for number in range(1, len(ends) - 1):
        before, after = ends[number - 1], ends[number + 1]
        ends[number] = before + _best_split(logs[before:after])
    return ends[1:-1]


def _best_split(logs: Floats) -> int:
    """Return the best split of a series of at least six runs."""
    return int(np.argmax(_contrasts(_mid_ranks(logs)[None, :])[0])) + MIN_PER_SIDE


def _mid_ranks(values: Floats) -> Floats:
    """Return the ranks of values, with the mean rank for equal ones; shape (runs,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _contrasts(ranks: Floats) -> Floats:
    """Return the difference of mean ranks at each possible split relative to its standard error, up to a common factor.

    Args:
        ranks: one order of the runs per row; shape (orders, runs).

    Returns:
        shape (orders, splits); the first split has MIN_PER_SIDE runs before it.

    """
    runs = ranks.shape[1]
    before = np.arange(MIN_PER_SIDE, runs - MIN_PER_SIDE + 1)
    excess = np.cumsum(ranks - ranks.mean(axis=1, keepdims=True), axis=1)[:, before - 1]
    contrasts: Floats = np.abs(excess) * np.sqrt(runs / (before * (runs - before)))
    return contrasts


def _p_of_split(logs: Floats, at: int, alpha: float) -> float:
    """Return the share of orders, including the observed one, whose best split is at least as extreme as this one.

    No more orders are drawn once the share is certain to exceed `alpha` (J. Besag and P. Clifford, "Sequential Monte
    Carlo p-values", Biometrika 78, 1991), and none at all if a bound shows that no order would be as extreme.
    """
    ranks = _mid_ranks(logs)
    observed, as_extreme = float(_contrasts(ranks[None, :])[0, at - MIN_PER_SIDE]), 0
    if _bound_of_best(observed, len(ranks)) < BEYOND_CHANCE:
        return 1 / (DRAWS + 1)
    rng, at_once = np.random.default_rng(SEED), max(1, RANKS_AT_ONCE // len(ranks))
    for start in range(0, DRAWS, at_once):
        orders = rng.permuted(np.broadcast_to(ranks, (min(at_once, DRAWS - start), len(ranks))), axis=1)
        as_extreme += int(np.count_nonzero(_contrasts(orders).max(axis=1) >= observed - 1e-9))
        if as_extreme + 1 > alpha * (DRAWS + 1):
            return (as_extreme + 1) / (min(start + at_once, DRAWS) + 1)
    return (as_extreme + 1) / (DRAWS + 1)


def _bound_of_best(contrast: float, runs: int) -> float:
    """Return an upper bound of the share of all orders whose best split is at least as extreme.

    It is the sum of the bounds of all splits. For each split it is the bound of W. Hoeffding, "Probability Inequalities
    for Sums of Bounded Random Variables", JASA 58, 1963, section 6, for the rank sum of the smaller part.
    """
    return 2 * runs * math.exp(-((contrast / runs) ** 2))


def _measure_changes(logs: Floats, found: dict[int, float]) -> tuple[ChangePoint, ...]:
    """Return the changes at these places, with the pooled variance of all parts."""
    ends = [0, *sorted(found), len(logs)]
    parts = [logs[start:end] for start, end in pairwise(ends)]
    residuals = np.concatenate([part - part.mean() for part in parts])[None, :]
    correlation = with_margin(autocorrelation(residuals), len(logs), IN_INTERVALS)
    degrees = len(logs) - len(parts)
    variance = float((residuals**2).sum()) / degrees
    changes = []
    for at, (before, after) in zip(sorted(found), pairwise(parts), strict=True):
        inflations = [float(variance_inflation(correlation, len(part))[0]) for part in (before, after)]
        error = math.sqrt(variance * (inflations[0] / len(before) + inflations[1] / len(after)))
        shift = float(after.mean() - before.mean())
        p, interval = _test_shift(shift, error, max(degrees / max(inflations), 1.0))
        changes.append(ChangePoint(at, None, interval, max(p, found[at]), len(before), len(after), shift))
    return tuple(changes)


def _test_shift(shift: float, error: float, degrees: float) -> tuple[float, Interval]:
    """Return the p-value of a shift with this standard error, and its confidence interval."""
    t = np.array([math.inf if error == 0 else shift / error])
    half = quantile_of((1 + LEVEL) / 2, degrees) * error
    return float(two_sided_p(t, np.array([degrees]))[0]), Interval(shift - half, shift + half)
