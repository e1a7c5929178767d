"""The evidence on each measure of two arms: levels, estimate, interval and p-value, before any rule is applied."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.autocorrelation import judge_shift, mean_of_rounds
from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.measures import FAILURES, TIMED_MEASURES, ClockUse, Measure, Unit
from runner.analysis.pairing import Arm, RoundMeans, match_rounds, pair_rounds
from runner.analysis.permutation import (
    FINE,
    IndependentResult,
    PermutationResult,
    fewest_of_two_samples,
    fewest_pairs,
    sign_flip_test,
    two_sample_test,
)
from runner.analysis.proportions import Proportion, design_effect, fisher_p, newcombe_interval, smallest_fisher_p
from runner.analysis.run_results import Run
from runner.core.events import TIMED

Floats = NDArray[np.float64]

ALIKE = 1.5
"""From this factor on, by which spells inflate a variance, rounds are said to resemble one another."""

MIN_CLOCK_ERROR_S = 0.001
"""The clock error that is assumed where none was measured, or a smaller one."""

LATE_QUANTILE = 0.95
"""The quantile of the rows' own client error that stands for all of them."""


@dataclass(frozen=True, slots=True)
class ComparedArms:
    """Two arms to compare, and by how much the clocks may be wrong on their difference, in seconds."""

    target: str
    base: Arm
    new: Arm
    paired: bool
    clock_error_s: float


@dataclass(frozen=True, slots=True)
class MeasureEvidence:
    """The evidence on one measure, before the rule is applied to all measures together.

    `levels` and `n` are of base and new. `fewest_units` returns the fewest units whose clearest data is significant at
    a level, None if no number is; `project` the result that a number of units would have if they were like those at
    hand, and is None where only their spread is known. `pairs` are the differences of all pairs of requests of
    `questions` questions, None where nothing is paired.
    """

    arms: ComparedArms
    measure: Measure
    result: PermutationResult
    levels: tuple[float, float]
    n: tuple[int, int]
    fewest_units: Callable[[float], int | None]
    project: Callable[[int], PermutationResult] | None = None
    pairs: Floats | None = None
    questions: int = 0

    @property
    def currency(self) -> str | None:
        """The currency of the levels; None unless they are sums of money."""
        return next(iter(_currencies(self.arms)), None) if self.measure.unit is Unit.MONEY else None


def gather_evidence(arms: ComparedArms, measures: tuple[Measure, ...], draws: int = FINE) -> list[MeasureEvidence]:
    """Return the evidence on those of the measures that both arms have, with as many random permutations as given."""
    failures = _failure_evidence(arms) if FAILURES in measures else None
    average = pair_rounds if arms.paired else match_rounds
    comparable = [each for each in TIMED_MEASURES if each in measures and _is_in_one_currency(arms, each)]
    found = {each: average(arms.base, arms.new, each.name) for each in comparable}
    rounds = {measure: means for measure, means in found.items() if means is not None}
    ttft, answer = (next((m for m in rounds if m.name == name), None) for name in ("ttft_s", "ttfa_s"))
    if ttft and answer and _are_equal(rounds[ttft], rounds[answer]):
        del rounds[answer]  # no reply has reasoning: a second test of the same numbers only costs power
    timed = [_round_evidence(arms, measure, means, draws) for measure, means in rounds.items()]
    return [*([failures] if failures else []), *timed]


def _is_in_one_currency(arms: ComparedArms, measure: Measure) -> bool:
    """Return whether a ratio of levels has a meaning: two currencies have none."""
    return measure.unit is not Unit.MONEY or len(_currencies(arms)) <= 1


def _currencies(arms: ComparedArms) -> set[str]:
    return {*arms.base.timed["currency"].dropna(), *arms.new.timed["currency"].dropna()}


def _are_equal(one: RoundMeans, other: RoundMeans) -> bool:
    if one.base is not None and other.base is not None and not np.array_equal(one.base, other.base):
        return False
    return np.array_equal(one.new, other.new)


def _round_evidence(arms: ComparedArms, measure: Measure, rounds: RoundMeans, draws: int) -> MeasureEvidence:
    levels = (rounds.base_level, rounds.new_level)
    if rounds.base is None:
        result, fewest = sign_flip_test(rounds.new, draws=draws), fewest_pairs
    else:
        result, fewest = two_sample_test(rounds.base, rounds.new, draws=draws), fewest_of_two_samples
    return MeasureEvidence(
        arms,
        measure,
        allow_for_spells(result, rounds.new, rounds.base),
        levels,
        rounds.n,
        fewest,
        pairs=rounds.pairs,
        questions=rounds.questions,
    )


def allow_for_spells(result: PermutationResult, new: Floats, base: Floats | None) -> PermutationResult:
    """Return the result with the larger p, and the wider interval, of the permutation test and a test for spells.

    Args:
        result: of the permutation test, which takes rounds for independent.
        new: differences of pairs, or the rounds of the new run, in the order of time.
        base: the rounds of the base, or None for pairs.

    """
    if result.constant or min(len(new), len(new) if base is None else len(base)) < 2:
        return result
    p, half = (float(each[0]) for each in judge_shift(new[None, :], None if base is None else base[None, :], LEVEL))
    inflation = max(float(mean_of_rounds(each[None, :]).inflation[0]) for each in (new, base) if each is not None)
    interval = result.interval and Interval(
        min(result.interval.low, result.estimate - half), max(result.interval.high, result.estimate + half)
    )
    return replace(
        result,
        p=max(result.p, p),
        interval=interval,
        spread=result.spread * math.sqrt(inflation),
        independent=IndependentResult(result.p, result.interval),
        autocorrelated=result.autocorrelated or inflation >= ALIKE,
    )


def _failure_evidence(arms: ComparedArms) -> MeasureEvidence | None:
    base, new = _failed(arms.base), _failed(arms.new)
    if not base.n or not new.n:
        return None
    effect = design_effect(_failed_by_round(arms.base), _failed_by_round(arms.new))
    return MeasureEvidence(
        arms,
        FAILURES,
        _compare_proportions(base, new, effect),
        (base.value, new.value),
        (int(base.n), int(new.n)),
        fewest_units=fewest_of_two_samples,
        project=lambda n: _compare_proportions(base.scaled(n), new.scaled(n), effect),
    )


def _compare_proportions(base: Proportion, new: Proportion, effect: float) -> PermutationResult:
    """Return the comparison of two proportions whose counts say as little as counts divided by the design effect."""
    old, now = base.divided(effect), new.divided(effect)
    independent = None
    if effect > 1:
        independent = IndependentResult(fisher_p(base, new), newcombe_interval(base, new))
    return PermutationResult(
        estimate=new.value - base.value,
        p=fisher_p(old, now),
        smallest_p=smallest_fisher_p(round(old.n), round(now.n)),
        spread=math.sqrt(effect * sum(each.value * (1 - each.value) for each in (base, new))),
        units=int(min(base.n, new.n)),
        interval=newcombe_interval(old, now),
        constant=base.count + new.count in {0, base.n + new.n},
        independent=independent,
        autocorrelated=effect >= ALIKE,
    )


def compare_failures(base: tuple[Floats, Floats], new: tuple[Floats, Floats]) -> PermutationResult:
    """Return the comparison of how many requests of each round failed, and how many there were, on both sides."""
    old, now = (Proportion(float(failed.sum()), float(tried.sum())) for failed, tried in (base, new))
    return _compare_proportions(old, now, design_effect(base, new))


def _failed(arm: Arm) -> Proportion:
    return Proportion(len(arm.tried) - len(arm.timed), len(arm.tried))


def _failed_by_round(arm: Arm) -> tuple[Floats, Floats]:
    """Return how many requests of each round failed, and how many there were, in the order of rounds."""
    tried = arm.tried
    failed = ~tried["outcome"].isin([outcome.value for outcome in TIMED])
    by_round = failed.groupby(tried["block"].to_numpy()).agg(["sum", "count"]).sort_index()
    return by_round["sum"].to_numpy(dtype=float), by_round["count"].to_numpy(dtype=float)


def clock_floor(row: MeasureEvidence) -> float | None:
    """Return by how much the clocks may be wrong on a difference, in the measure's unit; None if it uses no clock."""
    match row.measure.clock_use:
        case ClockUse.NONE:
            return None
        case ClockUse.DURATION:
            return row.arms.clock_error_s
        case ClockUse.TEXT_RATE:
            spans_s = pd.concat([arm.timed["total_s"] - arm.timed["ttft_s"] for arm in (row.arms.base, row.arms.new)])
            return row.levels[0] * row.arms.clock_error_s / float(spans_s[spans_s > 0].median())


def clock_error_s(base_run: Run, base: Arm, new_run: Run, new: Arm) -> float:
    """Return the sum of both arms' clock errors, in seconds: the worst case of a difference."""
    return _arm_clock_error_s(base_run, base.timed) + _arm_clock_error_s(new_run, new.timed)


def _arm_clock_error_s(run: Run, rows: pd.DataFrame) -> float:
    client_errors_s = rows["client_error_s"].dropna()
    known = [MIN_CLOCK_ERROR_S, *(error.ttft_p99_s for error in run.clock_errors)]
    if len(client_errors_s):
        known.append(float(client_errors_s.quantile(LATE_QUANTILE, interpolation="higher")))
    return max(known)
