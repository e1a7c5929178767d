"""Limits per minute: sliding windows, and the tokens that a request is expected to use."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from runner.core.earlier_reply import EarlierReply
from runner.core.suite import Case, Message, Parameters
from runner.engine.rate_limit import (
    MARGIN_NS,
    MINUTE_NS,
    REMEMBERED,
    SPAN_NS,
    UNKNOWN_REPLY,
    RateWindow,
    TokenEstimate,
)
from runner.planning.plan import Request, Target

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
    """A window counts the actual use of a request, unless its entry has expired."""
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
