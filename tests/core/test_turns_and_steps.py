"""The numbers of turns and steps, and which calls get results."""

from hypothesis import given
from hypothesis import strategies as st

from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import MAX_STEPS_REACHED, NO_TOOL_RESULT, Steps, distinct_calls, results_prompt

STEPS = st.builds(Steps, st.integers(1, 6), st.integers(1, 6), st.sets(st.sampled_from("abc")))
CALLS = st.lists(st.builds(ToolCall, st.sampled_from("abcd"), st.just("{}"), st.none() | st.sampled_from("xy")))


@given(STEPS)
def test_turns_and_steps_are_numbered_without_gaps(steps: Steps) -> None:
    """Every number belongs to one turn and step."""
    places = [steps.turn_and_step(turn) for turn in range(1, steps.most + 1)]
    assert places == [(turn + 1, step + 1) for turn in range(steps.turns) for step in range(steps.max_steps)]


@given(STEPS, st.data())
def test_a_conversation_has_at_most_max_steps_for_each_turn(steps: Steps, data: st.DataObject) -> None:
    """Numbers ascend, a step follows only calls that have results, and each turn has its prompt."""
    turns, turn = list[int](), 1
    while turn <= steps.most:
        turns.append(turn)
        calls = data.draw(CALLS)
        following = steps.next_turn(turn, calls)
        assert steps.is_last(turn, calls) == (following > steps.most)
        assert steps.turn_and_step(following)[1] == 1 or {each.name for each in calls} <= {*steps.answered}
        turn = following
    assert turns == sorted(set(turns))
    assert {steps.turn_and_step(each)[0] for each in turns} == set(range(1, steps.turns + 1))


@given(st.integers(1, 6), CALLS)
def test_without_results_every_turn_is_one_of_the_user(turns: int, calls: list[ToolCall]) -> None:
    """Conversations without results of tools keep their numbers, for any calls of the model."""
    steps = Steps(turns)
    assert [steps.next_turn(turn, calls) for turn in range(1, turns + 1)] == list(range(2, turns + 2))
    assert all(steps.unanswered_flag(turn, calls) is None for turn in range(1, turns + 1))


def test_the_reason_why_calls_have_no_results() -> None:
    """A missing result takes precedence over the limit of steps; text and answered calls have no reason."""
    steps = Steps(1, 2, {"a"})
    known, unknown = ToolCall("a", "{}"), ToolCall("b", "{}")
    assert steps.unanswered_flag(1, [known]) is None
    assert steps.unanswered_flag(1, [known, unknown]) == NO_TOOL_RESULT
    assert steps.unanswered_flag(2, [known]) == MAX_STEPS_REACHED
    assert steps.unanswered_flag(2, []) is None


@given(CALLS, st.integers(1, 99))
def test_ids_of_calls_are_kept_if_distinct_and_else_generated(calls: list[ToolCall], turn: int) -> None:
    """Generated ids have a form that every provider accepts."""
    named = distinct_calls(calls, f"call{turn:02}")
    ids = [each.id for each in named]
    assert len(set(ids)) == len(ids)
    assert [(each.name, each.arguments) for each in named] == [(each.name, each.arguments) for each in calls]
    own = [each.id for each in calls]
    assert ids == own or all(id_ and len(id_) == 9 and id_.isalnum() for id_ in ids)
    assert ids == own or None in own or len(set(own)) < len(own)


def test_results_of_tools_are_written_as_a_prompt() -> None:
    """The prompt has a line for each result."""
    results = [("get_weather", "18 degrees"), ("get_time", "3")]
    assert results_prompt(results) == "[get_weather] 18 degrees\n[get_time] 3"
