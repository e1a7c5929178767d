"""The evidence on each measure of two arms: levels, estimate, interval and p-value, before any rule is applied."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.analysis.measures import FAILURES, TIMED_MEASURES, ClockUse, Measure, Unit
from runner.analysis.pairing import Arm, BlockMeans, match_blocks, pair_blocks
from runner.analysis.permutation import (
    PermutationResult,
    Relabellings,
    SignFlips,
    sign_flip_test,
    smallest_p,
    two_sample_test,
)
from runner.analysis.proportions import Proportion, fisher_p, newcombe_interval, smallest_fisher_p
from runner.analysis.run import Run

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

    `levels` and `n` are of base and new. `smallest_p` returns the smallest p-value that a number of units can reach;
    `project` the result that a number of units would have if they were like those at hand, and is None where only their
    spread is known.
    """

    arms: ComparedArms
    measure: Measure
    result: PermutationResult
    levels: tuple[float, float]
    n: tuple[int, int]
    smallest_p: Callable[[int], float]
    project: Callable[[int], PermutationResult] | None = None

    @property
    def currency(self) -> str | None:
        """The currency of the levels; None unless they are sums of money."""
        return next(iter(_currencies(self.arms)), None) if self.measure.unit is Unit.MONEY else None


def gather_evidence(arms: ComparedArms, measures: tuple[Measure, ...]) -> list[MeasureEvidence]:
    """Return the evidence on those of the measures that both arms have."""
    failures = _failure_evidence(arms) if FAILURES in measures else None
    average = pair_blocks if arms.paired else match_blocks
    comparable = [each for each in TIMED_MEASURES if each in measures and _is_in_one_currency(arms, each)]
    found = {each: average(arms.base, arms.new, each.name) for each in comparable}
    blocks = {measure: means for measure, means in found.items() if means is not None}
    ttft, answer = (next((m for m in blocks if m.name == name), None) for name in ("ttft_s", "ttfa_s"))
    if ttft and answer and _are_equal(blocks[ttft], blocks[answer]):
        del blocks[answer]  # no reply has reasoning: a second test of the same numbers only costs power
    timed = [_block_evidence(arms, measure, means) for measure, means in blocks.items()]
    return [*([failures] if failures else []), *timed]


def _is_in_one_currency(arms: ComparedArms, measure: Measure) -> bool:
    """Return whether a ratio of levels has a meaning: two currencies have none."""
    return measure.unit is not Unit.MONEY or len(_currencies(arms)) <= 1


def _currencies(arms: ComparedArms) -> set[str]:
    return {*arms.base.timed["currency"].dropna(), *arms.new.timed["currency"].dropna()}


def _are_equal(one: BlockMeans, other: BlockMeans) -> bool:
    if one.base is not None and other.base is not None and not np.array_equal(one.base, other.base):
        return False
    return np.array_equal(one.new, other.new)


def _block_evidence(arms: ComparedArms, measure: Measure, blocks: BlockMeans) -> MeasureEvidence:
    if blocks.base is None:
        result, least = sign_flip_test(blocks.new), _smallest_sign_flip_p
    else:
        result, least = two_sample_test(blocks.base, blocks.new), _smallest_two_sample_p
    return MeasureEvidence(arms, measure, result, (blocks.base_level, blocks.new_level), blocks.n, least)


def _smallest_sign_flip_p(blocks: int) -> float:
    return smallest_p(SignFlips(blocks))


def _smallest_two_sample_p(blocks: int) -> float:
    return smallest_p(Relabellings(blocks, blocks))


def _failure_evidence(arms: ComparedArms) -> MeasureEvidence | None:
    base, new = _failed(arms.base), _failed(arms.new)
    if not base.n or not new.n:
        return None
    return MeasureEvidence(
        arms,
        FAILURES,
        _compare_proportions(base, new),
        (base.value, new.value),
        (base.n, new.n),
        smallest_p=lambda n: smallest_fisher_p(n, n),
        project=lambda n: _compare_proportions(base.scaled(n), new.scaled(n)),
    )


def _compare_proportions(base: Proportion, new: Proportion) -> PermutationResult:
    return PermutationResult(
        estimate=new.value - base.value,
        p=fisher_p(base, new),
        smallest_p=smallest_fisher_p(base.n, new.n),
        spread=math.sqrt(sum(each.value * (1 - each.value) for each in (base, new))),
        units=min(base.n, new.n),
        interval=newcombe_interval(base, new),
        constant=base.count + new.count in {0, base.n + new.n},
    )


def _failed(arm: Arm) -> Proportion:
    return Proportion(len(arm.tried) - len(arm.timed), len(arm.tried))


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
