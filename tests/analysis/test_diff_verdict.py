"""The rule of verdicts, condition by condition, and the sample size that it recommends."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.diff_measures import Better, choose_measures
from runner.analysis.diff_verdict import Criteria, Rule, UndecidedReason, Verdict, decide
from runner.analysis.intervals import Interval
from runner.analysis.significance_tests import PermutationResult, SignFlips, fewest_pairs, smallest_p
from runner.analysis.student_t import chi_squared_quantile
from runner.errors import CompareError

MARGIN = math.log(1.1)
LARGER = math.sqrt(19 / chi_squared_quantile(0.1, 19))
"""By how much the spread of 20 blocks may exceed what they show."""
CRITERIA = Criteria(
    min_effect=MARGIN,
    alpha=0.01,
    alpha_of_row=0.01,
    better=Better.LOWER,
    beyond_clock=True,
    fewest_units=fewest_pairs,
)


def result(estimate: float, p: float, half: float = 0.05, units: int = 50, spread: float = 0.3) -> PermutationResult:
    """Return the result of a test of 50 rounds."""
    return PermutationResult(
        estimate, p, smallest_p(SignFlips(units)), spread, units, Interval(estimate - half, estimate + half, 0.95)
    )


def test_slower_is_regressed_and_faster_improved() -> None:
    """The verdict on a significant change of more than 10 % follows its direction."""
    assert decide(result(0.2, 0.001), 0.001, CRITERIA).verdict is Verdict.REGRESSED
    assert decide(result(-0.2, 0.001), 0.001, CRITERIA).verdict is Verdict.IMPROVED


def test_better_direction_is_that_of_the_measure() -> None:
    """More characters per second are better; a longer reply is neither better nor worse."""
    higher, neither = replace(CRITERIA, better=Better.HIGHER), replace(CRITERIA, better=Better.NEITHER)
    assert decide(result(0.2, 0.001), 0.001, higher).verdict is Verdict.IMPROVED
    assert decide(result(0.2, 0.001), 0.001, neither).verdict is Verdict.CHANGED


@pytest.mark.parametrize(
    ("estimate", "p", "beyond_clock"), [(0.2, 0.011, True), (0.09, 0.001, True), (0.2, 0.001, False)]
)
def test_each_clause_alone_leaves_a_change_undecided(estimate: float, p: float, beyond_clock: bool) -> None:
    """A change that is not significant, too small, or within the clock error is undecided, never unchanged."""
    criteria = replace(CRITERIA, beyond_clock=beyond_clock)
    assert decide(result(estimate, p), p, criteria).verdict is Verdict.UNDECIDED


def test_unchanged_needs_the_whole_interval_inside_the_minimum_effect() -> None:
    """An estimate of zero alone is not enough."""
    assert decide(result(0.0, 1.0, half=MARGIN - 0.001), 1.0, CRITERIA).verdict is Verdict.UNCHANGED
    assert decide(result(0.0, 1.0, half=MARGIN + 0.001), 1.0, CRITERIA).verdict is Verdict.UNDECIDED
    assert decide(replace(result(0.0, 1.0), interval=None), 1.0, CRITERIA).verdict is Verdict.UNDECIDED


def test_a_significant_change_below_the_minimum_effect_is_unchanged() -> None:
    """A measure is unchanged if the whole interval lies within the minimum effect."""
    assert decide(result(0.04, 0.001, half=0.03), 0.001, CRITERIA).verdict is Verdict.UNCHANGED


def test_too_few_rounds_name_the_number_needed() -> None:
    """Five pairs cannot reach 1 %; eight can."""
    decision = decide(result(1.0, 2 / 32, half=0.9, units=5, spread=0.1), 2 / 32, CRITERIA)
    assert (decision.verdict, decision.reason, decision.needed) == (Verdict.UNDECIDED, UndecidedReason.TOO_FEW, 8)


def test_more_rows_need_more_rounds() -> None:
    """Holm divides the level by 24 rows: 13 pairs are the fewest that can be significant."""
    criteria = replace(CRITERIA, alpha_of_row=0.01 / 24)
    assert decide(result(1.0, 2 / 32, half=0.9, units=5, spread=0.1), 1.0, criteria).needed == 13


def test_noise_names_the_number_needed() -> None:
    """((1.96 + 1.28) * spread / distance to the minimum effect)^2 + 1.96^2 / 2 rounds, of a likely larger spread."""
    decision = decide(result(0.2, 0.2, half=0.3, units=20, spread=0.7), 0.2, CRITERIA)
    assert (decision.reason, decision.needed) == (
        UndecidedReason.NOISY,
        math.ceil(((1.959964 + 1.2815516) * 0.7 * LARGER / (0.2 - MARGIN)) ** 2 + 1.92),
    )


def test_number_needed_for_unchanged_narrows_the_interval() -> None:
    """1.96 standard errors, and 1.64 more for the power, must fit into the minimum effect."""
    decision = decide(result(0.0, 1.0, half=0.3, units=20, spread=0.7), 1.0, CRITERIA)
    assert decision.needed == math.ceil(((1.959964 + 1.6448536) * 0.7 * LARGER / MARGIN) ** 2 + 1.92)


def test_a_change_at_the_minimum_effect_names_no_number() -> None:
    """An estimate at the minimum effect is borderline."""
    decision = decide(result(MARGIN - 1e-6, 0.001, half=0.05), 0.001, CRITERIA)
    assert (decision.reason, decision.needed) == (UndecidedReason.BORDERLINE, None)


def test_a_change_within_the_clock_error_has_that_reason() -> None:
    """It is significant and large enough, so the reason is not noise."""
    assert decide(result(0.2, 0.001), 0.001, replace(CRITERIA, beyond_clock=False)).reason is UndecidedReason.CLOCK


@given(st.floats(-1, 1), st.floats(0.00001, 1), st.floats(0, 1), st.integers(1, 300), st.floats(0, 2))
def test_every_undecided_row_has_a_reason(estimate: float, p: float, half: float, units: int, spread: float) -> None:
    """For any result, the number needed is larger than the present one."""
    decision = decide(result(estimate, p, half, units, spread), p, CRITERIA)
    assert (decision.reason is not None) == (decision.verdict is Verdict.UNDECIDED)
    assert decision.needed is None or decision.needed > units


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": 1}, {"min_effect": 0}, {"min_failure_rise": 2}, {"min_slow_rise": 0}]
)
def test_rules_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    """A level or an effect that no test can have is an error."""
    with pytest.raises(CompareError, match=r"choose|cannot"):
        Rule(**wrong)  # type: ignore[arg-type]


def test_all_problems_of_a_rule_are_in_one_error() -> None:
    """They include level, effect and every unknown measure."""
    with pytest.raises(
        CompareError, match=r"alpha nan is not a level .*\na minimum effect of 0 .*\nttff is not a meas"
    ):
        Rule(alpha=math.nan, min_effect=0, measures=("ttff",))
    with pytest.raises(CompareError, match=r"ttff, totl are not measures .* Did you mean `ttft` and `total`"):
        choose_measures(("ttff", "totl", "cost"))
    with pytest.raises(
        CompareError, match=r"ttff, zzz are not measures .* Known are failures, slo, passes, slow, ttft_s"
    ):
        choose_measures(("ttff", "zzz"))


def test_measures_are_found_by_their_short_names() -> None:
    """The unit may be left out; the error suggests the measure that was probably meant."""
    assert [each.name for each in choose_measures(("ttft", "total_s"))] == ["ttft_s", "total_s"]
    with pytest.raises(CompareError, match="Did you mean `ttft`"):
        choose_measures(("ttff",))
