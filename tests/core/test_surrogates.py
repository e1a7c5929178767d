"""Characters cut into surrogate halves: what remains of a whole text after a received part, for any cuts."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from runner.core.surrogates import repair_surrogates, rest_of
from runner.core.tool_call import ToolCall
from tests.support.tool_call_streams import (
    cumulative,
    entry,
    events_of,
    item_events,
    one_by_one,
    read_calls,
    split_units,
    stream_of,
)

TEXTS = st.text("a你\\🌈👩", max_size=12)
CUTS = st.lists(st.integers(0, 30), max_size=5)
CALL = ToolCall("add", '{"a": "x🌈y"}', "call_0")
WITH_HALF, REST = '{"a": "x\ud83c', '\udf08y"}'


@given(TEXTS, CUTS, st.integers(0, 6))
def test_what_was_received_and_the_rest_are_the_whole_text(text: str, cuts: Sequence[int], arrived: int) -> None:
    """Two halves are two characters of a Python text, and one of the whole text."""
    pieces = [piece.decode("utf-16-le", "surrogatepass") for piece in split_units(text, cuts)]
    received = "".join(pieces[:arrived])
    rest = rest_of(text, received)
    assert rest is not None
    assert repair_surrogates(received + rest) == (text, False)


@given(TEXTS, TEXTS)
def test_a_text_that_does_not_begin_with_the_received_one_has_no_rest(whole: str, received: str) -> None:
    """Without halves it is a plain prefix test."""
    expected = whole.removeprefix(received) if whole.startswith(received) else None
    assert rest_of(whole, received) == expected


def test_a_lone_half_may_be_replaced_in_the_whole_text() -> None:
    """A server may clean its last event but not the earlier ones."""
    assert rest_of("a\ufffdbc", "a\ud83cb") == "c"


def test_cumulative_arguments_cut_within_a_character_are_complete() -> None:
    """The first piece ends with half of a character, and the second repeats it as a whole character."""
    assert read_calls(stream_of(one_by_one([cumulative(0, CALL, [WITH_HALF, REST])])), []) == [CALL]


def test_whole_arguments_after_a_delta_that_ends_in_a_character_add_the_rest() -> None:
    """The Responses dialect repeats all arguments at the end; deltas may have stopped before."""
    begun, delta, _, done = item_events(0, CALL, [WITH_HALF, REST], {"delta", "done"})[:4]
    ending = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    assert read_calls(events_of([begun, delta, done, ending]), [], "responses") == [CALL]


def test_a_repeated_call_that_is_cut_in_a_character_is_one_call() -> None:
    """Its arguments arrive in two pieces, then once more as a whole with the name."""
    pieces = [entry("add", WITH_HALF, index=0, id="call_0"), entry(None, REST, index=0), entry("add", CALL.arguments)]
    assert read_calls(stream_of([[{**each, "index": 0}] for each in pieces]), []) == [CALL]
