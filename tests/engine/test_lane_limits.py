"""The limits of a lane: the concurrency limit, sliding windows per minute, and the tokens a request will use."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.conversation_state import EarlierReply
from runner.core.suite import Case, Message, Parameters
from runner.engine.lane_limits import (
    MARGIN_NS,
    MINUTE_NS,
    REMEMBERED,
    SPAN_NS,
    UNKNOWN_REPLY,
    WIDEST,
    ConcurrencyLimit,
    RateWindow,
    TokenEstimate,
)
from runner.planning.request import Request, Target

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


REQUEST = Request(Target("acme", "m-1", Parameters()), Case("case", ("Hello?",)), 1, 1)


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), max_size=40))
def test_window_opens_as_soon_as_it_may_and_no_sooner(limit: int, amounts: list[tuple[int, int]]) -> None:
    """At the time that `opens_at` returns, an amount fits or is sent alone; a nanosecond earlier it does not."""
    window, now_ns = RateWindow(limit), 0
    sent: list[tuple[int, int]] = []
    for pause_s, amount in amounts:
        now_ns += pause_s * 1_000_000_000
        opens_ns = window.opens_at(amount, now_ns)
        assert fits(sent, amount, opens_ns, limit)
        assert opens_ns == now_ns or not fits(sent, amount, opens_ns - 1, limit)
        now_ns = opens_ns
        window.take(amount, now_ns)
        sent.append((now_ns, amount))


def fits(sent: list[tuple[int, int]], amount: int, at_ns: int, limit: int) -> bool:
    """Return whether an amount may be sent at a time, given all that was sent before."""
    recent = sum(sent_amount for sent_ns, sent_amount in sent if sent_ns > at_ns - SPAN_NS)
    return recent == 0 or recent + amount <= limit


def test_unused_amount_is_given_back() -> None:
    """A window counts what a request really used, unless its entry has expired."""
    window = RateWindow(100)
    first = window.take(90, 0)
    assert window.opens_at(50, 1) == SPAN_NS == MINUTE_NS + MARGIN_NS
    window.correct(first, 10)
    assert window.opens_at(50, 1) == 1
    window.take(90, 2)
    assert window.opens_at(50, SPAN_NS + 1) == SPAN_NS + 2
    window.correct(first, 1000)
    assert window.opens_at(10, SPAN_NS + 1) == SPAN_NS + 1


def test_reply_is_estimated_from_max_tokens_or_recent_replies() -> None:
    """`max_tokens` counts in full; without it the longest of the target's latest replies is expected."""
    estimate = TokenEstimate()
    sent = estimate.expect(REQUEST) - UNKNOWN_REPLY
    assert 0 < sent < 30
    for used in (400, 50, 70):
        estimate.learn("acme/m-1", used)
    assert estimate.expect(REQUEST) == sent + 400
    for _ in range(REMEMBERED):
        estimate.learn("acme/m-1", 60)
    assert estimate.expect(REQUEST) == sent + 60
    target = replace(REQUEST.target, parameters=Parameters(max_tokens=500))
    assert estimate.expect(replace(REQUEST, target=target)) == sent + 500
    assert estimate.expect(replace(REQUEST, case=replace(REQUEST.case, overrides={"max_tokens": 700}))) == sent + 700
    other = replace(REQUEST, target=replace(REQUEST.target, model="m-2"))
    assert estimate.expect(other) == sent + UNKNOWN_REPLY


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_every_message_counts_towards_the_estimate(system: str, given_before: str, replied: str) -> None:
    """System message, history and replies so far all increase it."""
    case = Case("case", ("Hello?", "More?"), history=(Message("user", given_before),), system=system)
    plain = Request(REQUEST.target, Case("case", ("Hello?", "More?")), 1, 1)
    full = Request(REQUEST.target, case, 1, 1, replies=(EarlierReply(replied),))
    more = sum(len(text.encode(errors="replace")) for text in (system, given_before, replied)) // 3
    assert TokenEstimate().expect(full) >= TokenEstimate().expect(plain) + more
