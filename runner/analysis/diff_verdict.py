"""The rule that turns evidence into a verdict; docs/statistics.md describes it in words.

A measure regressed or improved if the change is significant, reaches the minimum effect (a ratio with its whole
interval), and exceeds the clock error. It is unchanged if the whole interval lies within the minimum effect. Everything
else is undecided, with a reason and a sample size that should be enough.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist
from typing import Any, Self

from runner.analysis.diff_measures import Better, choose_measures
from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.significance_tests import PermutationResult
from runner.analysis.student_t import chi_squared_quantile
from runner.errors import CompareError

MIN_EFFECT = 0.10
"""Default minimum effect, as a ratio minus 1."""

POWER, SPREAD_AT_MOST, MIN_DEGREES = 0.9, 0.9, 3
"""Power of a recommended number of units; confidence level of the upper limit of the spread that it assumes; and
minimum degrees of freedom for this limit. The limit is used because a few units underestimate the spread too often."""

MAX_UNITS = 10_000
"""Maximum number of units to recommend."""


class Verdict(StrEnum):
    """Verdict on a measure of a target. `changed` is for measures without a better direction."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    UNDECIDED = "undecided"


class UndecidedReason(StrEnum):
    """Reason why a verdict is undecided."""

    TOO_FEW = "too few"
    """No data of this sample size can be significant."""
    UNREACHABLE = "unreachable"
    """The significance level of a row is too small for any sample."""
    SPELLS = "slow spells"
    """It would be decided if rounds were independent, but neighbouring rounds are correlated."""
    SIZE = "size"
    """The change is significant, but its interval includes changes below the minimum effect."""
    NOISY = "noisy"
    """A larger sample of the same kind should be enough."""
    CLOCK = "clock"
    """The change is significant, but smaller than the clock error."""
    FEW_CASES = "few cases"
    """More repeats of the same cases would not decide on the pass rate, but more cases would."""
    BORDERLINE = "borderline"
    """The change is so close to the minimum effect that no feasible sample would be enough."""
    FEW_RUNS = "few runs"
    """There are too few earlier runs to know their variation."""
    USUAL = "usual"
    """The run is within the variation of earlier runs, which exceeds the minimum effect."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Thresholds of a verdict; the defaults are those of the simulation in docs/statistics.md.

    `measures` are the names of the measures to compare, or empty for all. `min_effect` is a ratio minus 1, for both
    directions: 0.1 means a ratio of 1.1 or of 1 / 1.1. `min_failure_rise`, `min_slow_rise`, `min_slo_fall` and
    `min_pass_change` are differences of the proportions of failures, of slow requests, of requests that met the SLO and
    of repeats that passed.

    Raises:
        CompareError: thresholds are out of their ranges, or measures are unknown; the message names all of them.

    """

    alpha: float = 0.01
    min_effect: float = MIN_EFFECT
    min_failure_rise: float = 0.05
    measures: tuple[str, ...] = ()
    min_slow_rise: float = 0.02
    min_slo_fall: float = 0.05
    min_pass_change: float = 0.05

    @classmethod
    def of(cls, min_effect: float | None, min_pass_change: float | None, **others: Any) -> Self:
        """Return a rule, with the default for each threshold that is None."""
        thresholds: dict[str, Any] = {"min_effect": min_effect, "min_pass_change": min_pass_change}
        return cls(**others, **{name: value for name, value in thresholds.items() if value is not None})

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.alpha < 0.5:
            problems.append(f"alpha {self.alpha:g} is not a level of a test (choose one above 0 and below 0.5)")
        if not 0 < self.min_effect < 10:
            problems.append(
                f"a minimum effect of {self.min_effect:g} cannot be judged (choose one above 0 and below 10, as 0.1)"
            )
        problems += [
            f"a {name.replace('_', ' ')} of {change:g} is not a share (choose one above 0 and below 1)"
            for name in ("min_failure_rise", "min_slow_rise", "min_slo_fall", "min_pass_change")
            if not 0 < (change := getattr(self, name)) < 1
        ]
        try:
            choose_measures(self.measures)
        except CompareError as error:
            problems.append(str(error))
        if problems:
            raise CompareError("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict; if undecided, with a reason and the number of units that should be enough, if any.

    `rounds` is the number of rounds of the same cases that should also be enough; None if none is or it is unknown.
    """

    verdict: Verdict
    reason: UndecidedReason | None = None
    needed: int | None = None
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions for a verdict on one measure.

    `min_effect` is in the unit of the estimate. With `is_bound` the whole interval must be beyond it, otherwise only
    the estimate. `alpha` is the significance level of the whole comparison, and `alpha_of_row` the strictest level of a
    row. `fewest_units` and `forecast` are those of `MeasureEvidence`. `independent_p` is the adjusted p-value that
    assumes independent rounds.
    """

    min_effect: float
    alpha: float
    alpha_of_row: float
    better: Better
    beyond_clock: bool
    fewest_units: Callable[[float], int | None]
    forecast: Callable[[float, float], float] | None = None
    is_bound: bool = True
    independent_p: float | None = None


def is_change(result: PermutationResult, adjusted_p: float, criteria: Criteria) -> bool:
    """Return whether a change is significant, large (see `is_large`), and beyond the clock error."""
    return adjusted_p <= criteria.alpha and is_large(result, criteria) and criteria.beyond_clock


def is_large(result: PermutationResult, criteria: Criteria) -> bool:
    """Return whether a change reaches the minimum effect; with `is_bound`, whether its whole interval does."""
    if abs(result.estimate) < criteria.min_effect:
        return False
    if not criteria.is_bound:
        return True
    interval = result.interval
    return interval is not None and (interval.low >= criteria.min_effect or interval.high <= -criteria.min_effect)


def _is_unchanged(interval: Interval | None, criteria: Criteria) -> bool:
    """Return whether the whole interval lies within the minimum effect."""
    return interval is not None and -criteria.min_effect < interval.low and interval.high < criteria.min_effect


def decide(result: PermutationResult, adjusted_p: float, criteria: Criteria) -> Decision:
    """Return the verdict on one measure."""
    if is_change(result, adjusted_p, criteria):
        return Decision(verdict_of_direction(criteria.better, is_rise=result.estimate > 0))
    if _is_unchanged(result.interval, criteria):
        return Decision(Verdict.UNCHANGED)
    if criteria.fewest_units(criteria.alpha_of_row) is None:
        return Decision(Verdict.UNDECIDED, UndecidedReason.UNREACHABLE)
    if result.smallest_p > criteria.alpha_of_row:
        return Decision(Verdict.UNDECIDED, UndecidedReason.TOO_FEW, _units_needed(result, criteria))
    reason = _find_reason(result, adjusted_p, criteria)
    if reason is UndecidedReason.CLOCK:
        return Decision(Verdict.UNDECIDED, reason)
    needed = _units_needed(result, criteria)
    return Decision(Verdict.UNDECIDED, UndecidedReason.BORDERLINE if needed is None else reason, needed)


def _find_reason(result: PermutationResult, adjusted_p: float, criteria: Criteria) -> UndecidedReason:
    """Return the reason why a sample that is large enough for significance is undecided."""
    if _is_decided_if_independent(result, criteria):
        return UndecidedReason.SPELLS
    if adjusted_p > criteria.alpha or abs(result.estimate) < criteria.min_effect:
        return UndecidedReason.NOISY
    return UndecidedReason.CLOCK if is_large(result, criteria) else UndecidedReason.SIZE


def _is_decided_if_independent(result: PermutationResult, criteria: Criteria) -> bool:
    if result.independent is None or criteria.independent_p is None or not result.autocorrelated:
        return False
    plain = replace(result, interval=result.independent.interval)
    return is_change(plain, criteria.independent_p, criteria) or _is_unchanged(plain.interval, criteria)


def verdict_of_direction(better: Better, *, is_rise: bool) -> Verdict:
    """Return the verdict on a measure that rose or fell significantly."""
    if better is Better.NEITHER:
        return Verdict.CHANGED
    return Verdict.REGRESSED if is_rise == (better is Better.LOWER) else Verdict.IMPROVED


def _units_needed(result: PermutationResult, criteria: Criteria) -> int | None:
    """Return the number of similar units that decides in at least three of four cases; None if no feasible one does.

    The normal approximation is n = ((z + z of the power) * spread / distance)^2, plus z^2 / 2 for an estimated spread
    (W. Guenther, "Sample Size Formulas for Normal Theory T Tests", The American Statistician 35, 1981).
    """
    if criteria.forecast is not None:
        forecast = criteria.forecast(criteria.min_effect, criteria.alpha_of_row)
        return max(math.ceil(forecast), *_lower_limits(result, criteria)) if forecast <= MAX_UNITS else None
    size, normal = abs(result.estimate), NormalDist()
    z_of_interval, z_of_power = normal.inv_cdf((1 + LEVEL) / 2), normal.inv_cdf(POWER)
    if size < criteria.min_effect:  # both ends of the interval must be within the minimum effect
        goals = [(z_of_interval, normal.inv_cdf((1 + POWER) / 2), criteria.min_effect - size)]
    else:
        goals = [(normal.inv_cdf(1 - criteria.alpha_of_row / 2), z_of_power, size)]
        if criteria.is_bound:
            goals.append((z_of_interval, z_of_power, size - criteria.min_effect))
    needed, spread = _lower_limits(result, criteria), _likely_spread(result)
    for z, more, distance in goals:
        if distance * math.sqrt(MAX_UNITS) <= (z + more) * spread:
            return None
        needed.append(math.ceil(((z + more) * spread / distance) ** 2 + z**2 / 2) if spread else 0)
    return max(needed)


def _lower_limits(result: PermutationResult, criteria: Criteria) -> list[int]:
    """Return lower limits of the number of units: one more than now, and the minimum for significance."""
    return [result.units + 1, criteria.fewest_units(criteria.alpha_of_row) or 0]


def _likely_spread(result: PermutationResult) -> float:
    """Return an upper confidence limit of the spread, which the true one exceeds with a probability of 10 %."""
    degrees = max(result.units - 1, MIN_DEGREES)
    return result.spread * math.sqrt(degrees / chi_squared_quantile(1 - SPREAD_AT_MOST, degrees))
