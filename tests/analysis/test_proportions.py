"""The design effect of failures: known cases, false positive rates of gates, and sample sizes."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.analysis.diff_evidence import compare_shares
from runner.analysis.diff_measures import Better
from runner.analysis.diff_verdict import Criteria, Rule, Verdict, decide
from runner.analysis.proportions import (
    Proportion,
    are_clustered,
    design_effect,
    fewest_above,
    requests_needed,
    wilson_interval,
)
from runner.analysis.significance_tests import fewest_of_two_samples

TRIED = np.full(20, 13.0)


def outage(*rounds: int, of: int = 20) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the failures of rounds of 13 requests, some of which fail as a whole."""
    return np.array([13.0 if at in rounds else 0.0 for at in range(of)])


def test_design_effect_is_pearsons_dispersion() -> None:
    """For single rounds, the dispersion is scipy's chi-squared divided by its degrees of freedom."""
    failed = np.array([0.0, 6, 1, 0, 2, 5, 1])
    table = np.array([failed, 13 - failed])
    expected = stats.chi2_contingency(table, correction=False)
    assert 0.9 < stats.chi2.cdf(expected.statistic, expected.dof) < 0.999
    assert design_effect((failed, TRIED[:7]), (np.zeros(7), TRIED[:7])) == pytest.approx(
        expected.statistic / expected.dof
    )


@given(st.floats(0.01, 0.995))
def test_the_fewest_that_lie_above_a_share_are_those_of_wilsons_interval(share: float) -> None:
    """With one request fewer, the interval of n out of n reaches below the share."""
    fewest = fewest_above(share)
    assert wilson_interval(Proportion(fewest, fewest))[0] >= share - 1e-12
    assert fewest == 1 or wilson_interval(Proportion(fewest - 1, fewest - 1))[0] < share


def test_a_dispersion_that_chance_explains_has_no_design_effect() -> None:
    """A tenth of runs with independent failures exceed the 90th percentile, and one in a thousand the 99.9th."""
    rng = np.random.default_rng(5)
    arms = [(rng.binomial(13, 0.2, 10).astype(float), TRIED[:10]) for _ in range(1000)]
    assert 0.05 < np.mean([design_effect(each) > 1 for each in arms]) < 0.15
    assert np.mean([are_clustered(each) for each in arms]) < 0.01


def test_two_arms_disperse_as_their_difference_does() -> None:
    """Arms are weighted by their variances: equal arms equally, and a single failure does not hide an outage."""
    one, other = (np.random.default_rng(seed).permutation([0.0, 4, 5, 1, 3, 5, 0]) for seed in (1, 2))
    alone = design_effect((one, TRIED[:7]))
    assert design_effect((one, TRIED[:7]), (other, TRIED[:7])) == pytest.approx(alone)
    quiet = np.eye(20)[0]
    assert design_effect((quiet, TRIED), (outage(3), TRIED)) > 13


def test_an_outage_of_a_round_counts_as_less_than_one_failure() -> None:
    """Thirteen requests that fail together count as one, and one round does not show how long outages are."""
    assert 13 < design_effect((outage(3), TRIED), (outage(), TRIED)) < 32


def test_outages_of_two_rounds_are_no_rise_of_failures() -> None:
    """26 of 260 requests failed in two rounds; Fisher's test of requests would call that certain."""
    result = compare_shares((outage(), TRIED), (outage(4, 5), TRIED))
    assert result.p > 0.1
    assert result.independent is not None
    assert result.independent.p < 1e-6


@pytest.mark.parametrize("usual", [0.0, 0.003, 0.01])
@pytest.mark.parametrize(("rounds", "chance"), [(20, 0.1), (50, 0.05), (50, 0.1)])
def test_outages_of_one_target_alone_are_no_rise_of_failures(rounds: int, chance: float, usual: float) -> None:
    """At most 2 % of 300 runs in which a whole round of one target may fail claim more failures.

    This also holds if single requests of both targets fail besides.
    """
    rng, tried = np.random.default_rng(7), np.full(rounds, 13.0)
    found = 0
    for _ in range(300):
        base, new = rng.binomial(13, usual, (2, rounds)).astype(float)
        new[rng.random(rounds) < chance] = 13.0
        found += compare_shares((base, tried), (new, tried)).p <= 0.01
    assert found <= 0.02 * 300


def test_a_target_that_fails_in_half_of_fifty_rounds_is_found() -> None:
    """Failures that are common to many rounds are no outage."""
    tried = np.full(50, 13.0)
    failed = np.where(np.random.default_rng(7).random(50) < 0.5, tried, 0.0)
    assert compare_shares((np.zeros(50), tried), (failed, tried)).p <= 0.01


def test_a_dead_provider_is_found_in_three_rounds() -> None:
    """If everything fails, there is no variation between rounds."""
    tried = TRIED[:3]
    assert compare_shares((np.zeros(3), tried), (tried, tried)).p < 1e-9


def test_requests_that_fail_independently_have_no_design_effect() -> None:
    """A rise from 1 % to 15 % in ten rounds is found in most of 200 runs."""
    rng = np.random.default_rng(4)
    tried = TRIED[:10]
    found = 0
    for _ in range(200):
        base, new = (rng.binomial(13, share, 10).astype(float) for share in (0.01, 0.15))
        found += compare_shares((base, tried), (new, tried)).p <= 0.01
    assert found / 200 > 0.9


SHARES = [(0.0, 0.0), (0.01, 0.01), (0.03, 0.03), (0.05, 0.05), (0.01, 0.03), (0.01, 0.1), (0.05, 0.15), (0.1, 0.3)]


@pytest.mark.parametrize(("base", "new"), SHARES)
def test_the_number_of_requests_named_after_three_rounds_decides(base: float, new: float) -> None:
    """For 200 pilots of 39 requests, the number decides in three of four cases; two standard errors are 6 points."""
    rng = np.random.default_rng([round(1000 * share) for share in (base, new)])
    named = []
    for _ in range(200):
        pilot = [Proportion(float(rng.binomial(39, share)), 39) for share in (base, new)]
        if not _is_decided(*pilot):
            named.append(_needed(*pilot))
    decided = [
        _is_decided(*(Proportion(float(rng.binomial(n, share)), n) for share in (base, new))) for n in map(int, named)
    ]
    assert np.mean(decided) >= 0.75 - 0.06


@cache
def _needed(base: Proportion, new: Proportion) -> float:
    return requests_needed(base, new, 1.0, 0.05, 0.01)


def _is_decided(base: Proportion, new: Proportion) -> bool:
    rule = Rule()
    result = compare_shares(*((np.array([each.count]), np.array([each.n])) for each in (base, new)))
    criteria = Criteria(
        rule.min_failure_rise, rule.alpha, rule.alpha, Better.LOWER, True, fewest_of_two_samples, is_bound=False
    )
    return decide(result, result.p, criteria).verdict is not Verdict.UNDECIDED


def test_requests_needed_are_those_of_textbooks_where_shares_are_known() -> None:
    """For a large sample, the number is (z sqrt(2 p q) + z_power sqrt(p q + p' q'))^2 / d^2, with scipy's quantiles."""
    base, new, level = 0.1, 0.3, 0.01
    z, power, middle = stats.norm.ppf(1 - level / 2), stats.norm.ppf(0.8), 0.2
    variance = base * (1 - base) + new * (1 - new)
    expected = (z * np.sqrt(2 * middle * (1 - middle)) + power * np.sqrt(variance)) ** 2 / 0.2**2
    many = 10_000_000
    shares = Proportion(base * many, many), Proportion(new * many, many)
    assert requests_needed(*shares, 1.0, 0.05, level) == pytest.approx(expected, rel=0.01)
    assert requests_needed(*shares, 2.0, 0.05, level) == pytest.approx(2 * expected, rel=0.01)
    assert requests_needed(*shares, 1.0, 0.2, level) > 1e6, "a difference at the minimum effect"
