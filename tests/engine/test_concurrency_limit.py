"""The concurrency limit as a function of events: refusals lower it, rounds of successes raise it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.concurrency_limit import WIDEST, ConcurrencyLimit

Step = tuple[str, float, float, int]
"""An event, when its request was sent and when it happened, in seconds; the width after it."""

TABLES: dict[str, list[Step]] = {
    "halves": [("429", 0, 1, 4), ("429", 2, 3, 2), ("429", 4, 5, 1), ("429", 6, 7, 1)],
    "once-for-all-sent-before": [("429", 0, 1, 4), ("429", 0, 1.1, 4), ("429", 0.9, 1.2, 4), ("429", 1.5, 2, 2)],
    "rises-by-one-each-round": [
        ("429", 0, 1, 4),
        *[("ok", 2, 3, 4)] * 3,
        ("ok", 2, 3, 5),
        *[("ok", 2, 3, 5)] * 4,
        ("ok", 2, 3, 6),
    ],
    "requests-sent-before-the-cut-raise-nothing": [("429", 0, 1, 4), *[("ok", 0.5, 2, 4)] * 9],
    "a-refusal-interrupts-a-round": [
        ("429", 0, 1, 4),
        ("ok", 2, 3, 4),
        ("429", 2, 3, 2),
        ("ok", 4, 5, 2),
        ("ok", 4, 5, 3),
    ],
    "never-above-the-ceiling": [("ok", 1, 2, 8)] * 30,
}


@pytest.mark.parametrize("steps", TABLES.values(), ids=TABLES)
def test_limit_follows_refusals_and_successes(steps: list[Step]) -> None:
    """Refusals halve it, rounds of successes raise it, and requests sent before the last cut do not count."""
    limit = ConcurrencyLimit.of(8)
    for event, sent_s, at_s, width in steps:
        limit = after(limit, event, sent_s, at_s)
        assert limit.width == width


def after(limit: ConcurrencyLimit, event: str, sent_s: float, at_s: float, in_flight: int = WIDEST) -> ConcurrencyLimit:
    """Return a limit after an event."""
    if event == "ok":
        return limit.after_success(sent_ns=round(sent_s * 1e9), in_flight=in_flight)
    return limit.after_refusal(sent_ns=round(sent_s * 1e9), at_ns=round(at_s * 1e9), wait_s=0)


EVENTS = st.lists(st.tuples(st.sampled_from(["ok", "429"]), st.floats(0, 3), st.integers(1, 300)), max_size=60)


@given(st.integers(1, 300), EVENTS, st.booleans())
def test_limit_stays_within_its_bounds(ceiling: int, events: list[tuple[str, float, int]], adaptive: bool) -> None:
    """It stays between one and its ceiling, or the widest of an adaptive limit, and rises one by one."""
    limit = ConcurrencyLimit.of(ceiling, adaptive=adaptive)
    at_s = 0.0
    for event, age_s, in_flight in events:
        at_s += 1.0
        before, limit = limit, after(limit, event, max(at_s - age_s, 0), at_s, in_flight)
        assert 1 <= limit.width <= (max(ceiling, WIDEST) if adaptive else ceiling)
        assert limit.width - before.width <= 1
        assert limit.width >= before.width // 2


@given(st.integers(1, 64), st.integers(0, 6))
def test_limit_returns_to_its_ceiling(ceiling: int, refusals: int) -> None:
    """From any width, as many successes as all rounds on the way up contain raise it to the ceiling again."""
    limit = ConcurrencyLimit.of(ceiling)
    for number in range(refusals):
        limit = after(limit, "429", number, number)
    for _ in range(sum(range(limit.width, ceiling))):
        assert limit.width < ceiling
        limit = after(limit, "ok", refusals, refusals + 1)
    assert limit.width == ceiling


def test_adaptive_limit_grows_only_in_a_full_lane() -> None:
    """It passes its ceiling if the lane was full, and not otherwise."""
    full = idle = ConcurrencyLimit.of(4, adaptive=True)
    for _ in range(4 + 5):
        full, idle = after(full, "ok", 1, 2, in_flight=full.width), after(idle, "ok", 1, 2, in_flight=3)
    assert (full.width, idle.width) == (6, 4)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1))
def test_longest_requested_pause_wins(pauses: list[tuple[float, float]]) -> None:
    """A lane stays closed until the latest time that any refusal asked for."""
    limit = ConcurrencyLimit.of(4)
    for at_s, wait_s in sorted(pauses):
        limit = limit.after_refusal(sent_ns=0, at_ns=round(at_s * 1e9), wait_s=wait_s)
    latest_ns = max(round(at_s * 1e9) + round(wait_s * 1e9) for at_s, wait_s in pauses)
    assert limit.closed_until_ns == latest_ns


def test_next_level_of_a_sweep_keeps_a_pause() -> None:
    """The width and the ceiling are those of the level; the lane stays closed as long as the provider asked for."""
    lowered = ConcurrencyLimit.of(8).after_refusal(sent_ns=0, at_ns=10, wait_s=7)
    limit = lowered.at_level(16)
    assert (limit.width, limit.ceiling, limit.closed_until_ns) == (16, 16, lowered.closed_until_ns)
