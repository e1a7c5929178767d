"""A lane as a function of events and time: its limit, its minutes, the row of those who wait; then its door."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.suite import Case, Message, Parameters
from runner.engine.lane import Lane
from runner.engine.lane_queue import LaneQueue
from runner.engine.lane_queues import LaneQueues
from runner.engine.limit import WIDEST, Limit, fix, refuse, reset, succeed
from runner.engine.token_estimate import REMEMBERED, UNKNOWN_REPLY, TokenEstimate
from runner.engine.window import MARGIN_NS, MINUTE_NS, SPAN_NS, Window
from runner.planning.plan import Request, Target
from runner.providers.config import CONFIG_NAME, load_config
from runner.providers.row import Row
from tests.support.wait_until import until

REQUEST = Request(Target("acme", "m-1", Parameters()), Case("case", ("Hello?",)), 1, 1)

# The limit: at which second what happened, and how wide the lane is then


Step = tuple[str, float, float, int]
"""What happened, to what was sent when, at which second; the width behind it."""

TABLES: dict[str, list[Step]] = {
    "halves": [("429", 0, 1, 4), ("429", 2, 3, 2), ("429", 4, 5, 1), ("429", 6, 7, 1)],
    "once-for-all-sent-before": [("429", 0, 1, 4), ("429", 0, 1.1, 4), ("429", 0.9, 1.2, 4), ("429", 1.5, 2, 2)],
    "climbs-by-one-a-round": [
        ("429", 0, 1, 4),
        *[("ok", 2, 3, 4)] * 3,
        ("ok", 2, 3, 5),
        *[("ok", 2, 3, 5)] * 4,
        ("ok", 2, 3, 6),
    ],
    "what-was-sent-before-the-cut-lifts-nothing": [("429", 0, 1, 4), *[("ok", 0.5, 2, 4)] * 9],
    "a-refusal-breaks-a-round": [
        ("429", 0, 1, 4),
        ("ok", 2, 3, 4),
        ("429", 2, 3, 2),
        ("ok", 4, 5, 2),
        ("ok", 4, 5, 3),
    ],
    "never-above-what-was-set": [("ok", 1, 2, 8)] * 30,
}


@pytest.mark.parametrize("steps", TABLES.values(), ids=TABLES)
def test_a_limit_follows_what_happens(steps: list[Step]) -> None:
    """Refusals halve it, rounds of good replies widen it, and nothing counts that was sent before the last cut."""
    limit = fix(8)
    for what, sent_s, at_s, width in steps:
        limit = happen(limit, what, sent_s, at_s)
        assert limit.width == width


def happen(limit: Limit, what: str, sent_s: float, at_s: float, in_flight: int = WIDEST) -> Limit:
    """Return a limit behind an event."""
    if what == "ok":
        return succeed(limit, sent_ns=round(sent_s * 1e9), in_flight=in_flight)
    return refuse(limit, sent_ns=round(sent_s * 1e9), at_ns=round(at_s * 1e9), wait_s=0)


EVENTS = st.lists(st.tuples(st.sampled_from(["ok", "429"]), st.floats(0, 3), st.integers(1, 300)), max_size=60)


@given(st.integers(1, 300), EVENTS, st.booleans())
def test_a_limit_stays_within_its_bounds(ceiling: int, events: list[tuple[str, float, int]], adaptive: bool) -> None:
    """It is never below one nor above what was set, or, where it may grow, above the widest; and climbs one by one."""
    limit = fix(ceiling, adaptive=adaptive)
    at_s = 0.0
    for what, age_s, in_flight in events:
        at_s += 1.0
        before, limit = limit, happen(limit, what, max(at_s - age_s, 0), at_s, in_flight)
        assert 1 <= limit.width <= (max(ceiling, WIDEST) if adaptive else ceiling)
        assert limit.width - before.width <= 1
        assert limit.width >= before.width // 2


@given(st.integers(1, 64), st.integers(0, 6))
def test_a_limit_comes_back_to_what_was_set(ceiling: int, refusals: int) -> None:
    """Whatever it fell to, as many good replies as all rounds on the way up hold lift it to its ceiling again."""
    limit = fix(ceiling)
    for number in range(refusals):
        limit = happen(limit, "429", number, number)
    for _ in range(sum(range(limit.width, ceiling))):
        assert limit.width < ceiling
        limit = happen(limit, "ok", refusals, refusals + 1)
    assert limit.width == ceiling


def test_only_a_full_lane_grows() -> None:
    """An adaptive limit grows beyond what was set if it was used to the full, and not otherwise."""
    grown = idle = fix(4, adaptive=True)
    for _ in range(4 + 5):
        grown, idle = happen(grown, "ok", 1, 2, in_flight=grown.width), happen(idle, "ok", 1, 2, in_flight=3)
    assert (grown.width, idle.width) == (6, 4)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1))
def test_the_longest_wish_for_peace_wins(wishes: list[tuple[float, float]]) -> None:
    """A lane stays closed until the latest moment that anybody asked for."""
    limit = fix(4)
    for at_s, wait_s in sorted(wishes):
        limit = refuse(limit, sent_ns=0, at_ns=round(at_s * 1e9), wait_s=wait_s)
    latest_ns = max(round(at_s * 1e9) + round(wait_s * 1e9) for at_s, wait_s in wishes)
    assert limit.closed_until_ns == latest_ns


def test_the_next_level_of_a_sweep_keeps_a_pause() -> None:
    """A provider that asked for peace has it, whatever the run has planned; what was cut is wide again."""
    narrowed = refuse(fix(8), sent_ns=0, at_ns=10, wait_s=7)
    limit = reset(narrowed, 16)
    assert (limit.width, limit.ceiling, limit.closed_until_ns) == (16, 16, narrowed.closed_until_ns)


# Minutes


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), max_size=40))
def test_a_window_lets_go_as_soon_as_it_may_and_no_sooner(limit: int, amounts: list[tuple[int, int]]) -> None:
    """At the moment it names an amount fits, or goes alone; a nanosecond earlier it does not."""
    window, now_ns = Window(limit), 0
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
    """Tell whether an amount may be sent, knowing all that was."""
    recent = sum(was for when_ns, was in sent if when_ns > at_ns - SPAN_NS)
    return recent == 0 or recent + amount <= limit


def test_what_was_not_used_is_given_back() -> None:
    """A window counts what a request turned out to take, if it still counts it at all."""
    window = Window(100)
    first = window.take(90, 0)
    assert window.opens_at(50, 1) == SPAN_NS == MINUTE_NS + MARGIN_NS
    window.correct(first, 10)
    assert window.opens_at(50, 1) == 1
    window.take(90, 2)
    assert window.opens_at(50, SPAN_NS + 1) == SPAN_NS + 2
    window.correct(first, 1000)
    assert window.opens_at(10, SPAN_NS + 1) == SPAN_NS + 1


# What a request will take


def test_tokens_are_estimated_from_what_is_sent_and_what_replies_used() -> None:
    """A stated limit is booked whole; else the longest of the last replies stands for the next."""
    appetite = TokenEstimate()
    sent = appetite.expect(REQUEST) - UNKNOWN_REPLY
    assert 0 < sent < 30
    for used in (400, 50, 70):
        appetite.learn("acme/m-1", used)
    assert appetite.expect(REQUEST) == sent + 400
    for _ in range(REMEMBERED):
        appetite.learn("acme/m-1", 60)
    assert appetite.expect(REQUEST) == sent + 60
    target = replace(REQUEST.target, parameters=Parameters(max_tokens=500))
    assert appetite.expect(replace(REQUEST, target=target)) == sent + 500
    other = replace(REQUEST, target=replace(REQUEST.target, model="m-2"))
    assert appetite.expect(other) == sent + UNKNOWN_REPLY


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_everything_that_is_sent_counts(system: str, given_before: str, replied: str) -> None:
    """System message, history and replies so far all make a request larger."""
    case = Case("case", ("Hello?", "More?"), history=(Message("user", given_before),), system=system)
    plain = Request(REQUEST.target, Case("case", ("Hello?", "More?")), 1, 1)
    full = Request(REQUEST.target, case, 1, 1, replies=(replied,))
    more = sum(len(text.encode(errors="replace")) for text in (system, given_before, replied)) // 3
    assert TokenEstimate().expect(full) >= TokenEstimate().expect(plain) + more


# The lane


def open_lane(width: int = 2) -> Lane:
    """Open a lane without rates."""
    return Lane("acme", fix(width))


def test_those_who_have_begun_go_first() -> None:
    """No conversation begins while another waits to go on, and those who wait go in their order."""
    lane = open_lane(1)
    ticket = lane.begin(REQUEST, 0)
    first, second = lane.queue(REQUEST), lane.queue(REQUEST)
    assert (lane.returns_at(first, 1), lane.returns_at(second, 1)) == (None, None)
    lane.leave(ticket)
    assert (lane.returns_at(first, 2), lane.returns_at(second, 2)) == (2, None)
    lane.end()
    assert lane.begins_at(REQUEST, 2) is None
    again = lane.readmit(first, 2)
    assert again.in_flight == 1
    lane.withdraw(second)
    lane.leave(again)
    assert lane.begins_at(REQUEST, 3) == 3


def test_a_conversation_keeps_its_place_while_it_waits() -> None:
    """A provider that fails at once is not asked by ever more conversations."""
    lane = open_lane(1)
    lane.leave(lane.begin(REQUEST, 0))
    assert lane.begins_at(REQUEST, 1) is None
    lane.end()
    assert lane.begins_at(REQUEST, 1) == 1


def test_a_narrower_lane_holds_back_those_who_had_begun() -> None:
    """After a refusal only as many send again at once as the lane is wide now, and none before its pause is over."""
    lane = open_lane(4)
    tickets = [lane.begin(REQUEST, 0) for _ in range(4)]
    changes = [lane.refused(ticket, 10, wait_s=5, why="slow down") for ticket in tickets]
    assert [(change.before, change.after, change.why) for change in changes if change] == [(4, 2, "slow down")]
    for ticket in tickets:
        lane.leave(ticket)
    claims = [lane.queue(REQUEST) for _ in range(4)]
    opens_ns = 10 + 5_000_000_000
    assert lane.returns_at(claims[0], 20) == opens_ns
    lane.readmit(claims[0], opens_ns)
    lane.readmit(claims[1], opens_ns)
    assert lane.returns_at(claims[2], opens_ns) is None


def test_usage_corrects_what_was_booked() -> None:
    """A lane counts the tokens that a provider reports, and what it books where none are reported."""
    lane = Lane("acme", fix(4), tokens=Window(2000))
    ticket = lane.begin(REQUEST, 0)
    assert (lane.begins_at(REQUEST, 1) or 0) > 1
    lane.leave(ticket, input_tokens=5, output_tokens=20)
    assert lane.begins_at(REQUEST, 1) == 1
    for number in range(2):
        lane.leave(lane.begin(REQUEST, number))
    assert lane._appetite.expect(REQUEST) < 100


# The door


@pytest.mark.anyio
async def test_those_at_the_door_go_in_their_order_as_places_come_free() -> None:
    """Whoever leaves lets the next one in, one for each place, and who gives up lets those behind move up."""
    door = LaneQueue(open_lane(1))
    first = await door.enter(REQUEST)
    entered: list[int] = []

    async def come(number: int, patience: anyio.CancelScope) -> None:
        with patience:
            ticket = await door.enter(REQUEST)
            assert ticket.in_flight == 1
            entered.append(number)

    async with anyio.create_task_group() as crowd:
        patience = [anyio.CancelScope() for _ in range(4)]
        for number in range(4):
            crowd.start_soon(come, number, patience[number])
        await until(lambda: len(door.lane._claims) == 4)
        patience[0].cancel()
        patience[2].cancel()
        await until(lambda: len(door.lane._claims) == 2)
        for expected in ([1], [1, 3]):
            door.lane.leave(first)  # every place is as good as another
            door.ring()
            await until(lambda: len(door.lane._claims) == 2 - len(expected))  # noqa: B023 -- called at once
            assert entered == expected


@pytest.mark.anyio
async def test_a_pause_is_waited_out_whole() -> None:
    """Who waits at a closed door comes in when the lane is open again, though a later refusal has moved that time."""
    door = LaneQueue(open_lane(2))
    ticket = await door.enter(REQUEST)
    came: list[int] = []

    async def come() -> None:
        came.append((await door.enter(REQUEST)).at_ns)

    door.lane.refused(ticket, perf_counter_ns(), wait_s=0.02, why="busy")
    door.lane.leave(ticket)
    async with anyio.create_task_group() as waiting:
        waiting.start_soon(come)
        await until(lambda: len(door.lane._claims) == 1)
        door.lane.refused(ticket, perf_counter_ns(), wait_s=0.05, why="busy")
    assert came[0] >= door.lane.limit.closed_until_ns


# Models with limits of their own


ROW = Row.model_validate(
    {"keyless": True, "requests_per_minute": 60, "limits": {"big-*": {"concurrency": 1, "tokens_per_minute": 900}}}
)


def test_a_model_with_limits_has_a_lane_to_itself() -> None:
    """What its limits leave open is the provider's: its number of requests at once, and its share of every minute."""
    doors = LaneQueues("acme", ROW, 4)
    shared, big, bigger = (doors.of(model).lane for model in ("small", "big-1", "big-2"))
    assert doors.of("other").lane is shared
    assert doors.of("big-1").lane is big
    assert (big.name, bigger.name, shared.name) == ("acme/big-1", "acme/big-2", "acme")
    assert (shared.limit.width, big.limit.width) == (4, 1)
    assert big.requests is shared.requests
    assert (shared.tokens, big.tokens) == (None, Window(900))
    assert big.tokens is not bigger.tokens


def test_the_page_on_load_shows_a_row_that_loads(tmp_path: Path) -> None:
    """The YAML of docs/load.md is a compare.yaml whose model has a lane of its own."""
    page = (Path(__file__).parents[2] / "docs" / "load.md").read_text(encoding="utf-8")
    path = tmp_path / CONFIG_NAME
    path.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    doors = LaneQueues("team-gateway", load_config(path)["team-gateway"], 8)
    assert doors.of("house-70b-chat").lane.name == "team-gateway/house-70b-chat"
    assert doors.of("house-7b").lane.name == "team-gateway"
