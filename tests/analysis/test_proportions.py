"""The design effect of failures: known cases, and how often failures alone fail a gate."""

import numpy as np
import pytest
from scipy import stats

from runner.analysis.measure_evidence import compare_failures
from runner.analysis.proportions import design_effect

TRIED = np.full(20, 13.0)


def outage(*rounds: int, of: int = 20) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the failures of rounds of 13 requests, of which some failed whole."""
    return np.array([13.0 if at in rounds else 0.0 for at in range(of)])


def test_design_effect_is_pearsons_dispersion() -> None:
    """Of single rounds it is chi-squared over its degrees of freedom, by scipy."""
    failed = np.random.default_rng(1).binomial(13, 0.2, 7).astype(float)
    table = np.array([failed, 13 - failed])
    expected = stats.chi2_contingency(table, correction=False)
    effect = design_effect((failed, TRIED[:7]), (np.zeros(7), TRIED[:7]))
    assert effect == pytest.approx(max(1, expected.statistic / expected.dof))


def test_an_outage_of_a_round_counts_as_less_than_one_failure() -> None:
    """Thirteen requests that fail together say as much as one; and one round does not tell how long outages are."""
    assert 13 < design_effect((outage(3), TRIED), (outage(), TRIED)) < 26


def test_outages_of_two_rounds_are_no_rise_of_failures() -> None:
    """26 of 260 requests failed in two rounds; Fisher's test of requests would call that certain."""
    result = compare_failures((outage(), TRIED), (outage(4, 5), TRIED))
    assert result.p > 0.1
    assert result.independent is not None
    assert result.independent.p < 1e-6


@pytest.mark.parametrize(("rounds", "chance"), [(20, 0.1), (50, 0.05), (50, 0.1)])
def test_outages_of_one_target_alone_are_no_rise_of_failures(rounds: int, chance: float) -> None:
    """Of 300 runs in which now and then a whole round of one target fails, at most 2 % claim more failures."""
    rng, tried = np.random.default_rng(7), np.full(rounds, 13.0)
    outages = (np.where(rng.random(rounds) < chance, tried, 0.0) for _ in range(300))
    results = (compare_failures((np.zeros(rounds), tried), (failed, tried)) for failed in outages)
    assert sum(each.p <= 0.01 for each in results) <= 0.02 * 300


def test_a_target_that_fails_in_half_of_fifty_rounds_is_found() -> None:
    """What is common to so many rounds is no outage."""
    tried = np.full(50, 13.0)
    failed = np.where(np.random.default_rng(7).random(50) < 0.5, tried, 0.0)
    assert compare_failures((np.zeros(50), tried), (failed, tried)).p <= 0.01


def test_a_dead_provider_is_found_in_three_rounds() -> None:
    """Where everything fails there is no variation between rounds."""
    tried = TRIED[:3]
    assert compare_failures((np.zeros(3), tried), (tried, tried)).p < 1e-9


def test_requests_that_fail_independently_have_no_design_effect() -> None:
    """From 1 % to 15 % in ten rounds is found in most of 200 runs."""
    rng = np.random.default_rng(4)
    tried = TRIED[:10]
    found = 0
    for _ in range(200):
        base, new = (rng.binomial(13, share, 10).astype(float) for share in (0.01, 0.15))
        found += compare_failures((base, tried), (new, tried)).p <= 0.01
    assert found / 200 > 0.9
