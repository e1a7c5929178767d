"""Think time: its forms in a suite, and the waits drawn from it."""

import math
from statistics import NormalDist, fmean, median, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.think_time import MAX_WAIT_S, ThinkTime, parse_think_time


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2s", ThinkTime(2)),
        ("250ms", ThinkTime(0.25)),
        ("1.5m", ThinkTime(90)),
        ("lognormal 2s", ThinkTime(2, 0.5)),
        ("lognormal 500ms 0.8", ThinkTime(0.5, 0.8)),
    ],
)
def test_a_think_time_is_a_fixed_wait_or_a_distribution(text: str, found: ThinkTime) -> None:
    """A distribution has a median and a spread."""
    assert parse_think_time(text) == found
    assert parse_think_time(str(found)) == found


@pytest.mark.parametrize("text", ["2", "lognormal", "2s 0.5", "normal 2s", "-1s", "0s", "2h", "61m", "lognormal 2s 3"])
def test_other_forms_are_refused(text: str) -> None:
    """A value without a unit, with another distribution, or out of range is refused."""
    with pytest.raises(ValueError, match="Write"):
        parse_think_time(text)


def test_a_fixed_wait_is_always_the_same() -> None:
    """It depends neither on the seed nor on the turn."""
    assert {ThinkTime(2).wait_s(seed, "a", 1, turn) for seed in (1, 2) for turn in (2, 3)} == {2}


def test_drawn_waits_have_the_distribution() -> None:
    """The logarithms of 20,000 waits have the mean and the standard deviation of the setting."""
    logs = [math.log(ThinkTime(2, 0.5).wait_s(1, "a", repeat, 2)) for repeat in range(20_000)]
    assert math.exp(median(logs)) == pytest.approx(2, rel=0.02)
    assert fmean(logs) == pytest.approx(math.log(2), abs=0.02)
    assert stdev(logs) == pytest.approx(0.5, rel=0.03)
    below = fmean(log < math.log(2) + 0.5 * NormalDist().inv_cdf(0.9) for log in logs)
    assert below == pytest.approx(0.9, abs=0.01)


@given(st.integers(), st.text(max_size=9), st.integers(1, 99), st.integers(2, 9), st.floats(0.001, MAX_WAIT_S))
def test_waits_are_seeded_and_bounded(seed: int, case: str, repeat: int, turn: int, median_s: float) -> None:
    """The same turn and seed give the same wait, other turns another; no wait exceeds an hour."""
    think = ThinkTime(median_s, 1.0)
    wait_s = think.wait_s(seed, case, repeat, turn)
    assert 0 < wait_s <= MAX_WAIT_S
    assert wait_s == think.wait_s(seed, case, repeat, turn)
    others = {think.wait_s(*place) for place in ((seed + 1, case, repeat, turn), (seed, case, repeat, turn + 1))}
    assert wait_s not in others or wait_s == MAX_WAIT_S
