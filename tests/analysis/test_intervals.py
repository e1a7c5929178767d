"""Confidence intervals of medians and percentiles, compared with scipy and with known distributions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.analysis.intervals import expanded_tail, median_interval, percentile_interval, t_cdf, t_quantile

SAMPLES = st.lists(st.floats(0.001, 1000), min_size=6, max_size=60)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 30, 199, 1000])
@pytest.mark.parametrize("share", [0.6, 0.9, 0.975, 0.995])
def test_students_t_agrees_with_scipy(degrees: int, share: float) -> None:
    """Distribution and quantile, for odd and even degrees of freedom."""
    value = stats.t.ppf(share, degrees)
    assert t_quantile(share, degrees) == pytest.approx(value, rel=1e-9)
    assert t_cdf(value, degrees) == pytest.approx(share, rel=1e-12)


def test_expanded_tail_keeps_more_of_the_bootstrap_for_few_units() -> None:
    """Many units have the usual 2.5 % on each side."""
    tails = [expanded_tail(0.025, units) for units in (6, 10, 50, 100_000)]
    assert tails == sorted(tails)
    assert tails[-1] == pytest.approx(0.025, rel=1e-3)
    assert tails[0] < 0.005
    for n, tail in zip((6, 10, 50, 100_000), tails, strict=True):
        stretched = np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)
        assert tail == pytest.approx(stats.norm.sf(stretched), rel=1e-6)


@pytest.mark.parametrize("n", [40, 201])
def test_median_interval_agrees_with_scipys_bootstrap(n: int) -> None:
    """Single values have scipy's percentile bootstrap, but for the expanded tails."""
    values = np.random.default_rng(5).lognormal(0, 0.3, n)
    ours = median_interval(values.tolist())
    scipys = stats.bootstrap((values,), np.median, method="percentile", n_resamples=9999, rng=1).confidence_interval
    assert ours is not None
    width = scipys.high - scipys.low
    assert ours.low == pytest.approx(scipys.low, abs=0.12 * width)
    assert ours.high == pytest.approx(scipys.high, abs=0.12 * width)


@pytest.mark.parametrize(("units", "each"), [(6, 1), (12, 1), (12, 4)])
def test_median_interval_has_its_coverage(units: int, each: int) -> None:
    """It holds the true median in 91 to 99.5 % of 300 samples of single values, or of blocks that vary."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(300):
        moved = rng.normal(0, 0.2, units) if each > 1 else np.zeros(units)
        values = np.exp(rng.normal(0, 0.3, (units, each)) + moved[:, None])
        interval = median_interval(values.ravel().tolist(), np.repeat(np.arange(units), each).tolist())
        held += interval is not None and 1.0 in interval
    assert 0.91 <= held / 300 <= 0.995


def test_variation_between_blocks_widens_the_median_interval() -> None:
    """Ten blocks of equal values are as much evidence as ten values, not as a hundred."""
    levels = [0.1 * level for level in range(1, 11)]
    values = [level for level in levels for _ in range(10)]
    blocks = [block for block in range(10) for _ in range(10)]
    together, apart = median_interval(values, blocks), median_interval(values)
    assert together is not None
    assert apart is not None
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


@settings(max_examples=30)
@given(SAMPLES, st.integers(2, 20))
def test_median_interval_is_within_the_sample_and_repeatable(values: list[float], blocks: int) -> None:
    """Its ends are in order and within the sample; equal samples have equal intervals."""
    of = [at % blocks for at in range(len(values))]
    interval = median_interval(values, of)
    assert interval is not None
    assert min(values) <= interval.low <= interval.high <= max(values)
    assert interval == median_interval(list(values), list(of))


@settings(max_examples=30)
@given(SAMPLES, st.floats(0.5, 4))
def test_median_interval_scales_with_the_unit(values: list[float], factor: float) -> None:
    """The interval of milliseconds is a multiple of that of seconds."""
    plain, scaled = median_interval(values), median_interval([factor * value for value in values])
    assert plain is not None
    assert scaled is not None
    assert (scaled.low, scaled.high) == pytest.approx((factor * plain.low, factor * plain.high))


def test_median_interval_needs_six_values() -> None:
    """Of five values, all lie on one side of the median too often."""
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
    """By scipy's binomial distribution, either end misses with at most 2.5 %, and no narrower ranks do."""
    interval = percentile_interval([float(rank) for rank in range(1, n + 1)], percent)
    assert interval is not None
    binomial = stats.binom(n, percent / 100)
    below, above = binomial.cdf(interval.low - 1), binomial.sf(interval.high - 1)
    assert max(below, above) <= 0.025 + 1e-9
    assert min(binomial.cdf(interval.low), binomial.sf(interval.high - 2)) > 0.025 - 1e-9
