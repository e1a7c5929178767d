"""Claims about a single run: p-values compared with scipy, adjusted for all rows; no claim for small effects."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.diff_findings import claim_for_this_run
from runner.analysis.diff_verdict import Rule

PAIRS = 0.6 + 0.3 * np.random.default_rng(1).standard_normal(13)


def mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the statistic of scipy's test."""
    found: NDArray[np.float64] = np.mean(values, axis=axis)
    return found


def test_p_is_that_of_scipys_sign_flips_times_the_rows() -> None:
    """The test is exact over all 8,192 sign flips; of three rows, one is noise and one below the minimum effect."""
    noise, small = 0.3 * np.random.default_rng(2).standard_normal(13), np.full(13, 0.05)
    claims = claim_for_this_run({"a": PAIRS, "b": noise, "c": small}, dict.fromkeys("abc", 13), Rule())
    expected = stats.permutation_test((PAIRS,), mean, permutation_type="samples", n_resamples=100_000)
    assert list(claims) == ["a"]
    assert claims["a"].p == pytest.approx(3 * expected.pvalue)
    assert claims["a"].change == pytest.approx(np.exp(PAIRS.mean()))
    assert (claims["a"].agreeing, claims["a"].pairs) == (int((PAIRS > 0).sum()), 13)


def test_a_certain_effect_below_the_minimum_is_no_claim() -> None:
    """A change of 5 % in 13 of 13 pairs is no claim."""
    assert claim_for_this_run({"a": np.full(13, 0.05)}, {"a": 13}, Rule()) == {}
    assert claim_for_this_run({"a": np.full(13, 0.15)}, {"a": 13}, Rule()) != {}
