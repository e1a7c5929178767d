"""The rule by which evidence becomes a verdict. docs/statistics.md tells it in words.

Regressed or improved: significant, and at least the minimum effect, and beyond what the clock may have been off.
Unchanged: the whole interval lies inside the minimum effect. All else is undecided, and says what would decide it.
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

FARTHEST = 100_000
"""Blocks beyond which nobody is told to go on measuring."""


class Verdict(StrEnum):
    """What may be said of one measure of one target. `changed` is for measures that know no better."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    UNDECIDED = "undecided"


class Doubt(StrEnum):
    """Why nothing may be said."""

    TOO_FEW = "too few"
    """Not even the clearest data of this size could be significant."""
    NOISY = "noisy"
    """More of the same would decide."""
    CLOCK = "clock"
    """The change is real, and smaller than what the clock may have been off."""
    BORDERLINE = "borderline"
    """The change lies so near the minimum effect that no feasible sample would decide."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a verdict demands; the defaults are the rule that the simulation in docs/statistics.md is about.

    `measures` names what is compared, all if empty. `min_effect` is a ratio less one, the same either way:
    0.1 means 1.1 times as much, or 1.1 times less. `min_failure_rise` is a difference of two shares.
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
class Ruling:
    """A verdict; for an undecided one why, and how many units would decide it where any number would."""

    verdict: Verdict
    doubt: Doubt | None = None
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """What one row must show: how far to move, in its own unit, and at which level.

    `alpha` is the level of the whole comparison, of which `share` is this row's part at worst. `least` returns the
    smallest p that so many units could reach. `outlook` returns what so many units would show, were they like those
    there are; None where only their spread tells.
    """

    margin: float
    alpha: float
    share: float
    better: Better
    beyond_clock: bool
    least: Callable[[int], float]
    outlook: Callable[[int], PermutationResult] | None = None


def moved(evidence: PermutationResult, adjusted_p: float, demand: Demand) -> bool:
    """Tell whether a change is significant, large enough to matter, and beyond the clock's error."""
    significant = adjusted_p <= demand.alpha
    return significant and abs(evidence.estimate) >= demand.margin and demand.beyond_clock


def _stayed(evidence: PermutationResult, demand: Demand) -> bool:
    """Tell whether all that the evidence allows is too small to matter."""
    interval = evidence.interval
    return interval is not None and -demand.margin < interval.low and interval.high < demand.margin


def judge(evidence: PermutationResult, adjusted_p: float, demand: Demand) -> Ruling:
    """Apply the rule to one row."""
    if moved(evidence, adjusted_p, demand):
        return Ruling(_direction(evidence.estimate, demand.better))
    if _stayed(evidence, demand):
        return Ruling(Verdict.UNCHANGED)
    if evidence.smallest_p > demand.share:
        return Ruling(Verdict.UNDECIDED, Doubt.TOO_FEW, _units_needed(evidence, demand))
    if adjusted_p <= demand.alpha and abs(evidence.estimate) >= demand.margin:
        return Ruling(Verdict.UNDECIDED, Doubt.CLOCK)
    needed = _units_needed(evidence, demand)
    return Ruling(Verdict.UNDECIDED, Doubt.BORDERLINE if needed is None else Doubt.NOISY, needed)


def _direction(estimate: float, better: Better) -> Verdict:
    if better is Better.NEITHER:
        return Verdict.CHANGED
    return Verdict.IMPROVED if (estimate < 0) == (better is Better.LOWER) else Verdict.REGRESSED


def _units_needed(evidence: PermutationResult, demand: Demand) -> int | None:
    """Return how many units would decide, were more of them like these; None if no feasible number would."""
    if demand.outlook is not None:
        return _first_to_decide(demand.outlook, evidence.units + 1, demand)
    size = abs(evidence.estimate)
    if size < demand.margin:  # to be shown unchanged: the interval must fit inside
        z, room = NormalDist().inv_cdf((1 + LEVEL) / 2), demand.margin - size
    else:
        z, room = NormalDist().inv_cdf(1 - demand.share / 2), size
    by_noise = (
        math.ceil((z * evidence.spread / room) ** 2) if room * math.sqrt(FARTHEST) > z * evidence.spread else None
    )
    if by_noise is None:
        return None
    return max(by_noise, evidence.units + 1, _fewest(demand))


def _first_to_decide(outlook: Callable[[int], PermutationResult], units: int, demand: Demand) -> int | None:
    """Return how many units, from `units` on, the rule needs to decide: by doubling, then by bisection."""

    def decides(count: int) -> bool:
        seen = outlook(count)
        return _stayed(seen, demand) or moved(seen, seen.p * demand.alpha / demand.share, demand)

    too_few, enough = units - 1, units
    while not decides(enough):
        if enough >= FARTHEST:
            return None
        too_few, enough = enough, min(2 * enough, FARTHEST)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if decides(middle) else (middle, enough)
    return enough


def _fewest(demand: Demand) -> int:
    """Return the fewest units of which the clearest data would be significant."""
    units = 1
    while demand.least(units) > demand.share and units < FARTHEST:
        units += 1
    return units
