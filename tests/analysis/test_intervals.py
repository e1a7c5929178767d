"""Intervals of medians and percentiles, held against scipy and against the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.analysis.intervals import expanded_tail, median_interval, percentile_interval, t_cdf, t_quantile

SAMPLES = st.lists(st.floats(0.001, 1000), min_size=6, max_size=60)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 30, 199, 1000])
@pytest.mark.parametrize("share", [0.6, 0.9, 0.975, 0.995])
def test_students_t_is_scipys(degrees: int, share: float) -> None:
    """Distribution and quantile of Student's t are those of scipy, for odd and even degrees."""
    value = stats.t.ppf(share, degrees)
    assert t_quantile(share, degrees) == pytest.approx(value, rel=1e-9)
    assert t_cdf(value, degrees) == pytest.approx(share, rel=1e-12)


def test_few_units_widen_the_tails() -> None:
    """The fewer the units, the more of the bootstrap distribution is kept; of many, the usual 95 %."""
    tails = [expanded_tail(0.025, units) for units in (6, 10, 50, 100_000)]
    assert tails == sorted(tails)
    assert tails[-1] == pytest.approx(0.025, rel=1e-3)
    assert tails[0] < 0.005
    for n, tail in zip((6, 10, 50, 100_000), tails, strict=True):
        stretched = np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)
        assert tail == pytest.approx(stats.norm.sf(stretched), rel=1e-6)


@pytest.mark.parametrize("n", [40, 201])
def test_median_interval_is_near_scipys_bootstrap(n: int) -> None:
    """Of single values it is the percentile bootstrap of scipy, but for what few units widen."""
    values = np.random.default_rng(5).lognormal(0, 0.3, n)
    ours = median_interval(values.tolist())
    scipys = stats.bootstrap((values,), np.median, method="percentile", n_resamples=9999, rng=1).confidence_interval
    assert ours is not None
    width = scipys.high - scipys.low
    assert ours.low == pytest.approx(scipys.low, abs=0.12 * width)
    assert ours.high == pytest.approx(scipys.high, abs=0.12 * width)


@pytest.mark.parametrize(("units", "each"), [(6, 1), (12, 1), (12, 4)])
def test_median_interval_holds_the_median_as_often_as_it_says(units: int, each: int) -> None:
    """In 300 samples, single or in blocks that move together, it holds the true median 95 times of 100, or nearly."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(300):
        moved = rng.normal(0, 0.2, units) if each > 1 else np.zeros(units)
        values = np.exp(rng.normal(0, 0.3, (units, each)) + moved[:, None])
        interval = median_interval(values.ravel().tolist(), np.repeat(np.arange(units), each).tolist())
        held += interval is not None and 1.0 in interval
    assert 0.91 <= held / 300 <= 0.995


def test_blocks_that_move_together_widen_the_interval() -> None:
    """Ten blocks of equal values say as much as ten values, not as much as a hundred."""
    levels = [0.1 * level for level in range(1, 11)]
    values = [level for level in levels for _ in range(10)]
    blocks = [block for block in range(10) for _ in range(10)]
    together, apart = median_interval(values, blocks), median_interval(values)
    assert together is not None
    assert apart is not None
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


@settings(max_examples=30)
@given(SAMPLES, st.integers(2, 20))
def test_median_interval_is_observed_and_repeatable(values: list[float], blocks: int) -> None:
    """Its ends lie within the sample, it holds nothing the wrong way round, and equal samples have equal ones."""
    of = [at % blocks for at in range(len(values))]
    interval = median_interval(values, of)
    assert interval is not None
    assert min(values) <= interval.low <= interval.high <= max(values)
    assert interval == median_interval(list(values), list(of))


@settings(max_examples=30)
@given(SAMPLES, st.floats(0.5, 4))
def test_median_interval_follows_a_change_of_unit(values: list[float], factor: float) -> None:
    """Seconds or milliseconds make no difference."""
    plain, scaled = median_interval(values), median_interval([factor * value for value in values])
    assert plain is not None
    assert scaled is not None
    assert (scaled.low, scaled.high) == pytest.approx((factor * plain.low, factor * plain.high))


def test_five_values_have_no_median_interval() -> None:
    """Of five, all lie on one side of the median too often; six will do."""
    assert median_interval([1.0, 2, 3, 4, 5]) is None
    assert median_interval([1.0, 2, 3, 4, 5, 6]) is not None


@pytest.mark.parametrize(("percent", "needed"), [(50, 6), (90, 36), (95, 72), (99, 368)])
def test_percentile_interval_needs_its_sample(percent: float, needed: int) -> None:
    """One value too few leaves it blank: the maximum may be below the percentile too often."""
    values = [float(value) for value in range(needed)]
    assert percentile_interval(values, percent) is not None
    assert percentile_interval(values[1:], percent) is None


@given(st.integers(72, 3000), st.sampled_from([50.0, 75.0, 90.0, 95.0]))
def test_percentile_interval_has_the_coverage_that_scipy_computes(n: int, percent: float) -> None:
    """Either end is missed with at most 2.5 %, by the binomial distribution, and no rank could be spared."""
    interval = percentile_interval([float(rank) for rank in range(1, n + 1)], percent)
    assert interval is not None
    binomial = stats.binom(n, percent / 100)
    below, above = binomial.cdf(interval.low - 1), binomial.sf(interval.high - 1)
    assert max(below, above) <= 0.025 + 1e-9
    assert min(binomial.cdf(interval.low), binomial.sf(interval.high - 2)) > 0.025 - 1e-9
