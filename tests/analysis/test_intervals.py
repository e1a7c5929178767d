"""Medians, percentiles and their confidence intervals, compared with scipy and with known distributions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.analysis.intervals import Statistic, median, median_interval, percentile, percentile_interval
from runner.core.percentiles import name_percentile, smallest_sample

SAMPLES = st.lists(st.floats(0.001, 1000), min_size=6, max_size=60)


@pytest.mark.parametrize(("units", "each"), [(6, 1), (12, 1), (12, 4)])
def test_median_interval_has_its_coverage(units: int, each: int) -> None:
    """The interval contains the true median in 91 to 99.8 % of 300 samples of single values, or of rounds that vary."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(300):
        moved = rng.normal(0, 0.2, units) if each > 1 else np.zeros(units)
        values = np.exp(rng.normal(0, 0.3, (units, each)) + moved[:, None])
        interval = median_interval(values.ravel().tolist(), np.repeat(np.arange(units), each).tolist())
        held += interval is not None and 1.0 in interval
    assert 0.91 <= held / 300 <= 0.998


def test_variation_between_rounds_widens_the_median_interval() -> None:
    """Ten rounds of ten equal values have the interval of ten values, not of a hundred."""
    levels = [0.1 * level for level in range(1, 11)]
    blocks = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 10)).tolist()
    levels = [levels[at] for at in (3, 8, 0, 5, 9, 1, 6, 2, 7, 4)]
    values = [levels[block] for block in blocks]
    together, apart = median_interval(values, blocks), median_interval(values)
    assert together is not None
    assert apart is not None
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


@settings(max_examples=30)
@given(SAMPLES, st.integers(2, 20))
def test_median_interval_is_within_the_sample_and_repeatable(values: list[float], blocks: int) -> None:
    """The ends are in order and within the sample, and equal samples have equal intervals."""
    of = [at % blocks for at in range(len(values))]
    interval = median_interval(values, of)
    if interval is None:
        return
    assert min(values) <= interval.low <= interval.high <= max(values)
    assert interval == median_interval(list(values), list(of))


@settings(max_examples=30)
@given(SAMPLES, st.floats(0.5, 4))
def test_median_interval_scales_with_the_unit(values: list[float], factor: float) -> None:
    """The interval of milliseconds is a multiple of that of seconds."""
    plain, scaled = median_interval(values), median_interval([factor * value for value in values])
    assert (plain is None) == (scaled is None)
    if plain is None:
        return
    assert scaled is not None
    assert (scaled.low, scaled.high) == pytest.approx((factor * plain.low, factor * plain.high))


def test_median_interval_needs_six_values() -> None:
    """Five values have no interval, since all lie on one side of the median too often."""
    assert median_interval([1.0, 2, 3, 4, 5]) is None
    assert median_interval([1.0, 2, 3, 4, 5, 6]) is not None


@pytest.mark.parametrize(("percent", "needed"), [(50, 6), (90, 36), (95, 72), (99, 368)])
def test_percentile_interval_needs_a_sample_of_known_size(percent: float, needed: int) -> None:
    """With one value less there is no interval."""
    values = [float(value) for value in range(needed)]
    assert percentile_interval(values, percent) is not None
    assert percentile_interval(values[1:], percent) is None


@given(st.integers(72, 3000), st.sampled_from([50.0, 75.0, 90.0, 95.0]))
def test_percentile_interval_has_its_coverage(n: int, percent: float) -> None:
    """By scipy's binomial distribution, each end misses with at most 2.5 %, and no narrower ranks do."""
    interval = percentile_interval([float(rank) for rank in range(1, n + 1)], percent)
    assert interval is not None
    binomial = stats.binom(n, percent / 100)
    below, above = binomial.cdf(interval.low - 1), binomial.sf(interval.high - 1)
    assert max(below, above) <= 0.025 + 1e-9
    assert min(binomial.cdf(interval.low), binomial.sf(interval.high - 2)) > 0.025 - 1e-9


@pytest.mark.parametrize(("rounds", "rho", "least"), [(10, 0.0, 0.93), (20, 0.8, 0.85), (50, 0.8, 0.9)])
def test_intervals_hold_the_truth_where_rounds_have_spells(rounds: int, rho: float, least: float) -> None:
    """Intervals of median and p90 contain the true value, with and without spells, for 13 requests a round."""
    rng = np.random.default_rng(2)
    held: dict[float, list[bool]] = {50: [], 90: []}
    blocks = np.repeat(np.arange(rounds), 13).tolist()
    for _ in range(150):
        level = 0.2 * rng.standard_normal(rounds)
        for at in range(1, rounds):
            level[at] = rho * level[at - 1] + np.sqrt(1 - rho**2) * level[at]
        logs = (level[:, None] + 0.3 * rng.standard_normal((rounds, 13))).ravel()
        for percent, results in held.items():
            truth = float(np.exp(stats.norm.ppf(percent / 100) * np.hypot(0.2, 0.3)))
            interval = percentile_interval(np.exp(logs).tolist(), percent, blocks)
            if interval is not None:
                results.append(truth in interval)
    assert np.mean(held[50]) >= least
    assert len(held[90]) == 150
    assert np.mean(held[90]) >= least


def test_a_percentile_needs_as_many_rounds_as_values() -> None:
    """p95 needs 20 rounds, with one expected beyond it; 19 have no interval, for any number of requests."""
    values = np.random.default_rng(1).random(500).tolist()
    assert percentile_interval(values, 95, [at % 20 for at in range(500)]) is not None
    assert percentile_interval(values, 95, [at % 19 for at in range(500)]) is None
    assert percentile_interval(values, 90, [at % 19 for at in range(500)]) is not None


def test_fewer_than_six_rounds_have_no_interval() -> None:
    """Five rounds of a hundred requests have no interval of any percentile."""
    values = np.random.default_rng(1).random(500).tolist()
    blocks = [at // 100 for at in range(500)]
    assert median_interval(values, blocks) is None
    assert percentile_interval(values, 95, blocks) is None
    assert percentile_interval(values, 95) is not None


@pytest.mark.parametrize(("percent", "needed"), [(90, 10), (95, 20), (99, 100)])
def test_percentile_of_a_small_sample_is_named_max(percent: int, needed: int) -> None:
    """One request too few makes a percentile the maximum, by name."""
    values = [float(value) for value in range(1, needed + 1)]
    assert percentile(values[:-1], percent) == Statistic("max", needed - 1, needed - 1)
    enough = percentile(values, percent)
    assert enough is not None
    assert (enough.name, enough.n) == (f"p{percent}", needed)


@given(st.lists(st.floats(0, 1e6), min_size=100, max_size=300), st.sampled_from([90, 95, 99]))
def test_percentile_is_by_nearest_rank(values: list[float], percent: int) -> None:
    """A percentile is an observed value, numpy's inverted CDF."""
    found = percentile(values, percent)
    assert found is not None
    assert found.value in values
    # The quantile is shifted by less than a rank: 0.95 * 100 is 95.00000000000001 in binary.
    assert found.value == np.quantile(values, percent / 100 - 1e-9, method="inverted_cdf")


def test_median_of_an_even_sample_is_the_mean_of_the_middle_two() -> None:
    """There is no statistic without values."""
    assert median([1.0, 4.0, 2.0, 3.0]) == Statistic("p50", 2.5, 4)
    assert median([]) is None
    assert percentile([], 95) is None


@given(st.floats(0, 100, exclude_min=True, exclude_max=True), st.lists(st.floats(0.001, 100), min_size=1, max_size=60))
def test_any_percentile_is_numpys_or_the_named_extreme(percent: float, values: list[float]) -> None:
    """It is the inverted CDF where one value is expected beyond it, else the maximum or minimum."""
    found = percentile(values, percent)
    assert found is not None
    assert found.n == len(values)
    if len(values) * min(percent, 100 - percent) < 100:
        extreme = ("max", max(values)) if percent >= 50 else ("min", min(values))
        assert ((found.name, found.value), found.interval) == (extreme, None)
    else:
        assert found.name == name_percentile(percent)
        assert found.value == np.quantile(values, percent / 100, method="inverted_cdf")


@pytest.mark.parametrize(
    ("percent", "shown", "bracketed"), [(95, 20, 72), (99, 100, 368), (90, 10, 36), (99.9, 1000, 3688), (5, 20, 72)]
)
def test_percentile_and_interval_need_the_documented_n(percent: float, shown: int, bracketed: int) -> None:
    """The figure needs 100 / (100 - p), its interval ln 0.025 / ln p; mirrored below the median."""
    assert smallest_sample(percent) == shown
    far = max(percent, 100 - percent) / 100
    assert math.ceil(math.log(0.025) / math.log(far)) == bracketed
    for n, name, has_interval in (
        (shown - 1, "max" if percent >= 50 else "min", False),
        (shown, f"p{percent}", False),
        (bracketed - 1, f"p{percent}", False),
        (bracketed, f"p{percent}", True),
    ):
        found = percentile([*map(float, range(n))], percent)
        assert found is not None
        assert (found.name, found.interval is not None) == (name, has_interval)
