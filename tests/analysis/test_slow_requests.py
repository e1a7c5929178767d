"""The design effect of slow requests: Friedman's test compared with scipy, and when rounds are found to differ."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.slow_requests import (
    SlowRounds,
    design_effect_of_slow,
    friedman,
    rank_within,
    rounds_differ,
    share_of_slow,
    slow_rounds,
)

Floats = NDArray[np.float64]


def rounds_of(times: Floats, *, slow: float = 2.0) -> SlowRounds:
    """Return the rounds of a side from its times in units of their question's median; shape (rounds, questions)."""
    rounds, questions = times.shape
    rows = {
        "block": np.repeat(np.arange(rounds), questions),
        "case": np.tile(np.arange(questions), rounds),
        "time": times.ravel(),
        "slow": (times > slow).ravel().astype(float),
    }
    return slow_rounds(pd.DataFrame(rows), ["case"])


def some_times(seed: int, rounds: int = 20, questions: int = 13) -> Floats:
    """Return log-normal times of independent requests."""
    times: Floats = np.exp(0.2 * np.random.default_rng(seed).standard_normal((rounds, questions)))
    return times


@pytest.mark.parametrize("digits", [1, 12])
def test_chi_squared_of_rounds_is_scipys(digits: int) -> None:
    """Friedman's chi-squared equals scipy's, also with the many ties of times with one digit."""
    times = np.round(some_times(1), digits)
    expected = stats.friedmanchisquare(*times)
    squares, degrees = friedman(rounds_of(times))
    assert squares == pytest.approx(expected.statistic)
    assert degrees == 19


def test_rounds_of_independent_requests_differ_in_two_runs_of_a_hundred() -> None:
    """Of 500 runs, tails included; so many can be called different by chance."""
    rng = np.random.default_rng(2)
    found = 0
    for seed in range(500):
        sides = [some_times(1000 * each + seed) for each in (1, 2)]
        sides[1][rng.random(sides[1].shape) < 0.04] *= 5
        found += rounds_differ([rounds_of(side) for side in sides])
    assert found / 500 < 0.06


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.5, 1.0, 1.5, 2.0]) | st.floats(0, 9)), max_size=30))
def test_ranks_within_groups_are_scipys(pairs: list[tuple[int, float]]) -> None:
    """This holds in any order, with ties and groups of one."""
    groups, values = np.array([group for group, _ in pairs], dtype=np.intp), np.array([value for _, value in pairs])
    expected = np.empty(len(pairs))
    for group in {*groups.tolist()}:
        expected[groups == group] = stats.rankdata(values[groups == group])
    assert rank_within(groups, values) == pytest.approx(expected)


def test_a_request_without_a_time_has_no_rank() -> None:
    """It enters neither the sum of its round nor the variance of that."""
    times = some_times(3)
    times[4, 2] = np.nan
    side = rounds_of(times)
    assert side.variances[4] < side.variances[5]
    assert side.ranks.sum() == pytest.approx(0, abs=1e-9)


def test_independent_slow_requests_have_no_design_effect() -> None:
    """The design effect is 1 if nothing shows that rounds differ."""
    times = some_times(4)
    times[::3, 0] = 5.0
    assert design_effect_of_slow(rounds_of(some_times(5)), rounds_of(times)) == 1.0


def test_slow_requests_of_one_round_are_no_more_than_one() -> None:
    """A round in which all 13 requests were slow raises the design effect."""
    times = some_times(6)
    times[7] *= 5
    assert design_effect_of_slow(rounds_of(some_times(7)), rounds_of(times)) > 13


def test_a_spell_shows_in_times_where_few_requests_are_slow() -> None:
    """Six rounds that take a third longer are found, although hardly any request takes twice as long."""
    times = some_times(8)
    times[5:11] *= 1.33
    times[5:11, 0] = 3.0
    assert design_effect_of_slow(rounds_of(some_times(9)), rounds_of(times)) > 1.5


def test_the_interval_of_a_share_is_wilsons() -> None:
    """For independent requests the interval is scipy's; with fewer than six rounds there is none."""
    slow = pd.Series([at % 10 == 3 for at in range(100)])
    share, interval = share_of_slow(slow, pd.Series(np.arange(100) // 10))
    expected = stats.binomtest(10, 100).proportion_ci(method="wilson")
    assert interval is not None
    assert (share.value, interval.low, interval.high) == pytest.approx((0.1, expected.low, expected.high))
    assert share_of_slow(slow, pd.Series(np.arange(100) // 20))[1] is None
