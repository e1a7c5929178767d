"""What is asked again, after how long, and how long a lane waits with it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Failed, Outcome
from runner.engine.retry import RetryPolicy

POLICY = RetryPolicy()
CHANCES = st.integers(0, 2**32).map(Random)


def failed(retry_after_s: float | None = None, *, worth_repeating: bool = True) -> Failed:
    """Fail in a way that is worth another attempt, unless told otherwise."""
    return Failed(0, Outcome.RATE_LIMITED, "busy", retry_after_s=retry_after_s, worth_repeating=worth_repeating)


class Fixed(Random):
    """Chance that always comes out the same."""

    def __init__(self, drawn: float) -> None:
        super().__init__()
        self._drawn = drawn

    def random(self) -> float:
        """Return what was said."""
        return self._drawn


@given(st.integers(1, 9), st.none() | st.floats(0, 1000), CHANCES)
def test_what_is_not_worth_repeating_is_not_repeated(
    attempts: int, retry_after_s: float | None, chance: Random
) -> None:
    """A spent balance, a bad key and a bad request stay so, whatever a header wishes."""
    assert POLICY.wait_s(failed(retry_after_s, worth_repeating=False), attempts, chance) is None


@given(st.integers(1, 9), st.integers(1, 9), CHANCES)
def test_attempts_are_limited(limit: int, attempts: int, chance: Random) -> None:
    """The last attempt allowed is the last."""
    wait_s = RetryPolicy(attempts=limit).wait_s(failed(), attempts, chance)
    assert (wait_s is None) is (attempts >= limit)


@pytest.mark.parametrize(("attempts", "wait_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (500, 60.0)])
def test_waits_double_up_to_the_longest(attempts: int, wait_s: float) -> None:
    """Without jitter and without a wish, each wait is twice the one before."""
    policy = RetryPolicy(attempts=1000)
    assert policy.wait_s(failed(), attempts, Fixed(0.0)) == wait_s


@pytest.mark.parametrize(
    ("wish_s", "wait_s"),
    [(None, 0.5), (0.0, 0.5), (0.3, 0.5), (7.0, 7.0), (60.0, 60.0), (60.1, None), (3600.0, None), (float("inf"), None)],
)
def test_a_wish_is_granted_within_reason(wish_s: float | None, wait_s: float | None) -> None:
    """Retry-After replaces a shorter wait; one that is too long means to give up, not to come early."""
    assert POLICY.wait_s(failed(wish_s), 1, Fixed(0.0)) == wait_s


@given(st.integers(1, 2), st.none() | st.floats(0, 60), CHANCES)
def test_jitter_lengthens_a_wait_by_a_quarter_at_most(attempts: int, wish_s: float | None, chance: Random) -> None:
    """Nobody comes before the time that was asked for, and a crowd does not come at once."""
    plain_s = POLICY.wait_s(failed(wish_s), attempts, Fixed(0.0))
    wait_s = POLICY.wait_s(failed(wish_s), attempts, chance)
    assert plain_s is not None
    assert wait_s is not None
    assert max(plain_s, wish_s or 0.0) <= wait_s <= plain_s * 1.25


def test_a_crowd_is_spread() -> None:
    """A hundred requests refused together come back at a hundred times."""
    chance = Random(7)
    assert len({POLICY.wait_s(failed(1.0), 1, chance) for _ in range(100)}) == 100


# The lane behind


@pytest.mark.parametrize(
    ("outcome", "wish_s", "retry_s", "pause_s"),
    [
        (Outcome.RATE_LIMITED, None, 0.5, 0.5),
        (Outcome.RATE_LIMITED, 7.0, 8.1, 8.1),
        (Outcome.RATE_LIMITED, 3600.0, None, 60.0),
        (Outcome.RATE_LIMITED, None, None, 0.0),
        (Outcome.PROVIDER_ERROR, None, 0.5, 0.0),
        (Outcome.PROVIDER_ERROR, 7.0, 8.1, 7.0),
    ],
)
def test_a_lane_pauses_as_long_as_was_asked_for(
    outcome: Outcome, wish_s: float | None, retry_s: float | None, pause_s: float
) -> None:
    """A 429 keeps everybody as long as the one it met, an overload as long as it says; no wish is endless."""
    assert POLICY.pause_s(Failed(0, outcome, "busy", retry_after_s=wish_s), retry_s) == pause_s
