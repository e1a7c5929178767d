"""What two arms' rows weigh: the evidence on each measure, before any rule is applied."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.analysis.measures import FAILURES, TIMED_MEASURES, ClockUse, Measure, Unit
from runner.analysis.pairing import Arm, Blocks, match_blocks, pair_blocks
from runner.analysis.permutation import Flips, PermutationResult, Relabellings, smallest_p, weigh_pairs, weigh_runs
from runner.analysis.proportions import Share, difference_interval, fisher_p, smallest_fisher_p
from runner.analysis.run import Run

LEAST_CLOCK_ERROR_S = 0.001
"""What a clock is taken to be off where nobody measured it, or measured less."""

LATE_SHARE = 0.95
"""Of the rows' own measured lateness, the percentile that speaks for them."""


@dataclass(frozen=True, slots=True)
class Match:
    """Two arms ready to be compared, and how far the clock may have been off on their difference."""

    target: str
    base: Arm
    new: Arm
    paired: bool
    clock_error_s: float


@dataclass(frozen=True, slots=True)
class MeasureEvidence:
    """What is known of one measure before the rule is applied to all rows together."""

    match: Match
    measure: Measure
    evidence: PermutationResult
    levels: tuple[float, float]
    n: tuple[int, int]
    least: Callable[[int], float]
    outlook: Callable[[int], PermutationResult] | None = None
    """What so many units would show, were they like those there are; None where only their spread tells."""

    @property
    def currency(self) -> str | None:
        """What its levels are in; None unless they are sums of money."""
        return next(iter(_currencies(self.match)), None) if self.measure.unit is Unit.MONEY else None


def weigh(match: Match, chosen: tuple[Measure, ...]) -> list[MeasureEvidence]:
    """Weigh every measure that both arms have."""
    rows = [row] if FAILURES in chosen and (row := _weigh_failures(match)) else []
    compare = pair_blocks if match.paired else match_blocks
    comparable = [each for each in TIMED_MEASURES if each in chosen and _one_currency(match, each)]
    found = {each: compare(match.base, match.new, each.name) for each in comparable}
    blocks = {measure: logs for measure, logs in found.items() if logs is not None}
    first, answer = (next((m for m in blocks if m.name == name), None) for name in ("ttft_s", "ttfa_s"))
    if first and answer and _equal(blocks[first], blocks[answer]):
        del blocks[answer]  # no target reasoned aloud: a second test of the same numbers would only blunt the first
    return [*rows, *(_weigh_blocks(match, measure, logs) for measure, logs in blocks.items())]


def _one_currency(match: Match, measure: Measure) -> bool:
    """Tell whether a ratio of two sums of money would mean something."""
    if measure.unit is not Unit.MONEY:
        return True
    return len(_currencies(match)) <= 1


def _currencies(match: Match) -> set[str]:
    return {*match.base.timed["currency"].dropna(), *match.new.timed["currency"].dropna()}


def _equal(one: Blocks, other: Blocks) -> bool:
    if one.base is not None and other.base is not None and not np.array_equal(one.base, other.base):
        return False
    return np.array_equal(one.new, other.new)


def _weigh_blocks(match: Match, measure: Measure, blocks: Blocks) -> MeasureEvidence:
    if blocks.base is None:
        evidence, least = weigh_pairs(blocks.new), _least_of_pairs
    else:
        evidence, least = weigh_runs(blocks.base, blocks.new), _least_of_runs
    return MeasureEvidence(match, measure, evidence, (blocks.base_level, blocks.new_level), blocks.n, least)


def _least_of_pairs(blocks: int) -> float:
    return smallest_p(Flips(blocks))


def _least_of_runs(blocks: int) -> float:
    return smallest_p(Relabellings(blocks, blocks))


def _weigh_failures(match: Match) -> MeasureEvidence | None:
    base, new = _failed(match.base), _failed(match.new)
    if not base.n or not new.n:
        return None
    return MeasureEvidence(
        match,
        FAILURES,
        _evidence_of(base, new),
        (base.value, new.value),
        (base.n, new.n),
        least=lambda n: smallest_fisher_p(n, n),
        outlook=lambda n: _evidence_of(base.scaled(n), new.scaled(n)),
    )


def _evidence_of(base: Share, new: Share) -> PermutationResult:
    return PermutationResult(
        estimate=new.value - base.value,
        p=fisher_p(base, new),
        smallest_p=smallest_fisher_p(base.n, new.n),
        spread=math.sqrt(sum(each.value * (1 - each.value) for each in (base, new))),
        units=min(base.n, new.n),
        interval=difference_interval(base, new),
        constant=base.count + new.count in {0, base.n + new.n},
    )


def _failed(arm: Arm) -> Share:
    return Share(len(arm.asked) - len(arm.timed), len(arm.asked))


def clock_floor(row: MeasureEvidence) -> float | None:
    """Return how far the clock may have been off on a row's difference; None where no clock had a part."""
    match row.measure.stopwatch:
        case ClockUse.NONE:
            return None
        case ClockUse.ITSELF:
            return row.match.clock_error_s
        case ClockUse.TEXT:
            spans_s = pd.concat([arm.timed["total_s"] - arm.timed["ttft_s"] for arm in (row.match.base, row.match.new)])
            return row.levels[0] * row.match.clock_error_s / float(spans_s[spans_s > 0].median())


def clock_error_s(base: Run, old: Arm, new: Run, now: Arm) -> float:
    """Add up how far either arm's stamps may have been off: the worst case of a difference."""
    return _late_s(base, old.timed) + _late_s(new, now.timed)


def _late_s(run: Run, rows: pd.DataFrame) -> float:
    late = rows["client_error_s"].dropna()
    known = [LEAST_CLOCK_ERROR_S, *(error.ttft_p99_s for error in run.clock_errors)]
    known += [float(late.quantile(LATE_SHARE, interpolation="higher"))] if len(late) else []
    return max(known)
