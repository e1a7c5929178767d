"""A lane as a function of events and time: who may send, in which order, and what its limits count."""

from hypothesis import given
from hypothesis import strategies as st

from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit, RateWindow
from runner.engine.provider_lane import Lane, LevelOpening
from runner.planning.request import Request, Target

REQUEST = Request(Target("acme", "m-1", Parameters()), Case("case", ("Hello?",)), 1, 1)


def open_lane(width: int = 2) -> Lane:
    """Return a lane without limits per minute."""
    return Lane("acme", ConcurrencyLimit.of(width))


def test_waiting_conversations_go_before_new_ones_in_order() -> None:
    """No conversation starts while another waits to continue; waiting ones continue in their order."""
    lane = open_lane(1)
    permit = lane.begin(REQUEST, 0)
    first, second = lane.enqueue(REQUEST), lane.enqueue(REQUEST)
    assert (lane.may_send_at(first, 1), lane.may_send_at(second, 1)) == (None, None)
    lane.release(permit)
    assert (lane.may_send_at(first, 2), lane.may_send_at(second, 2)) == (2, None)
    lane.end(0)
    assert lane.may_begin_at(REQUEST, 2) is None
    again = lane.admit(first, 2)
    assert again.in_flight == 1
    lane.withdraw(second)
    lane.release(again)
    assert lane.may_begin_at(REQUEST, 3) == 3


def test_conversation_keeps_its_place_between_attempts() -> None:
    """A provider that fails at once does not receive requests of more and more conversations."""
    lane = open_lane(1)
    lane.release(lane.begin(REQUEST, 0))
    assert lane.may_begin_at(REQUEST, 1) is None
    lane.end(0)
    assert lane.may_begin_at(REQUEST, 1) == 1


def test_refusal_limits_retries_to_the_halved_width_after_the_pause() -> None:
    """At most as many requests are retried at once as the lane's current width, and none before its pause is over."""
    lane = open_lane(4)
    permits = [lane.begin(REQUEST, 0) for _ in range(4)]
    changes = [lane.note_refusal(permit, 10, wait_s=5, why="slow down") for permit in permits]
    assert [(change.before, change.after, change.why) for change in changes if change] == [(4, 2, "slow down")]
    for permit in permits:
        lane.release(permit)
    waiters = [lane.enqueue(REQUEST) for _ in range(4)]
    opens_ns = 10 + 5_000_000_000
    assert lane.may_send_at(waiters[0], 20) == opens_ns
    lane.admit(waiters[0], opens_ns)
    lane.admit(waiters[1], opens_ns)
    assert lane.may_send_at(waiters[2], opens_ns) is None


def test_usage_corrects_the_token_estimate() -> None:
    """A lane counts the tokens that a provider reports, and the estimate where none are reported."""
    lane = Lane("acme", ConcurrencyLimit.of(4), tokens=RateWindow(2000))
    permit = lane.begin(REQUEST, 0)
    assert (lane.may_begin_at(REQUEST, 1) or 0) > 1
    lane.release(permit, input_tokens=5, output_tokens=20)
    assert lane.may_begin_at(REQUEST, 1) == 1
    for number in range(2):
        lane.release(lane.begin(REQUEST, number))
    assert lane._estimate.expect(REQUEST) < 100


@given(st.integers(2, 20), st.integers(1, 9000), st.integers(0, 9000))
def test_places_open_one_by_one_over_the_time_of_the_first_conversation(width: int, held_ns: int, at_ns: int) -> None:
    """The first conversation runs alone; the last slot opens after the same duration has passed again."""
    lane, end_ns = open_lane(width), at_ns + held_ns
    lane.enter_level(None, "auto", at_ns)
    permit = lane.begin(REQUEST, at_ns)
    assert (lane.may_begin_at(REQUEST, at_ns), lane.take_opening()) == (None, None)
    lane.release(permit)
    lane.end(end_ns, held_ns)
    opened = []
    for _ in range(width):
        begins_ns = lane.may_begin_at(REQUEST, end_ns)
        assert begins_ns is not None
        opened.append(begins_ns)
        lane.begin(REQUEST, begins_ns)
    assert lane.may_begin_at(REQUEST, end_ns) is None
    assert opened == [end_ns + held_ns * place // width for place in range(width)]
    assert lane.take_opening() == LevelOpening(width, at_ns, end_ns + held_ns, 1)
    assert lane.take_opening() is None


def test_a_later_level_takes_the_mean_of_the_level_before_it_alone() -> None:
    """A level that opens no slot needs no ramp, but its duration is measured."""
    lane, found = open_lane(9), []
    for width, held in ((1, (100,)), (4, (200, 400)), (2, (50, 70)), (3, ()), (8, ())):
        lane.enter_level(width, "auto", 0)
        opening = lane.take_opening()
        found.append(None if opening is None else (opening.width, opening.open_ns, opening.measured))
        for held_ns in held:
            lane.release(lane.begin(REQUEST, 0))
            lane.end(0, held_ns)
    assert found == [(1, 0, 0), (4, 100, 1), (2, 0, 0), (3, 60, 2), None]
