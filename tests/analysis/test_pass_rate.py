"""Pass rates: intervals with the repeats of a case as a cluster, compared with Wilson's, scipy and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.analysis.check_results import CheckedCell
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.pass_rate import CaseCounts, measure_pass_rate, pass_interval
from tests.benchmarks.pass_worlds import PassWorld, coverage_of_intervals


def cell(case: str, passed: int, failed: int, undecided: int = 0) -> CheckedCell:
    """Return a case of one target with these counts."""
    return CheckedCell(case, MeasuredTarget("p/m"), None, passed + failed, passed, failed, undecided, ())


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_with_one_repeat_of_each_case_the_interval_is_wilsons(passed: list[bool]) -> None:
    """With one repeat the cases are independent, and scipy has the same interval."""
    rate = measure_pass_rate([cell(str(at), int(each), int(not each)) for at, each in enumerate(passed)])
    assert rate is not None
    expected = stats.binomtest(sum(passed), len(passed)).proportion_ci(method="wilson")
    assert (rate.interval.low, rate.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (rate.passed, rate.n, rate.cases) == (sum(passed), len(passed), len(passed))


counts = st.lists(st.integers(1, 10).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1)


@given(counts)
def test_the_effective_number_is_between_cases_and_requests(found: list[tuple[int, int]]) -> None:
    """The interval contains the share."""
    cases = CaseCounts.of(found)
    share = sum(passed for passed, _ in found) / sum(n for _, n in found)
    interval = pass_interval(cases, share)
    assert 0 <= interval.low <= share + 1e-12
    assert share - 1e-12 <= interval.high <= 1
    assert min(cases.cases, cases.decided.sum() ** 2 / (cases.decided**2).sum()) - 1e-9 <= cases.effective
    assert cases.effective <= cases.n + 1e-9


def test_repeats_that_always_agree_say_no_more_than_one() -> None:
    """Ten repeats of ten cases, five of which always pass, have the interval of ten cases."""
    once = measure_pass_rate([cell(str(at), int(at < 5), int(at >= 5)) for at in range(10)])
    often = measure_pass_rate([cell(str(at), 10 * (at < 5), 10 * (at >= 5)) for at in range(10)])
    assert once is not None
    assert often is not None
    assert often.interval == once.interval
    assert (often.n, often.cases) == (100, 10)


def test_repeats_that_differ_narrow_the_interval() -> None:
    """If all cases pass in half of their repeats, the effective number is far above the number of cases."""
    mixed = CaseCounts.of([(5, 10)] * 100)
    assert mixed.effective > 500
    assert pass_interval(mixed, 0.5).high < 0.54


def test_undecided_repeats_are_in_no_share() -> None:
    """Undecided repeats are counted separately; if nothing was decided, there is no rate."""
    rate = measure_pass_rate([cell("a", 1, 1, 3), cell("b", 0, 0, 4)])
    assert rate is not None
    assert (rate.share, rate.n, rate.cases, rate.undecided) == (0.5, 2, 1, 7)
    assert measure_pass_rate([cell("b", 0, 0, 4)]) is None
    assert measure_pass_rate([]) is None


@pytest.mark.parametrize("cases", [10, 50, 300])
@pytest.mark.parametrize("repeats", [1, 3, 10])
def test_intervals_hold_the_truth_as_often_as_they_say(cases: int, repeats: int) -> None:
    """At least 93 % of 600 intervals with case effects contain the true rate.

    That is 2.2 standard errors below the nominal 95 %; benchmarks/gates.py measures more.
    """
    held = [
        coverage_of_intervals(np.random.default_rng(5), PassWorld(share, alike), cases, repeats, 200)
        for share, alike in ((0.5, 0.3), (0.8, 0.6), (0.9, 0.3))
    ]
    assert sum(held) / 600 >= 0.93
