"""Comparison of pass rates: exact p-values compared with scipy and enumeration, and the sample size needed."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.analysis.check_results import CheckedCell, CheckedRepeat
from runner.analysis.diff_verdict import UndecidedReason, Verdict
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.pass_rate import CaseCounts
from runner.analysis.pass_rate_diff import (
    PairedPasses,
    cases_needed,
    compare_passes,
    difference_interval,
    pair_passes,
    rounds_needed,
    sign_flip_p,
)
from runner.analysis.significance_tests import fewest_pairs
from runner.checks.check_finding import CheckVerdict
from tests.benchmarks.pass_worlds import PairWorld, judge_passes

PASSED, FAILED, UNDECIDED = CheckVerdict.PASSED, CheckVerdict.FAILED, CheckVerdict.UNDECIDED


def checked(case: str, *verdicts: CheckVerdict) -> CheckedCell:
    """Return a case with this verdict in each round."""
    repeats = tuple(CheckedRepeat(at, at, None, verdict) for at, verdict in enumerate(verdicts, start=1))
    passed, failed, undecided = (verdicts.count(each) for each in (PASSED, FAILED, UNDECIDED))
    cell = CheckedCell(case, MeasuredTarget("p/m"), None, len(verdicts), passed, failed, undecided, ())
    return replace(cell, repeats=repeats)


def passes(base: list[int], new: list[int], repeats: int = 1) -> PairedPasses:
    """Return cases with this many passed repeats."""
    old, now = (CaseCounts.of((each, repeats) for each in side) for side in (base, new))
    return PairedPasses(old, now)


# The test


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_with_one_repeat_it_is_mcnemars_exact_test(pairs: list[tuple[bool, bool]]) -> None:
    """With one repeat, the p-value is that of scipy's binomial test on the cases that only one arm passed."""
    result = compare_passes(passes([int(one) for one, _ in pairs], [int(other) for _, other in pairs]))
    only = [sum(one and not other for one, other in pairs), sum(other and not one for one, other in pairs)]
    expected = 1.0
    if sum(only):
        tails = [stats.binom.cdf(count, sum(only), 0.5) for count in only]
        expected = min(1.0, 2 * min(tails))
    assert result.p == pytest.approx(expected, abs=1e-12)
    assert result.constant == (not sum(only))


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_p_is_the_share_of_all_exchanges_of_signs(differences: list[int]) -> None:
    """The p-value is that of all enumerated sign flips."""
    signs = product((1, -1), repeat=len(differences))
    sums = [sum(sign * each for sign, each in zip(ways, differences, strict=True)) for ways in signs]
    at = sum(differences)
    tails = [sum(each <= at for each in sums), sum(each >= at for each in sums)]
    expected = min(1.0, 2 * min(tails) / len(sums))
    assert sign_flip_p(np.array(differences)) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=40), st.integers(1, 5))
def test_p_does_not_depend_on_scale_sign_or_order(differences: list[int], factor: int) -> None:
    """Differences may be negated, reversed or multiplied."""
    p = sign_flip_p(np.array(differences))
    assert sign_flip_p(-np.array(differences)) == pytest.approx(p, abs=1e-12)
    assert sign_flip_p(factor * np.array(differences[::-1])) == pytest.approx(p, abs=1e-12)


def test_repeats_of_a_case_are_one_cluster() -> None:
    """Five cases that changed in all of 100 repeats are no more evidence than five that changed in one."""
    once, often = passes([1] * 5, [0] * 5), passes([100] * 5, [0] * 5, 100)
    assert compare_passes(often).p == compare_passes(once).p == 2 / 2**5
    assert compare_passes(often).smallest_p == 2 / 2**5


def test_cases_with_other_numbers_of_repeats_weigh_the_same() -> None:
    """Runs of three and of ten repeats are compared, and thousands of cases take no noticeable time."""
    base, new = CaseCounts.of([(3, 3), (0, 3)]), CaseCounts.of([(5, 10), (5, 10)])
    result = compare_passes(PairedPasses(base, new))
    assert (result.estimate, result.p, result.units) == (0.0, 1.0, 2)
    rng = np.random.default_rng(1)
    sizes = [rng.integers(1, 11, 3000).tolist() for _ in range(2)]
    one, other = (CaseCounts.of((int(rng.integers(0, n + 1)), n) for n in of_arm) for of_arm in sizes)
    assert 0 < compare_passes(PairedPasses(one, other)).p <= 1


counts = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


@given(counts)
def test_the_interval_holds_the_estimate_and_turns_with_the_sides(found: list[tuple[int, int]]) -> None:
    """The interval lies within -1 and 1, and is negated if the arms are exchanged."""
    one = passes([base for base, _ in found], [new for _, new in found], 4)
    other = PairedPasses(one.new, one.base)
    interval, mirrored, estimate = difference_interval(one), difference_interval(other), compare_passes(one).estimate
    assert -1 - 1e-9 <= interval.low <= estimate + 1e-9
    assert estimate - 1e-9 <= interval.high <= 1 + 1e-9
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


def test_the_interval_has_a_width_if_no_case_differs() -> None:
    """Twenty cases that both arms passed do not rule out a difference of a twentieth."""
    interval = difference_interval(passes([1] * 20, [1] * 20))
    assert interval.high > 0.1
    assert difference_interval(passes([1] * 300, [1] * 300)).high < 0.05


def test_rounds_that_fail_as_a_whole_widen_the_interval_and_raise_p() -> None:
    """Thirty cases that all fail in two of ten rounds of one arm are an outage, not a worse model."""
    always = [checked(str(case), *[PASSED] * 10) for case in range(30)]
    outage = [checked(str(case), *[FAILED] * 2, *[PASSED] * 8) for case in range(30)]
    found = pair_passes(always, outage, by_round=True)
    assert found is not None
    result = compare_passes(found)
    assert result.independent is not None
    assert (result.independent.p < 1e-6, result.p > 0.01) == (True, True)
    assert result.interval is not None
    assert result.independent.interval is not None
    assert result.interval.high > result.independent.interval.high


# Pairs


def test_pairs_are_of_one_case_and_round() -> None:
    """Repeats that one arm has not decided are left out of both, and so are cases without a pair."""
    base = [checked("a", PASSED, UNDECIDED, FAILED), checked("b", PASSED), checked("only", PASSED)]
    new = [checked("a", FAILED, PASSED, PASSED), checked("b", UNDECIDED)]
    found = pair_passes(base, new, by_round=True)
    assert found is not None
    assert (found.base.passed.tolist(), found.base.decided.tolist()) == ([1], [2])
    assert (found.new.passed.tolist(), found.new.decided.tolist()) == ([1], [2])
    of_runs = pair_passes(base, new, by_round=False)
    assert of_runs is not None
    assert (of_runs.base.decided.tolist(), of_runs.new.decided.tolist()) == ([2], [3])
    assert pair_passes(base[1:], new, by_round=True) is None
    assert pair_passes([], [], by_round=False) is None


# The sample size needed


def test_with_one_repeat_the_rounds_needed_are_unknown() -> None:
    """The variation between repeats cannot be estimated."""
    assert rounds_needed(passes([1, 0] * 10, [1, 1] * 10), 0.05, 0.01) is None


def test_more_repeats_decide_where_repeats_differ_and_cases_do_not() -> None:
    """For thirty cases that pass in half of four repeats on both sides, enough rounds show that they are equal."""
    needed = rounds_needed(passes([2] * 30, [2] * 30, 4), 0.05, 0.01)
    assert needed is not None
    assert 4 < needed < 1000


def test_more_repeats_do_not_decide_where_cases_differ() -> None:
    """If each arm always passes ten other cases, only more cases can decide."""
    found = passes([4] * 10 + [0] * 10, [0] * 10 + [4] * 10, 4)
    assert rounds_needed(found, 0.05, 0.01) == math.inf
    assert cases_needed(found, 0.05, 0.01) > 20


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_a_gate_rarely_claims_a_change_that_is_none(spread: float) -> None:
    """At most 1.5 % of 400 gates of 50 cases and 3 repeats with case effects fail; benchmarks/gates.py runs more.

    The level is 1 %; up to 11 of 400 is within chance.
    """
    world = PairWorld("none", (0.8, 0.8), spread=spread, common=0.5)
    base, new = world.passed(np.random.default_rng(2), 400, 50, 3)
    claims = [each for each in judge_passes(base, new) if each.verdict in {Verdict.REGRESSED, Verdict.IMPROVED}]
    assert len(claims) <= 11


def test_a_gate_finds_what_is_worse() -> None:
    """A fall from 90 % to 70 %, over 50 cases with 3 repeats, is found in 90 % of gates."""
    base, new = PairWorld("worse", (0.9, 0.7)).passed(np.random.default_rng(3), 100, 50, 3)
    assert sum(each.verdict is Verdict.REGRESSED for each in judge_passes(base, new)) >= 90


def test_fewer_cases_than_can_be_significant_are_too_few() -> None:
    """The smallest p-value of seven cases is 2/128, that of eight 2/256."""
    base, new = np.ones((1, 7, 5)), np.zeros((1, 7, 5))
    assert judge_passes(base, new)[0].reason is UndecidedReason.TOO_FEW
    assert judge_passes(np.ones((1, 8, 5)), np.zeros((1, 8, 5)))[0].verdict is Verdict.REGRESSED
    assert fewest_pairs(0.01) == 8
