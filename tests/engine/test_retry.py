"""Which failures are retried, after how long, and how long the lane pauses."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Failed, Outcome
from runner.engine.retry import RetryPolicy, with_requested_wait

POLICY = RetryPolicy()
RANDOMS = st.integers(0, 2**32).map(Random)


def failed(retry_after_s: float | None = None, *, worth_repeating: bool = True) -> Failed:
    """Return a failure that is worth another attempt by default."""
    return Failed(0, Outcome.RATE_LIMITED, "busy", retry_after_s=retry_after_s, worth_repeating=worth_repeating)


class FixedRandom(Random):
    """A random generator that always returns the same number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number

    def random(self) -> float:
        """Return the fixed number."""
        return self._number


@given(st.integers(1, 9), st.none() | st.floats(0, 1000), RANDOMS)
def test_permanent_failure_is_not_retried(attempts: int, retry_after_s: float | None, random: Random) -> None:
    """An exhausted balance, a bad key and a bad request are final, regardless of Retry-After."""
    assert POLICY.wait_s(failed(retry_after_s, worth_repeating=False), attempts, random) is None


@given(st.integers(1, 9), st.integers(1, 9), RANDOMS)
def test_number_of_attempts_is_limited(limit: int, attempts: int, random: Random) -> None:
    """There is no attempt after the last one allowed."""
    wait_s = RetryPolicy(attempts=limit).wait_s(failed(), attempts, random)
    assert (wait_s is None) is (attempts >= limit)


@pytest.mark.parametrize(("attempts", "wait_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (500, 60.0)])
def test_waits_double_up_to_the_longest(attempts: int, wait_s: float) -> None:
    """Without jitter and Retry-After, each wait is twice the one before."""
    policy = RetryPolicy(attempts=1000)
    assert policy.wait_s(failed(), attempts, FixedRandom(0.0)) == wait_s


@pytest.mark.parametrize(
    ("retry_after_s", "wait_s"),
    [(None, 0.5), (0.0, 0.5), (0.3, 0.5), (7.0, 7.0), (60.0, 60.0), (60.1, None), (3600.0, None), (float("inf"), None)],
)
def test_retry_after_is_obeyed_up_to_the_longest_wait(retry_after_s: float | None, wait_s: float | None) -> None:
    """It replaces a shorter wait; if it is too long, no attempt is made at all, rather than one too early."""
    assert POLICY.wait_s(failed(retry_after_s), 1, FixedRandom(0.0)) == wait_s


@given(st.integers(1, 2), st.none() | st.floats(0, 60), RANDOMS)
def test_jitter_lengthens_a_wait_by_a_quarter_at_most(
    attempts: int, retry_after_s: float | None, random: Random
) -> None:
    """No wait is shorter than Retry-After or than without jitter."""
    plain_s = POLICY.wait_s(failed(retry_after_s), attempts, FixedRandom(0.0))
    wait_s = POLICY.wait_s(failed(retry_after_s), attempts, random)
    assert plain_s is not None
    assert wait_s is not None
    assert max(plain_s, retry_after_s or 0.0) <= wait_s <= plain_s * 1.25


def test_jitter_spreads_requests_refused_together() -> None:
    """A hundred requests refused together are sent again at a hundred different times."""
    random = Random(7)
    assert len({POLICY.wait_s(failed(1.0), 1, random) for _ in range(100)}) == 100


# The pause of the lane


@pytest.mark.parametrize(
    ("outcome", "retry_after_s", "retry_s", "pause_s"),
    [
        (Outcome.RATE_LIMITED, None, 0.5, 0.5),
        (Outcome.RATE_LIMITED, 7.0, 8.1, 8.1),
        (Outcome.RATE_LIMITED, 3600.0, None, 60.0),
        (Outcome.RATE_LIMITED, None, None, 0.0),
        (Outcome.PROVIDER_ERROR, None, 0.5, 0.0),
        (Outcome.PROVIDER_ERROR, 7.0, 8.1, 7.0),
    ],
)
def test_lane_pauses_for_retry_after_or_the_wait_of_a_429(
    outcome: Outcome, retry_after_s: float | None, retry_s: float | None, pause_s: float
) -> None:
    """A 429 pauses the lane as long as the request that met it; an overload as long as it asks, up to the longest."""
    assert POLICY.pause_s(Failed(0, outcome, "busy", retry_after_s=retry_after_s), retry_s) == pause_s


def test_an_absurd_wait_does_not_pause_the_lane() -> None:
    """After a wait of days, or a date read as a duration, other requests continue, and the row states the wait."""
    absurd = failed(3 * 86400.0)
    assert POLICY.wait_s(absurd, 1, Random(1)) is None
    assert POLICY.pause_s(absurd, None) == 0
    assert with_requested_wait(absurd).message == "busy (asks for a wait of 3 days, not waited for)"
    assert POLICY.pause_s(replace(absurd, retry_after_s=300.0), None) == POLICY.longest_wait_s
