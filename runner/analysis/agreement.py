"""Krippendorff's alpha for nominal values: the agreement of several people, or of people and a judge.

Alpha is 1 for perfect agreement, 0 for agreement by chance, and negative if raters disagree more than by chance. Raters
may skip questions. K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt

import numpy as np

from runner.analysis.intervals import FEWEST_UNITS, LEVEL, Interval
from runner.analysis.student_t import quantile_of


@dataclass(frozen=True, slots=True)
class RatedUnit:
    """A question and the values that raters gave it, in any order."""

    case: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of raters beyond chance."""

    alpha: float | None
    """Krippendorff's alpha; None if no question was rated twice, or all values are equal."""
    interval: Interval | None
    """Interval by case; None with fewer than six cases, if alpha is 1, or if all values outside one case are equal."""
    units: int
    """Number of questions with at least two ratings."""
    values: int
    """Number of ratings of these questions."""
    cases: int


def krippendorff(units: Sequence[RatedUnit]) -> Agreement:
    """Return the agreement of nominal ratings, without the questions that have a single rating."""
    rated = [unit for unit in units if len(unit.values) > 1]
    cases: dict[str, list[RatedUnit]] = {}
    for unit in rated:
        cases.setdefault(unit.case, []).append(unit)
    of_case = [_disagreement(each) for each in cases.values()]
    alpha = _alpha(of_case)
    return Agreement(
        alpha=alpha,
        interval=None if alpha is None else _interval(alpha, of_case),
        units=len(rated),
        values=sum(len(unit.values) for unit in rated),
        cases=len(cases),
    )


_Disagreement = tuple[Counter[str], float]
"""Number of times each value was given, and the observed disagreement within questions."""


def _disagreement(units: Sequence[RatedUnit]) -> _Disagreement:
    totals: Counter[str] = Counter()
    observed = 0.0
    for unit in units:
        counts, size = Counter(unit.values), len(unit.values)
        totals += counts
        observed += (size * size - sum(count * count for count in counts.values())) / (size - 1)
    return totals, observed


def _alpha(parts: Sequence[_Disagreement]) -> float | None:
    totals = sum((counts for counts, _ in parts), Counter[str]())
    observed = fsum(differing for _, differing in parts)
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    return 1 - (n - 1) * observed / expected if expected else None


def _interval(alpha: float, of_case: Sequence[_Disagreement]) -> Interval | None:
    """Return the jackknife interval of alpha, which leaves out one case at a time."""
    number = len(of_case)
    if number < FEWEST_UNITS or alpha == 1:
        return None
    without = [_alpha([*of_case[:at], *of_case[at + 1 :]]) for at in range(number)]
    found = np.array([each for each in without if each is not None])
    if len(found) < number:
        return None
    error = sqrt((number - 1) / number * float(((found - found.mean()) ** 2).sum()))
    half = error * quantile_of((1 + LEVEL) / 2, number - 1.0)
    return Interval(max(alpha - half, -1.0), min(alpha + half, 1.0))
