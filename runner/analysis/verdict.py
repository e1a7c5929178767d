"""The rule by which evidence becomes a verdict. docs/statistics.md describes it in words.

Regressed or improved: significant, at least the minimum effect, and beyond the clock error. Unchanged: the whole
interval lies inside the minimum effect. All else is undecided, with the reason and the sample that should be enough.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from runner.analysis.intervals import LEVEL
from runner.analysis.measures import Better
from runner.analysis.permutation import PermutationResult
from runner.errors import CompareError

MAX_UNITS = 100_000
"""A larger sample is never recommended."""


class Verdict(StrEnum):
    """The verdict on one measure of one target. `changed` is for measures without a better direction."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    UNDECIDED = "undecided"


class UndecidedReason(StrEnum):
    """Why a verdict is undecided."""

    TOO_FEW = "too few"
    """Not even the clearest data of this size could be significant."""
    NOISY = "noisy"
    """A larger sample of the same kind should be enough."""
    CLOCK = "clock"
    """The change is significant, and smaller than the clock error."""
    BORDERLINE = "borderline"
    """The change is so close to the minimum effect that no feasible sample would be enough."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The thresholds of a verdict; the defaults are those of the simulation in docs/statistics.md.

    `measures` names what is compared, everything if it is empty. `min_effect` is a ratio less one, the same in both
    directions: 0.1 means 1.1 times as much, or 1.1 times less. `min_failure_rise` is a difference of proportions.

    Raises:
        CompareError: a threshold is out of its range; the message has all such thresholds.

    """

    alpha: float = 0.01
    min_effect: float = 0.10
    min_failure_rise: float = 0.05
    measures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.alpha < 0.5:
            problems.append(f"alpha {self.alpha:g} is no level of a test (choose one above 0 and below 0.5)")
        if not 0 < self.min_effect < 10:
            problems.append(
                f"a minimum effect of {self.min_effect:g} cannot be judged (choose one above 0 and below 10, as 0.1)"
            )
        if not 0 < self.min_failure_rise < 1:
            problems.append(f"a minimum rise of {self.min_failure_rise:g} is no share (choose one between 0 and 1)")
        if problems:
            raise CompareError(", ".join(problems))


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict; for an undecided one the reason, and the number of units that should be enough, if there is one."""

    verdict: Verdict
    reason: UndecidedReason | None = None
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Criteria:
    """The conditions for a verdict on one measure.

    `min_effect` is in the unit of the estimate. `alpha` is the level of the whole comparison, `alpha_of_row` the part
    of it that one row has at worst. `smallest_p` and `project` are those of `MeasureEvidence`.
    """

    min_effect: float
    alpha: float
    alpha_of_row: float
    better: Better
    beyond_clock: bool
    smallest_p: Callable[[int], float]
    project: Callable[[int], PermutationResult] | None = None


def is_change(result: PermutationResult, adjusted_p: float, criteria: Criteria) -> bool:
    """Return whether a change is significant, at least the minimum effect, and beyond the clock error."""
    significant = adjusted_p <= criteria.alpha
    return significant and abs(result.estimate) >= criteria.min_effect and criteria.beyond_clock


def _is_unchanged(result: PermutationResult, criteria: Criteria) -> bool:
    """Return whether the whole interval lies inside the minimum effect."""
    interval = result.interval
    return interval is not None and -criteria.min_effect < interval.low and interval.high < criteria.min_effect


def decide(result: PermutationResult, adjusted_p: float, criteria: Criteria) -> Decision:
    """Return the verdict on one measure."""
    if is_change(result, adjusted_p, criteria):
        return Decision(_direction(result.estimate, criteria.better))
    if _is_unchanged(result, criteria):
        return Decision(Verdict.UNCHANGED)
    if result.smallest_p > criteria.alpha_of_row:
        return Decision(Verdict.UNDECIDED, UndecidedReason.TOO_FEW, _units_needed(result, criteria))
    if adjusted_p <= criteria.alpha and abs(result.estimate) >= criteria.min_effect:
        return Decision(Verdict.UNDECIDED, UndecidedReason.CLOCK)
    needed = _units_needed(result, criteria)
    reason = UndecidedReason.BORDERLINE if needed is None else UndecidedReason.NOISY
    return Decision(Verdict.UNDECIDED, reason, needed)


def _direction(estimate: float, better: Better) -> Verdict:
    if better is Better.NEITHER:
        return Verdict.CHANGED
    return Verdict.IMPROVED if (estimate < 0) == (better is Better.LOWER) else Verdict.REGRESSED


def _units_needed(result: PermutationResult, criteria: Criteria) -> int | None:
    """Return how many units like those at hand should be enough; None if no feasible number is.

    By the normal approximation: n = (z * spread / distance)^2.
    """
    if criteria.project is not None:
        return _units_needed_by_projection(criteria.project, result.units + 1, criteria)
    size = abs(result.estimate)
    if size < criteria.min_effect:  # to be shown unchanged: the interval must fit inside
        z, distance = NormalDist().inv_cdf((1 + LEVEL) / 2), criteria.min_effect - size
    else:
        z, distance = NormalDist().inv_cdf(1 - criteria.alpha_of_row / 2), size
    if distance * math.sqrt(MAX_UNITS) <= z * result.spread:
        return None
    by_noise = math.ceil((z * result.spread / distance) ** 2)
    return max(by_noise, result.units + 1, _fewest_significant(criteria))


def _units_needed_by_projection(
    project: Callable[[int], PermutationResult], units: int, criteria: Criteria
) -> int | None:
    """Return the number of units, from `units` on, of which the rule decides: by doubling, then by bisection."""

    def decides(count: int) -> bool:
        result = project(count)
        adjusted_p = result.p * criteria.alpha / criteria.alpha_of_row
        return _is_unchanged(result, criteria) or is_change(result, adjusted_p, criteria)

    too_few, enough = units - 1, units
    while not decides(enough):
        if enough >= MAX_UNITS:
            return None
        too_few, enough = enough, min(2 * enough, MAX_UNITS)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if decides(middle) else (middle, enough)
    return enough


def _fewest_significant(criteria: Criteria) -> int:
    """Return the smallest number of units of which the clearest data would be significant."""
    units = 1
    while criteria.smallest_p(units) > criteria.alpha_of_row and units < MAX_UNITS:
        units += 1
    return units
