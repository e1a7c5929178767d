"""Change points in a history of levels: how often they are found, and how often found by mistake."""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from runner.analysis import change_points
from runner.analysis.change_points import MIN_PER_SIDE, find_changes

Floats = NDArray[np.float64]

STEADY = np.random.default_rng(3).normal(0, 0.05, 60)


def series(count: int, correlation: float = 0.0, runs: int = 100, sd: float = 0.05) -> Floats:
    """Return logarithms of levels around 0 with an autocorrelation; shape (count, runs)."""
    rng = np.random.default_rng(11)
    found = rng.normal(0, sd, (count, runs))
    for at in range(1, runs):
        found[:, at] = correlation * found[:, at - 1] + math.sqrt(1 - correlation**2) * found[:, at]
    return found


def test_a_change_is_found_with_its_place_size_and_numbers() -> None:
    """A rise by a fifth at the thirtieth run is found, and its interval contains it."""
    (found,) = find_changes(np.concatenate([STEADY[:30], STEADY[30:] + math.log(1.2)]))
    assert abs(found.at - 30) <= 1
    assert found.ratio == pytest.approx(1.2, abs=0.04)
    assert 1.2 in found.interval
    assert found.before + found.after == 60


def test_orders_drawn_part_by_part_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of orders in memory at once does not change the p-value: one, all, or a remainder."""
    logs, found = np.concatenate([STEADY[:30], STEADY[30:] + 0.07]), []
    for ranks in (1, 60 * 30, 10**9):
        monkeypatch.setattr(change_points, "RANKS_AT_ONCE", ranks)
        found.append(find_changes(logs))
    assert found[0] == found[1] == found[2] != ()


@pytest.mark.parametrize("seed", [1, 2, 4, 5, 7])
def test_a_small_change_that_is_dropped_leaves_its_neighbour_clear(seed: int) -> None:
    """After a small change is dropped, the p-value of its neighbour is that between the remaining changes."""
    logs = np.random.default_rng(seed).normal(0, 0.008, 60)
    logs[20:] += math.log(1.2)
    logs[24:] += math.log(1.035)
    (found,) = find_changes(logs)
    assert (found.at, found.before, found.after) == (20, 20, 40)
    assert found.p == 1 / (change_points.DRAWS + 1)


def test_a_change_that_is_beyond_chance_is_the_same_without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound replaces drawing orders if none of a thousand runs can be as extreme."""
    logs = series(1, runs=1000)[0]
    logs[400:600] += 0.2
    found = find_changes(logs)
    monkeypatch.setattr(change_points, "BEYOND_CHANCE", 0.0)
    assert [change.at for change in found] == [400, 600]
    assert find_changes(logs) == found


@given(st.lists(st.integers(0, 9), min_size=6, max_size=30), st.data())
def test_orders_are_drawn_until_it_is_decided(values: list[int], data: st.DataObject) -> None:
    """The p-value equals that of all orders, unless both exceed the level and drawing stopped."""
    at, logs = data.draw(st.integers(3, len(values) - 3)), np.array(values, dtype=float)
    whole, stopped = (change_points._p_of_split(logs, at, alpha) for alpha in (1.0, 0.05))
    assert (stopped > 0.05) == (whole > 0.05)
    assert stopped > 0.05 or stopped == whole


@pytest.mark.parametrize("values", [(0, 0, 0, 1, 1, 1, 1), (1, 2, 3, 4, 5, 6, 7), (0, 5, 0, 5, 0, 5, 5)])
def test_the_bound_of_p_holds_for_all_orders(values: tuple[int, ...]) -> None:
    """The share of all orders of a few runs with as extreme a split is at most the bound."""
    ranks = change_points._mid_ranks(np.array(values, dtype=float))
    every = change_points._contrasts(np.array(list(permutations(ranks)))).max(axis=1)
    for observed in np.unique(every):
        assert np.mean(every >= observed - 1e-9) <= change_points._bound_of_best(float(observed), len(values))


def test_two_changes_are_told_apart() -> None:
    """A level that rises and comes back has two changes, each against its neighbour."""
    logs = STEADY.copy()
    logs[20:40] += math.log(1.3)
    up, down = find_changes(logs)
    assert (abs(up.at - 20) <= 1, abs(down.at - 40) <= 1) == (True, True)
    assert ((up.ratio or 0) > 1.2, (down.ratio or 9) < 0.85) == (True, True)


def test_one_bad_night_is_no_change() -> None:
    """One outlier is no change, however large it is."""
    logs = STEADY.copy()
    logs[30] += 3
    assert find_changes(logs) == ()


def test_fewer_runs_than_three_a_side_show_nothing() -> None:
    """Five runs have no change, for any levels."""
    assert find_changes(np.log([1, 1, 1, 9, 9.0])) == ()
    assert find_changes(np.array([])) == ()


def test_a_change_below_the_minimum_is_not_reported() -> None:
    """A change of 2 % is found, and reported only if the minimum change is smaller."""
    logs = np.concatenate([STEADY[:30] / 50, STEADY[30:] / 50 + math.log(1.02)])
    assert find_changes(logs) == ()
    assert len(find_changes(logs, min_change=0.01)) == 1


def test_without_correlation_p_is_that_of_student_where_it_is_the_larger_one() -> None:
    """With few runs, the variance and the degrees of freedom are those of the two-sample test."""
    logs = np.array([0.0, 0.1, -0.1, 0.05, 1.0, 1.1, 0.9, 1.02])
    found = find_changes(logs, alpha=0.05)
    assert len(found) == 1
    reference = stats.ttest_ind(logs[:4], logs[4:])
    assert found[0].p >= reference.pvalue


@pytest.mark.parametrize(("correlation", "at_most"), [(0.0, 0.01), (0.5, 0.10)])
def test_false_alarms_in_a_hundred_runs_are_as_rare_as_documented(correlation: float, at_most: float) -> None:
    """The share of false changes in 150 series of 100 runs is about 1 %, and higher if neighbours are correlated."""
    alarms = sum(bool(find_changes(logs)) for logs in series(150, correlation))
    assert stats.binomtest(alarms, 150, at_most, "greater").pvalue > 0.001


def test_a_change_of_a_fifth_is_found_within_a_week_of_nights() -> None:
    """In 90 % of 40 series with a day-to-day standard deviation of 5 %, the change is found within seven runs."""
    found = [
        any(abs(change.at - 30) <= 3 for change in find_changes(np.concatenate([logs[:30], logs[30:37] + 0.2])))
        for logs in series(40)
    ]
    assert sum(found) >= 36


@given(st.lists(st.floats(-5, 5), max_size=40), st.floats(-3, 3))
def test_another_unit_moves_no_change(logs: list[float], shift: float) -> None:
    """A factor on all levels does not change the change points, which are in order, with three runs on each side."""
    found = find_changes(np.array(logs))
    moved = find_changes(np.array(logs) + shift)
    ends = [0, *(change.at for change in found), len(logs)]
    assert all(after - before >= MIN_PER_SIDE for before, after in pairwise(ends)) or not found
    if not any(abs(one - other) < 1e-6 for one in logs for other in logs if one != other):
        assert [change.at for change in moved] == [change.at for change in found]
