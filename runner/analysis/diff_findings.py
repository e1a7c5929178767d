"""Findings of a comparison: the rule, applied to the evidence on all measures of all targets together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from runner.analysis.diff_evidence import MeasureEvidence, possible_clock_error
from runner.analysis.diff_measures import FAILURES, PASSES, SLO_MET, SLOW_REQUESTS, Measure, Unit
from runner.analysis.diff_verdict import Criteria, Decision, Rule, UndecidedReason, Verdict, decide
from runner.analysis.intervals import Interval
from runner.analysis.significance_tests import PermutationResult, draws_for, holm_adjust, sign_flip_test

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A claim about one run by itself: its questions at its time, from its pairs of requests.

    `change` (a ratio), its `interval` and `p` are those of a sign-flip test over all pairs of requests; `p` is adjusted
    for all rows tested in this way. `agreeing` of the `pairs` changed in the direction of `change`.
    """

    change: float
    interval: Interval | None
    p: float
    agreeing: int
    pairs: int
    questions: int


@dataclass(frozen=True, slots=True)
class DiffFinding:
    """A measure of a target, and the verdict on it.

    `change` and its `interval` are the ratio of new to base; for shares, a difference of proportions. The levels are
    geometric means of what was compared, or the proportions. `p` is adjusted for all rows that were tested together.
    `units` is the number of rounds (of the smaller run if there are two); for failures, of requests; for pass rates, of
    cases; for a history, of its runs, without which base and change are None. `floor` is the possible clock error, in
    the measure's unit.
    """

    target: str
    measure: Measure
    base_level: float | None
    new_level: float
    change: float | None
    interval: Interval | None
    p: float
    n: tuple[int, int]
    units: int
    floor: float | None
    decision: Decision
    tested: bool = True
    """False if all values were equal, so that there was nothing to test."""
    currency: str | None = None
    """Currency of the levels of a cost; None for all other measures."""
    this_run: RunClaim | None = None
    """Claim about this run by itself, if its rounds are too few for a verdict; gates ignore it."""
    usual: Interval | None = None
    """Range of 95 % of further runs if nothing changes; None without a history."""
    detectable: float | None = None
    """Ratio, or share of failures or passes, that is detected in 90 % of runs; None without a history."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on the measure."""
        return self.decision.verdict


def decide_all(rows: list[MeasureEvidence], rule: Rule) -> tuple[DiffFinding, ...]:
    """Return the findings of the rule on all rows; rows with anything to test share its significance level."""
    tested = [row.result for row in rows if not row.result.constant]
    adjusted = iter(holm_adjust([result.p for result in tested]))
    independent = iter(holm_adjust([(result.independent or result).p for result in tested]))
    findings = [
        _decide(row, (1.0, 1.0) if row.result.constant else (next(adjusted), next(independent)), rule, len(tested))
        for row in rows
    ]
    claims = _claim_for_this_run(rows, findings, rule)
    return tuple(replace(found, this_run=claims.get(at)) for at, found in enumerate(findings))


def _claim_for_this_run(rows: list[MeasureEvidence], findings: list[DiffFinding], rule: Rule) -> dict[int, RunClaim]:
    """Return claims from pairs of requests, by the position of each row with too few rounds for a verdict."""
    open_rows = {
        at: row.pairs
        for at, (row, found) in enumerate(zip(rows, findings, strict=True))
        if found.decision.reason is UndecidedReason.TOO_FEW and row.pairs is not None and len(row.pairs) > 1
    }
    claims = claim_for_this_run(open_rows, {at: rows[at].questions for at in open_rows}, rule)
    return {at: claim for at, claim in claims.items() if _is_beyond_clock(rows[at], math.log(claim.change))}


def _is_beyond_clock(row: MeasureEvidence, estimate: float) -> bool:
    floor = possible_clock_error(row)
    return floor is None or row.levels[0] * abs(math.expm1(estimate)) > floor


def _decide(row: MeasureEvidence, adjusted: tuple[float, float], rule: Rule, tests: int) -> DiffFinding:
    """Return the finding on a row, given its adjusted p-value and the one that assumes independent rounds."""
    p, independent_p = adjusted
    is_share, result, floor = row.measure.unit is Unit.SHARE, row.result, possible_clock_error(row)
    criteria = Criteria(
        min_effect=_min_effect(row.measure, rule),
        alpha=rule.alpha,
        alpha_of_row=rule.alpha / max(1, tests),
        better=row.measure.better,
        beyond_clock=_is_beyond_clock(row, result.estimate),
        fewest_units=row.fewest_units,
        forecast=row.forecast,
        is_bound=not is_share,
        independent_p=independent_p,
    )
    return DiffFinding(
        target=row.arms.target,
        measure=row.measure,
        base_level=row.levels[0],
        new_level=row.levels[1],
        change=result.estimate if is_share else math.exp(result.estimate),
        interval=result.interval if is_share or result.interval is None else result.interval.exponential(),
        p=p,
        n=row.n,
        units=result.units,
        floor=floor,
        decision=_with_rounds(decide(result, p, criteria), row, criteria),
        tested=not result.constant,
        currency=row.currency,
    )


def _with_rounds(decision: Decision, row: MeasureEvidence, criteria: Criteria) -> Decision:
    """Return the decision on a pass rate, with the number of rounds of the same cases that should be enough.

    If no number of rounds is enough, the reason becomes FEW_CASES.
    """
    if row.rounds_needed is None or decision.needed is None:
        return decision
    if decision.reason is UndecidedReason.TOO_FEW:
        return replace(decision, reason=UndecidedReason.FEW_CASES)
    rounds = row.rounds_needed(criteria.min_effect, criteria.alpha_of_row)
    if rounds is None:
        return decision
    if math.isinf(rounds):
        return replace(decision, reason=UndecidedReason.FEW_CASES)
    return replace(decision, rounds=math.ceil(rounds))


def _min_effect(measure: Measure, rule: Rule) -> float:
    """Return the minimum effect in the unit of the estimate."""
    of_share = {
        FAILURES: rule.min_failure_rise,
        SLO_MET: rule.min_slo_fall,
        SLOW_REQUESTS: rule.min_slow_rise,
        PASSES: rule.min_pass_change,
    }
    return of_share.get(measure, math.log1p(rule.min_effect))


# Claims about one run by itself


def claim_for_this_run(
    pairs: Mapping[Row, NDArray[np.float64]], questions: Mapping[Row, int], rule: Rule
) -> dict[Row, RunClaim]:
    """Return the claims that are significant after Holm's adjustment over all rows.

    The unit is the pair of requests instead of the round. The test is exact for this run if the targets of a case were
    sent together: without a difference, both signs of each pair would be equally likely.

    Args:
        pairs: differences of logarithms, new minus base, of each row; shape (pairs,).
        questions: number of questions that the pairs cover, of each row.
        rule: the significance level, and the minimum effect of the estimate.

    """
    draws, least = draws_for(rule.alpha / max(1, len(pairs))), math.log1p(rule.min_effect)
    large = {row: each for row, each in pairs.items() if abs(float(each.mean())) >= least}
    results = {row: sign_flip_test(each, draws=draws) for row, each in large.items()}
    # A row whose effect is too small for a claim is not tested, but counts as a test.
    adjusted = holm_adjust([*(result.p for result in results.values()), *[1.0] * (len(pairs) - len(large))])
    return {
        row: _claim(result, p, large[row], questions[row])
        for (row, result), p in zip(results.items(), adjusted, strict=False)
        if p <= rule.alpha
    }


def _claim(result: PermutationResult, p: float, pairs: NDArray[np.float64], questions: int) -> RunClaim:
    interval = result.interval
    return RunClaim(
        change=math.exp(result.estimate),
        interval=None if interval is None else interval.exponential(),
        p=p,
        agreeing=int((pairs * result.estimate > 0).sum()),
        pairs=len(pairs),
        questions=questions,
    )
