"""Permutation tests, exact and random, and their intervals; Fisher's test, Newcombe's interval, Holm's adjustment."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.analysis.proportions import Proportion, fisher_p, newcombe_interval, smallest_fisher_p
from runner.analysis.significance_tests import (
    COARSE,
    FINE,
    FINE_BELOW,
    MAX_ENUMERATED,
    Relabellings,
    SignFlips,
    confidence_interval,
    draws_for,
    fewest_of_two_samples,
    fewest_pairs,
    holm_adjust,
    is_autocorrelated,
    p_values,
    sign_flip_test,
    smallest_p,
    two_sample_test,
)

SHIFTS = st.integers(-2048, 2048).map(lambda value: value / 1024)
"""Their sums are exact: whether two permutations are equal does not depend on the order of adding."""


def units(seed: int, n: int, shift: float = 0.0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return n normal units around a shift."""
    return np.random.default_rng(seed).normal(shift, 0.4, n)


@settings(max_examples=30)
@given(st.lists(SHIFTS, min_size=2, max_size=10))
def test_sign_flip_p_is_scipys_exact_p(differences: list[float]) -> None:
    """With all sign flips enumerated, the p-value equals scipy's."""
    values = np.array(differences)
    scipys = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=10_000, vectorized=True
    ).pvalue
    assert sign_flip_test(values).p == pytest.approx(scipys)


@settings(max_examples=30)
@given(st.lists(SHIFTS, min_size=2, max_size=6), st.lists(SHIFTS, min_size=2, max_size=6))
def test_two_sample_p_is_scipys_exact_p(base: list[float], new: list[float]) -> None:
    """With all relabellings enumerated, the p-value equals scipy's."""
    scipys = stats.permutation_test(
        (np.array(new), np.array(base)),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        n_resamples=10_000,
        vectorized=True,
    ).pvalue
    assert two_sample_test(np.array(base), np.array(new)).p == pytest.approx(scipys)


@pytest.mark.parametrize("n", [20, 60])
def test_random_permutations_agree_with_the_t_test_for_normal_units(n: int) -> None:
    """With too many units to enumerate, p-value and interval are close to those of Student's t test."""
    values = units(3, n, 0.1)
    student = stats.ttest_1samp(values, 0)
    evidence = sign_flip_test(values)
    assert evidence.p == pytest.approx(student.pvalue, abs=0.02)
    assert evidence.interval is not None
    expected = student.confidence_interval()
    assert (evidence.interval.low, evidence.interval.high) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("shift", [0.3, 0.9])
def test_random_permutations_agree_with_all_of_them(shift: float) -> None:
    """With slightly too many units to enumerate, the p-value is close to scipy's from all permutations."""
    pairs, base, new = units(5, 16, shift), units(4, 9), units(5, 9, shift)
    assert min(SignFlips(16).count, Relabellings(9, 9).count) > MAX_ENUMERATED
    signs = stats.permutation_test(
        (pairs,), np.mean, permutation_type="samples", n_resamples=2**17, vectorized=True
    ).pvalue
    labels = stats.permutation_test(
        (new, base), lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis), n_resamples=2**17, vectorized=True
    ).pvalue
    for found, exact in ((sign_flip_test(pairs).p, signs), (two_sample_test(base, new).p, labels)):
        draws = FINE if found <= FINE_BELOW else COARSE
        assert found == pytest.approx(exact, abs=5 * math.sqrt(exact / draws))


@pytest.mark.parametrize("paired", [True, False])
def test_interval_holds_exactly_the_shifts_that_are_not_rejected(paired: bool) -> None:
    """Just inside an end p > 5 %, just outside p <= 5 %."""
    base, new = units(1, 7), units(2, 8, 0.5)

    def p_of_shift(shift: float) -> float:
        return sign_flip_test(new - shift).p if paired else two_sample_test(base, new - shift).p

    interval = (sign_flip_test(new) if paired else two_sample_test(base, new)).interval
    assert interval is not None
    assert p_of_shift(interval.low + 1e-9) > 0.05 >= p_of_shift(interval.low - 1e-9)
    assert p_of_shift(interval.high - 1e-9) > 0.05 >= p_of_shift(interval.high + 1e-9)


@settings(max_examples=25)
@given(st.lists(SHIFTS, min_size=6, max_size=9), SHIFTS)
def test_a_shift_moves_estimate_and_interval_by_as_much(differences: list[float], shift: float) -> None:
    """A number added to all units is added to the estimate and to the ends of the interval."""
    plain, moved = sign_flip_test(np.array(differences)), sign_flip_test(np.array(differences) + shift)
    assert moved.estimate == pytest.approx(plain.estimate + shift)
    assert plain.interval is not None
    assert moved.interval is not None
    assert moved.interval.low == pytest.approx(plain.interval.low + shift)


@settings(max_examples=25)
@given(st.lists(SHIFTS, min_size=1, max_size=30))
def test_swapping_the_arms_changes_only_the_sign(differences: list[float]) -> None:
    """If the arms are exchanged, the p-value stays, and the estimate and the interval change sign."""
    forth, back = sign_flip_test(np.array(differences)), sign_flip_test(-np.array(differences))
    assert (forth.p, forth.estimate) == (back.p, -back.estimate)
    assert (forth.interval is None) == (back.interval is None)
    if forth.interval and back.interval:
        assert (forth.interval.low, forth.interval.high) == (-back.interval.high, -back.interval.low)


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (5, 2 / 32), (8, 2 / 256)])
def test_few_pairs_reach_only_their_smallest_p(n: int, smallest: float) -> None:
    """The most extreme data reaches exactly the smallest p-value."""
    assert smallest_p(SignFlips(n)) == smallest
    assert sign_flip_test(np.linspace(1, 2, n)).p == smallest


def test_few_rounds_of_two_runs_reach_only_their_smallest_p() -> None:
    """Four rounds of each run reach 2/70; with five, p can be below 1 %."""
    assert (
        two_sample_test(np.arange(4.0), 10 + np.arange(4.0)).p
        == pytest.approx(2 / 70)
        == smallest_p(Relabellings(4, 4))
    )
    assert smallest_p(Relabellings(5, 5)) < 0.01


def test_p_of_random_permutations_is_never_zero() -> None:
    """The most extreme data has the smallest p-value that the number of draws supports."""
    assert sign_flip_test(np.full(40, 1.0) + units(1, 40) / 100).p == 2 / (FINE + 1)


def test_equal_units_have_p_1() -> None:
    """The interval is the point of no shift."""
    evidence = sign_flip_test(np.zeros(30))
    assert (evidence.p, evidence.estimate) == (1.0, 0.0)
    assert evidence.interval is not None
    assert (evidence.interval.low, evidence.interval.high) == (0.0, 0.0)


def test_p_values_of_rows_are_those_of_each_row_alone() -> None:
    """The benchmarks' simulation tests many rows in one call."""
    rows = np.stack([units(seed, 30, 0.1 * seed) for seed in range(6)])
    assert p_values(rows, SignFlips(30)).tolist() == [sign_flip_test(row).p for row in rows]


@pytest.mark.parametrize("n", [8, 30])
def test_false_alarms_are_as_rare_as_p(n: int) -> None:
    """Of 2,000 rows of heavy-tailed noise, about 5 % or fewer have p <= 5 %."""
    noise = np.random.default_rng(4).standard_t(1.5, (2000, n))
    alarms = int((p_values(noise, SignFlips(n)) <= 0.05).sum())
    assert stats.binomtest(alarms, 2000, 0.05, "greater").pvalue > 0.001


@pytest.mark.parametrize("n", [6, 12, 40])
def test_permutation_interval_has_its_coverage(n: int) -> None:
    """The 95 % interval contains the true shift in 91 to 99.5 % of 200 samples."""
    rng = np.random.default_rng(8)
    intervals = [confidence_interval(rng.normal(0.2, 0.4, n), SignFlips(n)) for _ in range(200)]
    assert 0.91 <= sum(each is not None and 0.2 in each for each in intervals) / 200 <= 0.995


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_rejects_as_its_step_down_procedure(p: list[float]) -> None:
    """An adjusted p-value is at most a level if and only if the step-down procedure rejects the row at that level."""
    adjusted = holm_adjust(p)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, at in enumerate(sorted(range(len(p)), key=lambda each: p[each])):
            if p[at] * (len(p) - rank) > alpha:
                break
            rejected.add(at)
        assert {at for at, each in enumerate(adjusted) if each <= alpha} == rejected


def test_autocorrelation_of_rounds_is_found() -> None:
    """Consecutive slow rounds are autocorrelated; the same rounds, shuffled, are not."""
    spell = np.repeat([0.0, 1.0, 0.0, 1.0], 10)
    assert is_autocorrelated(spell)
    assert not is_autocorrelated(np.random.default_rng(1).permutation(spell))
    assert not is_autocorrelated(np.zeros(10))


def test_rounding_errors_are_constant_and_not_autocorrelated() -> None:
    """Units that are equal except for rounding leave nothing to test."""
    rounded = np.repeat([0.1 + 0.2, 0.3], 10)
    assert rounded[0] != rounded[-1]
    assert not is_autocorrelated(rounded)
    assert two_sample_test(rounded, np.full(20, 0.3)).constant
    assert sign_flip_test(rounded - 0.3).constant
    assert not sign_flip_test(rounded).constant


COUNTS = st.tuples(st.integers(1, 60), st.integers(1, 60)).flatmap(
    lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
)


@given(COUNTS)
def test_fisher_p_agrees_with_scipy(counts: tuple[int, int, int, int]) -> None:
    """Fisher's p-value is twice the smaller tail by scipy, at most 1, and at least the smallest p-value."""
    a, n, b, m = counts
    table = np.array([[a, n - a], [b, m - b]])
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert fisher_p(Proportion(a, n), Proportion(b, m)) == pytest.approx(min(1, 2 * min(tails)), rel=1e-6)
    assert fisher_p(Proportion(a, n), Proportion(b, m)) >= smallest_fisher_p(n, m) * (1 - 1e-9)


@given(COUNTS)
def test_newcombe_interval_is_built_from_wilson_intervals(counts: tuple[int, int, int, int]) -> None:
    """Newcombe's interval is made of scipy's Wilson intervals and contains the difference."""
    a, n, b, m = counts
    base, new = (stats.binomtest(k, of).proportion_ci(method="wilson") for k, of in ((a, n), (b, m)))
    p, q = a / n, b / m
    interval = newcombe_interval(Proportion(a, n), Proportion(b, m))
    assert interval.low == pytest.approx(q - p - np.hypot(q - new.low, base.high - p), abs=1e-9)
    assert interval.high == pytest.approx(q - p + np.hypot(new.high - q, p - base.low), abs=1e-9)
    assert interval.low - 1e-9 <= q - p <= interval.high + 1e-9


def test_newcombe_interval_has_a_width_without_failures() -> None:
    """The interval is wide for 3 requests and narrow for 300."""
    few, many = (
        newcombe_interval(Proportion(0, 3), Proportion(0, 3)),
        newcombe_interval(Proportion(0, 300), Proportion(0, 300)),
    )
    assert few.high > 0.5
    assert 0 < many.high < 0.02


@given(st.floats(1e-6, 0.4))
def test_fewest_units_are_the_first_whose_smallest_p_is_low_enough(share: float) -> None:
    """The closed forms agree with counting, paired and unpaired; Fisher's test needs as many requests."""
    draws = draws_for(share)
    pairs, units = fewest_pairs(share), fewest_of_two_samples(share)
    assert pairs is not None
    assert units is not None
    assert smallest_p(SignFlips(pairs), draws) <= share
    assert pairs == 2 or smallest_p(SignFlips(pairs - 1), draws) > share
    assert smallest_p(Relabellings(units, units), draws) <= share
    assert units == 1 or smallest_p(Relabellings(units - 1, units - 1), draws) > share
    assert smallest_fisher_p(units, units) == pytest.approx(2 / math.comb(2 * units, units))


def test_a_level_below_any_p_is_reached_by_no_number_of_units() -> None:
    """No sample is enough for a level that ten million permutations cannot reach."""
    assert fewest_pairs(1e-9) is None
    assert fewest_of_two_samples(1e-9) is None


def test_a_small_level_draws_more_permutations() -> None:
    """Forty clear pairs reach a p below that of 99,999 permutations, with at least ten draws beyond the level."""
    result = sign_flip_test(np.full(40, 1.0) + units(1, 40) / 100, draws=draws_for(2e-6))
    assert result.p == result.smallest_p == 2 / 5_000_001
