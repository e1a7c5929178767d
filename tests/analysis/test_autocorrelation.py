"""Student's t compared with scipy; the mean of autocorrelated rounds compared with theory and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats

from runner.analysis.autocorrelation import (
    IN_INTERVALS,
    autocorrelation,
    mean_of_rounds,
    share_autocorrelation,
    t_test_of_shift,
    variance_inflation,
    with_margin,
)
from runner.analysis.student_t import chi_squared_quantile, quantile, two_sided_p


@given(st.floats(0, 60), st.floats(1, 400))
def test_two_sided_p_is_scipys(value: float, degrees: float) -> None:
    """The p-values are equal for any degrees of freedom."""
    ours = float(two_sided_p(np.array([value]), np.array([degrees]))[0])
    assert ours == pytest.approx(2 * stats.t.sf(value, degrees), rel=1e-8, abs=1e-300)


@given(st.sampled_from([0.9, 0.975, 0.995]), st.floats(1, 5000))
def test_quantile_is_scipys(share: float, degrees: float) -> None:
    """Newton's method converges to the quantile."""
    assert float(quantile(share, np.array([degrees]))[0]) == pytest.approx(stats.t.ppf(share, degrees), rel=1e-8)


@given(st.sampled_from([0.1, 0.9, 0.98, 0.999]), st.integers(3, 500))
def test_chi_squared_quantile_is_nearly_scipys(share: float, degrees: int) -> None:
    """The approximation is within 3 %."""
    assert chi_squared_quantile(share, degrees) == pytest.approx(stats.chi2.ppf(share, degrees), rel=0.03)


def test_p_and_interval_of_few_rounds_are_students() -> None:
    """Below eight rounds there is no correction: the paired test and Welch's test equal those of scipy."""
    rng = np.random.default_rng(3)
    new, base = rng.normal(0.4, 0.3, (1, 7)), rng.normal(0, 0.5, (1, 6))
    p, half = t_test_of_shift(new, None, 0.95)
    student = stats.ttest_1samp(new[0], 0)
    assert float(p[0]) == pytest.approx(student.pvalue)
    assert float(half[0]) == pytest.approx(student.confidence_interval().high - new.mean())
    p, _ = t_test_of_shift(new, base, 0.95)
    assert float(p[0]) == pytest.approx(stats.ttest_ind(new[0], base[0], equal_var=False).pvalue)


def test_equal_rounds_are_certain() -> None:
    """Without variation, a shift has p = 0 and no shift has p = 1."""
    p, half = t_test_of_shift(np.array([[0.3] * 10, [0.0] * 10]), None, 0.95)
    assert p.tolist() == pytest.approx([0.0, 1.0], abs=1e-12)
    assert half.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)


def spells(rows: int, rounds: int, rho: float = 0.8) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return series of an autoregressive process of order 1 with a standard deviation of 1."""
    noise = np.random.default_rng(5).standard_normal((rows, rounds))
    for at in range(1, rounds):
        noise[:, at] = rho * noise[:, at - 1] + np.sqrt(1 - rho**2) * noise[:, at]
    return noise


@pytest.mark.parametrize("rounds", [20, 50, 200])
def test_variance_of_a_mean_is_that_of_series_with_spells(rounds: int) -> None:
    """The variance of the means of 2,000 series is close to the mean estimate of a series, with and without spells."""
    series = spells(2000, rounds)
    estimated = float(np.median(mean_of_rounds(series).variance))
    assert 0.4 < estimated / float(series.mean(axis=1).var()) < 2
    independent = spells(2000, rounds, 0.0)
    assert 0.9 < float(np.median(mean_of_rounds(independent).variance)) * rounds < 1.6


def test_autocorrelation_is_not_estimated_from_few_rounds() -> None:
    """Seven rounds have no autocorrelation; fifty rounds show a spell."""
    assert autocorrelation(spells(10, 7)).tolist() == [0.0] * 10
    assert 0.6 < float(np.median(autocorrelation(spells(500, 50)))) < 0.97
    assert autocorrelation(np.ones((1, 20))).tolist() == [0.0]


def test_autocorrelation_is_pearsons_of_neighbours_corrected_for_its_bias() -> None:
    """In a long series r is close to numpy's correlation of each round with the next."""
    (series,) = spells(1, 5000)
    expected = np.corrcoef(series[1:], series[:-1])[0, 1]
    assert float(autocorrelation(series[None, :])[0]) == pytest.approx(expected, abs=0.003)
    short = series[:12] - series[:12].mean()
    raw = (short[1:] @ short[:-1]) / (short @ short)
    assert float(autocorrelation(series[None, :12])[0]) == pytest.approx((12 * raw + 1) / 9)


def test_inflation_is_the_variance_of_the_mean_by_its_covariances() -> None:
    """The inflation of twenty rounds with r = 0.6 is the mean of scipy's Toeplitz matrix, times twenty."""
    exact = linalg.toeplitz(0.6 ** np.arange(20)).mean() * 20
    assert float(variance_inflation(np.array([0.6]), 20)[0]) == pytest.approx(exact)


def test_the_shared_autocorrelation_of_rows_is_that_of_their_spells() -> None:
    """That of 24 independent rows is close to 0."""
    alike = share_autocorrelation(autocorrelation(spells(24, 20)), 20)
    apart = share_autocorrelation(autocorrelation(spells(24, 20, 0.0)), 20)
    assert 0.5 < float(alike) < 0.95
    assert float(apart) < 0.2
    assert float(share_autocorrelation(np.array([0.4]), 20)) == pytest.approx(0.4)


def test_caution_is_for_what_is_more_than_chance() -> None:
    """An r of half a standard error becomes 0, one of a whole error stays.

    One of four is increased by 0.75 in a long run.
    """
    few, one, clear = 0.5 / 8, 1 / 8, 4 / 8
    found = np.array([-0.2, few, one, clear])
    assert with_margin(found, 64).tolist() == pytest.approx([0, 0, one, clear + 0.75 / 8])
    assert with_margin(found, 64, IN_INTERVALS).tolist() == pytest.approx([0, few, one, clear + 1 / 8])
    short = np.array([0.6 / 4, 2 / 4])
    assert with_margin(short, 16).tolist() == pytest.approx([0.2 * 0.6 / 4, 2 / 4])
