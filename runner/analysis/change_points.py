"""Change points in the history of a level: from which run on it was another one, by how much, and how sure that is.

A split is looked for where the ranks of the runs before and after it differ most, and kept if they would differ as much
in at most a share `alpha` of all orders of these runs (A. Pettitt, "A Non-parametric Approach to the Change-Point
Problem", Applied Statistics 28, 1979, with each split weighed by its variance); then both parts are split likewise (L.
Vostrikova, "Detecting Disorder in Multidimensional Random Processes", Soviet Mathematics Doklady 24, 1981). Ranks, so
that one bad night is no change. Neighbouring runs may be alike, which no permutation knows: a change must also be
significant by Student's t with the variance that such a series has, and at least the smallest that matters.

Pure: logarithms of levels, or shares, in the order of time in, changes out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runner.analysis.autocorrelation import IN_INTERVALS, add_caution, autocorrelation, variance_inflation
from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.student_t import quantile, two_sided_p

FEWEST_A_SIDE = 3
"""Of two runs alone it cannot be told whether a level or a bad day began."""

ALPHA = 0.01
MIN_CHANGE = 0.05
"""Smaller changes of a level are not reported, as a ratio less one."""

DRAWS = 1_999
SEED = 7
RANKS_AT_ONCE = 16_000
"""Ranks of orders that are drawn together. Those of all orders of ten thousand runs would take 160 MB, and what is too
large for the cache and is fetched from the system each time takes twice as long."""

BEYOND_CHANCE = 1e-6
"""Below this p-value no orders are drawn: of so many, none would be as clear."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The level was another one from run `at` on, counted from 0, up to the next change.

    `ratio` is that of the geometric means of the runs after it and before it, up to the neighbouring changes; `before`
    and `after` are their numbers. Of shares it is None, and `difference` is that of the means, which is None for all
    else. `p` is the larger one of both tests.
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
    """Return the changes of levels above 0, or of shares, in the order of time."""
    values = np.array(levels, dtype=np.float64)
    return find_share_changes(values) if is_share else find_changes(np.log(values))


def find_changes(logs: Floats, alpha: float = ALPHA, min_change: float = MIN_CHANGE) -> tuple[ChangePoint, ...]:
    """Return the changes of a level, in the order of time.

    Args:
        logs: logarithms of levels; shape (runs,).
        alpha: the level of each test.
        min_change: the smallest ratio less one that matters, in either direction.

    """
    return tuple(
        replace(each, ratio=math.exp(each.difference or 0.0), difference=None, interval=each.interval.exponential())
        for each in find_share_changes(logs, alpha, math.log1p(min_change))
    )


def find_share_changes(shares: Floats, alpha: float = ALPHA, min_change: float = MIN_CHANGE) -> tuple[ChangePoint, ...]:
    """Return the changes of a share, in the order of time; they have a difference in place of a ratio.

    Args:
        shares: shape (runs,).
        alpha: the level of each test.
        min_change: the smallest difference that matters, in either direction.

    """
    p_of = cache(lambda start, at, end: _p_of_split(shares[start:end], at - start, alpha))
    places = _place_again(shares, _split(shares, 0, alpha))
    while places:
        # Between its neighbours as they are now: the p-value of a change beside one that was dropped is another.
        ends = [0, *places, len(shares)]
        changes = _measure(shares, {at: p_of(*ends[number : number + 3]) for number, at in enumerate(places)})
        weakest = max(changes, key=lambda change: change.p)
        small = {change.at for change in changes if abs(change.difference or 0.0) < min_change}
        dropped = {weakest.at} if weakest.p > alpha else small
        if not dropped:
            return changes
        places = [at for at in places if at not in dropped]
    return ()


def _split(logs: Floats, offset: int, alpha: float) -> list[int]:
    """Return the places at which a series splits, counted from an offset."""
    if len(logs) < 2 * FEWEST_A_SIDE:
        return []
    at = _best_split(logs)
    if _p_of_split(logs, at, alpha) > alpha:
        return []
    return [*_split(logs[:at], offset, alpha), offset + at, *_split(logs[at:], offset + at, alpha)]


def _place_again(logs: Floats, places: list[int]) -> list[int]:
    """Return where each change splits the runs between its neighbours best: it was found with further ones there."""
    ends = [0, *places, len(logs)]
    for number in range(1, len(ends) - 1):
        before, after = ends[number - 1], ends[number + 1]
        ends[number] = before + _best_split(logs[before:after])
    return ends[1:-1]


def _best_split(logs: Floats) -> int:
    """Return the place at which a series of six runs or more splits best."""
    return int(np.argmax(_contrasts(_mid_ranks(logs)[None, :])[0])) + FEWEST_A_SIDE


def _mid_ranks(values: Floats) -> Floats:
    """Return the ranks of values, equal ones sharing theirs; shape (runs,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _contrasts(ranks: Floats) -> Floats:
    """Return how far the mean ranks before and after each possible split differ, in standard errors.

    Args:
        ranks: one order of the runs a row; shape (orders, runs).

    Returns:
        shape (orders, splits); the first split has FEWEST_A_SIDE runs before it.

    """
    runs = ranks.shape[1]
    before = np.arange(FEWEST_A_SIDE, runs - FEWEST_A_SIDE + 1)
    excess = np.cumsum(ranks - ranks.mean(axis=1, keepdims=True), axis=1)[:, before - 1]
    contrasts: Floats = np.abs(excess) * np.sqrt(runs / (before * (runs - before)))
    return contrasts


def _p_of_split(logs: Floats, at: int, alpha: float) -> float:
    """Return the share of all orders, the observed one among them, whose best split is at least as clear as this one.

    No more orders are drawn when it is certain to be above `alpha` (J. Besag and P. Clifford, "Sequential Monte Carlo
    p-values", Biometrika 78, 1991), nor any if it is certain that none would be as clear.
    """
    ranks = _mid_ranks(logs)
    observed, as_clear = float(_contrasts(ranks[None, :])[0, at - FEWEST_A_SIDE]), 0
    if _bound_of_best(observed, len(ranks)) < BEYOND_CHANCE:
        return 1 / (DRAWS + 1)
    rng, at_once = np.random.default_rng(SEED), max(1, RANKS_AT_ONCE // len(ranks))
    for start in range(0, DRAWS, at_once):
        orders = rng.permuted(np.broadcast_to(ranks, (min(at_once, DRAWS - start), len(ranks))), axis=1)
        as_clear += int(np.count_nonzero(_contrasts(orders).max(axis=1) >= observed - 1e-9))
        if as_clear + 1 > alpha * (DRAWS + 1):
            return (as_clear + 1) / (min(start + at_once, DRAWS) + 1)
    return (as_clear + 1) / (DRAWS + 1)


def _bound_of_best(contrast: float, runs: int) -> float:
    """Return an upper bound of the share of all orders whose best split is at least so clear.

    That of each split by W. Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58, 1963,
    section 6, for the sum of the smaller part, and no more than their sum for the best.
    """
    return 2 * runs * math.exp(-((contrast / runs) ** 2))


def _measure(logs: Floats, found: dict[int, float]) -> tuple[ChangePoint, ...]:
    """Return the changes at these places, with the variance that all parts have in common."""
    ends = [0, *sorted(found), len(logs)]
    parts = [logs[start:end] for start, end in pairwise(ends)]
    residuals = np.concatenate([part - part.mean() for part in parts])[None, :]
    correlation = add_caution(autocorrelation(residuals), len(logs), IN_INTERVALS)
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
    """Return the p-value of a shift with this standard error, and its interval."""
    of_freedom = np.array([degrees])
    t = np.array([math.inf if error == 0 else shift / error])
    half = float(quantile((1 + LEVEL) / 2, of_freedom)[0]) * error
    return float(two_sided_p(t, of_freedom)[0]), Interval(shift - half, shift + half)
