"""Agreement of several people, or of people and a judge: Krippendorff's alpha of nominal values.

K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: 1 is perfect agreement, 0 is what chance brings,
below 0 people disagree more than by chance. Anybody may have left out any question.
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
    """One question and what several raters said of it; who said what does not matter."""

    case: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of raters: how far they agree beyond chance."""

    alpha: float | None
    """None where nothing was rated twice, or all values are the same, which chance would bring as well."""
    interval: Interval | None
    """By case; None for fewer than six cases, and where nobody disagreed or chance alone would disagree nowhere."""
    units: int
    """The questions that were rated at least twice."""
    values: int
    """The ratings of these questions."""
    cases: int


def krippendorff(units: Sequence[RatedUnit]) -> Agreement:
    """Return the agreement of nominal ratings; questions with a single rating tell nothing and do not count."""
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
"""How often each value was given, and how much the questions' ratings differ."""


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
    """Return the interval by the jackknife: how alpha moves if one case after the other is left out."""
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
