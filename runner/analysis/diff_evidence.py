"""The evidence on each measure of two arms, to which a rule is applied: levels, estimate, interval and p-value."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.autocorrelation import (
    ALIKE,
    MIN_ROUNDS,
    autocorrelation,
    share_autocorrelation,
    t_test_of_shift,
    variance_inflation,
    with_margin,
)
from runner.analysis.comparison_arms import (
    STRATUM,
    STRATUM_AND_ROUND,
    Arm,
    RoundMeans,
    by_stratum_and_round,
    logs_of,
    match_rounds,
    pair_rounds,
    strata_and_rounds_of,
)
from runner.analysis.dataframe import REPEATED, has_none_of, is_timed, steady_rows
from runner.analysis.diff_measures import (
    FAILURES,
    PASSES,
    SLO_MET,
    SLOW_REQUESTS,
    TIMED_MEASURES,
    ClockUse,
    Measure,
    Unit,
)
from runner.analysis.goodput import mark_met
from runner.analysis.intervals import LEVEL, MIN_UNITS, Interval
from runner.analysis.pass_rate_diff import cases_needed, compare_passes, pair_passes, rounds_needed
from runner.analysis.proportions import (
    CountsByRound,
    Proportion,
    count_by_round,
    design_effect,
    fisher_p,
    newcombe_interval,
    requests_needed,
    smallest_fisher_p,
)
from runner.analysis.significance_tests import (
    FINE,
    IndependentResult,
    PermutationResult,
    Relabellings,
    SignFlips,
    fewest_of_two_samples,
    fewest_pairs,
    sign_flip_test,
    two_sample_test,
)
from runner.analysis.slow_requests import (
    TIMES,
    SlowRounds,
    design_effect_of_slow,
    mark_slow,
    mean_log_times,
    slow_rounds,
)
from runner.core.slo import Slo

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ComparedArms:
    """Two arms to compare, and the possible clock error of their difference, in seconds."""

    target: str
    base: Arm
    new: Arm
    paired: bool
    clock_error_s: float
    slo: Slo | None = None
    """SLO by which the requests of both arms are judged."""


@dataclass(frozen=True, slots=True)
class MeasureEvidence:
    """Evidence on one measure, before the rule is applied to all measures together.

    `levels` and `n` are those of base and new. `fewest_units` returns the minimum number of units that can be
    significant at a level, or None if no number can. `forecast` returns the number of units that should be enough, for
    a minimum effect and a level; it is None if only the spread is known. `pairs` are the differences of all pairs of
    requests, over `questions` questions; None if the arms are not paired.
    """

    arms: ComparedArms
    measure: Measure
    result: PermutationResult
    levels: tuple[float, float]
    n: tuple[int, int]
    fewest_units: Callable[[float], int | None]
    forecast: Callable[[float, float], float] | None = None
    pairs: Floats | None = None
    questions: int = 0
    rounds: tuple[Floats, ...] = ()
    """Differences of rounds, or the rounds of new and of base, in the order of time; empty if requests are tested."""
    rounds_needed: Callable[[float, float], float | None] | None = None
    """For a pass rate, whose units are cases: a function like `forecast` that returns a number of rounds."""

    @property
    def currency(self) -> str | None:
        """The currency of the levels; None if they are not amounts of money."""
        return next(iter(_currencies(self.arms)), None) if self.measure.unit is Unit.MONEY else None


SAME_NUMBERS = (("ttfa_s", "ttft_s"), ("tool_call_s", "ttft_s"), ("tool_call_s", "total_s"))
"""Measures that often equal the other one: for replies without reasoning, or with nothing but tool calls."""


def gather_evidence(arms: ComparedArms, measures: tuple[Measure, ...], draws: int = FINE) -> list[MeasureEvidence]:
    """Return the evidence on the measures that both arms have, with `draws` random permutations.

    It assumes independent rounds; `widen_for_autocorrelation` corrects this for all rows of a comparison together.
    """
    failures = _share_evidence(arms, FAILURES, _failed_by_round) if FAILURES in measures else None
    met = (
        _share_evidence(arms, SLO_MET, partial(_met_by_round, slo=arms.slo))
        if SLO_MET in measures and arms.slo is not None
        else None
    )
    passed = _pass_evidence(arms) if PASSES in measures else None
    slow = _slow_evidence(arms) if SLOW_REQUESTS in measures else None
    comparable = [each for each in TIMED_MEASURES if each in measures and _is_in_one_currency(arms, each)]
    average = pair_rounds if arms.paired else match_rounds
    found = {each: average(logs_of(arms.base, each.name), logs_of(arms.new, each.name)) for each in comparable}
    rounds = {measure: means for measure, means in found.items() if means is not None}
    for name, other in SAME_NUMBERS:
        measure, usual = (next((each for each in rounds if each.name == wanted), None) for wanted in (name, other))
        if measure and usual and _are_equal(rounds[measure], rounds[usual]):
            del rounds[measure]  # a second test of the same numbers only costs power
    timed = [_round_evidence(arms, measure, means, draws) for measure, means in rounds.items()]
    return [*filter(None, (failures, met, passed, slow)), *timed]


def _is_in_one_currency(arms: ComparedArms, measure: Measure) -> bool:
    """Return whether a ratio of levels has a meaning, which it does not for two currencies."""
    return measure.unit is not Unit.MONEY or len(_currencies(arms)) <= 1


def _currencies(arms: ComparedArms) -> set[str]:
    return {*arms.base.timed["currency"].dropna(), *arms.new.timed["currency"].dropna()}


def _are_equal(one: RoundMeans, other: RoundMeans) -> bool:
    if one.base is not None and other.base is not None and not np.array_equal(one.base, other.base):
        return False
    return np.array_equal(one.new, other.new)


def _round_evidence(arms: ComparedArms, measure: Measure, rounds: RoundMeans, draws: int) -> MeasureEvidence:
    series: tuple[Floats, ...] = (rounds.new,)
    if rounds.base is None:
        result, fewest_units = sign_flip_test(rounds.new, draws=draws), fewest_pairs
    else:
        result, fewest_units = two_sample_test(rounds.base, rounds.new, draws=draws), fewest_of_two_samples
        series = (rounds.new, rounds.base)
    return MeasureEvidence(
        arms,
        measure,
        result,
        (math.exp(rounds.base_level), math.exp(rounds.new_level)),
        rounds.n,
        fewest_units,
        pairs=rounds.pairs,
        questions=rounds.questions,
        rounds=series,
    )


# Slow requests


def _slow_evidence(arms: ComparedArms) -> MeasureEvidence | None:
    """Return the evidence on the share of slow requests; None if no question was timed on both sides."""
    sides = _slow_sides(arms)
    if sides is None:
        return None
    base, new = (side.share for side in sides)
    effect, result = design_effect_of_slow(*sides), compare_slow(*sides, paired=arms.paired)
    return MeasureEvidence(
        arms,
        SLOW_REQUESTS,
        result,
        (base.value, new.value),
        (round(base.n), round(new.n)),
        fewest_pairs if arms.paired else fewest_of_two_samples,
        forecast=lambda *goal: requests_needed(base, new, effect, *goal) * result.units / min(base.n, new.n),
    )


def _slow_sides(arms: ComparedArms) -> tuple[SlowRounds, SlowRounds] | None:
    """Return the rounds of both sides, from requests with a pair or, if unpaired, with a question of both sides."""
    columns = [*STRATUM_AND_ROUND, *TIMES]
    timed = pd.concat({"base": arms.base.timed[columns], "new": arms.new.timed[columns]})
    timed = timed[timed[[*TIMES]].notna().any(axis=1)]
    of_row = {"slow": mark_slow(timed, STRATUM, arms.clock_error_s).astype(float), "time": mean_log_times(timed)}
    is_new = timed.index.get_level_values(0) == "new"
    index = strata_and_rounds_of(timed)
    sides = [
        pd.DataFrame(
            {
                name: by_stratum_and_round(index[of], np.asarray(each[of], dtype=np.float64))
                for name, each in of_row.items()
            }
        )
        for of in (~is_new, is_new)
    ]
    shared = STRATUM_AND_ROUND if arms.paired else STRATUM
    keys = [[*zip(*(side.index.get_level_values(name) for name in shared), strict=True)] for side in sides]
    both = {*keys[0]} & {*keys[1]}
    if not both:
        return None
    kept = [side[[key in both for key in of_side]] for side, of_side in zip(sides, keys, strict=True)]
    base, new = (slow_rounds(side.reset_index(), STRATUM) for side in kept)
    return base, new


def compare_slow(base: SlowRounds, new: SlowRounds, *, paired: bool) -> PermutationResult:
    """Return the comparison of the shares of slow requests, as for failures.

    The p-value is at least the smallest one that a permutation test of the rounds can reach.
    """
    result = _compare_proportions(base.share, new.share, design_effect_of_slow(base, new))
    rounds = len(base.ranks), len(new.ranks)
    least = min(1.0, 2 / (SignFlips(min(rounds)) if paired else Relabellings(*rounds)).count)
    interval = result.interval if min(rounds) >= MIN_UNITS else None
    return replace(result, p=max(result.p, least), smallest_p=least, units=min(rounds), interval=interval)


# Correlated rounds


def widen_for_autocorrelation(rows: Sequence[MeasureEvidence]) -> list[MeasureEvidence]:
    """Return the rows, each with the larger p-value and the wider interval of two tests.

    The permutation test assumes independent rounds. The test for correlated rounds estimates their autocorrelation from
    each row and from all rows together.
    """
    every = [each for row in rows for each in row.rounds if not row.result.constant]
    enough = [each for each in every if len(each) >= MIN_ROUNDS]
    shared = 0.0
    if enough:
        found = np.array([float(autocorrelation(each[None, :])[0]) for each in enough])
        shared = float(share_autocorrelation(found, np.array([float(len(each)) for each in enough])))
    return [replace(row, result=_allow_for_spells(row, shared)) for row in rows]


def _allow_for_spells(row: MeasureEvidence, shared: float) -> PermutationResult:
    result = row.result
    if result.constant or not row.rounds or min(map(len, row.rounds)) < 2:
        return result
    correlations = [_correlation(each, shared) for each in row.rounds]
    new, *base = (each[None, :] for each in row.rounds)
    p, half = (float(each[0]) for each in t_test_of_shift(new, base[0] if base else None, LEVEL, correlations))
    inflation = max(
        float(variance_inflation(correlation, len(each))[0])
        for each, correlation in zip(row.rounds, correlations, strict=True)
    )
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


def _correlation(series: Floats, shared: float) -> Floats:
    """Return the autocorrelation of the rounds of one side of a row; shape (1,)."""
    if len(series) < MIN_ROUNDS:
        return np.zeros(1)
    return with_margin(np.maximum(autocorrelation(series[None, :]), shared), len(series))


# Pass rates


def _pass_evidence(arms: ComparedArms) -> MeasureEvidence | None:
    """Return the evidence on the pass rate; None if no case has decided repeats on both sides."""
    passes = pair_passes(arms.base.checked, arms.new.checked, by_round=arms.paired)
    if passes is None:
        return None
    return MeasureEvidence(
        arms,
        PASSES,
        compare_passes(passes),
        passes.shares,
        (passes.base.n, passes.new.n),
        fewest_pairs,
        forecast=partial(cases_needed, passes),
        rounds_needed=partial(rounds_needed, passes),
    )


# Failures


def _share_evidence(
    arms: ComparedArms, measure: Measure, count: Callable[[Arm], CountsByRound]
) -> MeasureEvidence | None:
    """Return the evidence on a share of requests; None if one side has no requests."""
    of_base, of_new = count(arms.base), count(arms.new)
    if not of_base[1].sum() or not of_new[1].sum():
        return None
    base, new = map(Proportion.of, (of_base, of_new))
    effect = design_effect(of_base, of_new)
    return MeasureEvidence(
        arms,
        measure,
        compare_shares(of_base, of_new),
        (base.value, new.value),
        (int(base.n), int(new.n)),
        fewest_units=fewest_of_two_samples,
        forecast=partial(requests_needed, base, new, effect),
    )


def _compare_proportions(base: Proportion, new: Proportion, effect: float) -> PermutationResult:
    """Return the comparison of two proportions, with counts divided by the design effect."""
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


def compare_shares(base: CountsByRound, new: CountsByRound) -> PermutationResult:
    """Return the comparison of the shares of two sides, from their counts by round."""
    return _compare_proportions(Proportion.of(base), Proportion.of(new), design_effect(base, new))


def _failed_by_round(arm: Arm) -> CountsByRound:
    """Return the numbers of failed and of all requests of each round, in the order of rounds."""
    tried = arm.tried
    return count_by_round((~is_timed(tried)).to_numpy(), tried["block"].to_numpy())


def _met_by_round(arm: Arm, slo: Slo) -> CountsByRound:
    """Return the numbers of requests of each round that met the SLO, and of those judged, in the order of rounds."""
    tried = arm.tried
    rows = tried[has_none_of(tried, REPEATED)] if arm.with_unsteady else steady_rows(tried)
    return count_by_round(mark_met(rows, slo).to_numpy(), rows["block"].to_numpy())


def possible_clock_error(row: MeasureEvidence) -> float | None:
    """Return the possible clock error of a difference, in the measure's unit; None if the measure uses no clock."""
    match row.measure.clock_use:
        case ClockUse.NONE:
            return None
        case ClockUse.DURATION:
            return row.arms.clock_error_s
        case ClockUse.TEXT_RATE:
            spans_s = pd.concat([arm.timed["total_s"] - arm.timed["ttft_s"] for arm in (row.arms.base, row.arms.new)])
            return row.levels[0] * row.arms.clock_error_s / float(spans_s[spans_s > 0].median())
