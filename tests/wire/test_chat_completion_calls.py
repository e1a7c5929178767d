"""Tool calls on the wire: complete in every server's form, and at any cuts."""

import json
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.events import CallPiece, Event
from runner.core.tool_call import ToolCall
from runner.wire.decoders.chat_completions import ChatCompletionsDecoder
from tests.support.tool_call_streams import (
    Chunks,
    Entry,
    cumulative,
    entry,
    events_of,
    item_events,
    item_of,
    one_by_one,
    read_calls,
    split_units,
    stream_of,
)

NAMES = st.sampled_from(["add", "get_weather", "now", "查"])
VALUES = st.recursive(
    st.none() | st.integers(0, 99) | st.text('ab{}[]:," 你\\🌈', max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(st.text("abc", min_size=1, max_size=3), VALUES, max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
CALLS = st.lists(st.builds(ToolCall, NAMES, ARGUMENTS), min_size=1, max_size=3).map(
    lambda calls: [ToolCall(call.name, call.arguments, f"call_{place}") for place, call in enumerate(calls)]
)
CUTS = st.lists(st.integers(0, 40), max_size=3)


def indexed(place: int, call: ToolCall, pieces: Sequence[str]) -> list[Entry]:
    """Give each piece an index, and the first one id and name, as OpenAI documents it."""
    return [entry(call.name, "", index=place, id=call.id), *(entry(None, piece, index=place) for piece in pieces)]


def name_resent(place: int, call: ToolCall, pieces: Sequence[str]) -> list[Entry]:
    """Repeat the id and the name with each piece."""
    return [entry(call.name, piece, index=place, id=call.id) for piece in pieces or [""]]


def by_id(_: int, call: ToolCall, pieces: Sequence[str]) -> list[Entry]:
    """Return pieces without an index, each with the id."""
    return [entry(call.name, "", id=call.id), *(entry(None, piece, id=call.id) for piece in pieces)]


def index_0(_: int, call: ToolCall, pieces: Sequence[str]) -> list[Entry]:
    """Return pieces of index 0 for every call, the first one with the id."""
    return [entry(call.name, "", index=0, id=call.id), *(entry(None, piece, index=0) for piece in pieces)]


def unnumbered(_: int, call: ToolCall, pieces: Sequence[str]) -> list[Entry]:
    """Return pieces without an index, the first one with the id."""
    return [entry(call.name, "", id=call.id), *(entry(None, piece) for piece in pieces)]


Style = Callable[[int, ToolCall, Sequence[str]], list[Entry]]
ANY_ORDER: list[Style] = [indexed, name_resent, cumulative, by_id]
IN_SUCCESSION: list[Style] = [index_0, unnumbered]
"""Ways in which nothing but the order says to which call a piece belongs."""


def alternating(queues: list[list[Entry]]) -> Chunks:
    """Return the pieces of all calls in turn."""
    return [[each] for turn in zip_longest(*queues) for each in turn if each is not None]


def at_once(queues: list[list[Entry]]) -> Chunks:
    """Return chunks with a piece of every call, the last call first."""
    return [[each for each in reversed(turn) if each is not None] for turn in zip_longest(*queues)]


Order = Callable[[list[list[Entry]]], Chunks]
ORDERS: st.SearchStrategy[Order] = st.sampled_from([one_by_one, alternating])


READS = st.lists(st.integers(0, 4000), max_size=6)


@given(st.data(), CALLS, st.sampled_from(ANY_ORDER), st.sampled_from([one_by_one, alternating, at_once]), READS)
@settings(deadline=None)
def test_calls_with_indexes_or_ids_are_complete_in_any_order(
    data: st.DataObject, calls: list[ToolCall], style: Style, order: Order, reads: Any
) -> None:
    """Pieces of several calls come one by one, alternating, or in one chunk, in the forms of several servers."""
    queues = [style(place, call, cut(call, data)) for place, call in enumerate(calls)]
    assert read_calls(stream_of(order(queues)), reads) == calls


@given(st.data(), CALLS, st.sampled_from(IN_SUCCESSION), READS)
@settings(deadline=None)
def test_calls_without_indexes_and_ids_are_complete_in_succession(
    data: st.DataObject, calls: list[ToolCall], style: Style, reads: Any
) -> None:
    """All calls have the same index, or none."""
    queues = [style(place, call, cut(call, data)) for place, call in enumerate(calls)]
    assert read_calls(stream_of(one_by_one(queues)), reads) == calls


@given(CALLS, st.sampled_from([True, False]), READS)
@settings(deadline=None)
def test_arguments_that_are_an_object_become_json(calls: list[ToolCall], in_one_chunk: object, reads: Any) -> None:
    """An object becomes its compact JSON; an empty one means no arguments yet."""
    entries = [entry(call.name, json.loads(call.arguments), id=call.id) for call in calls]
    found = read_calls(stream_of([entries] if in_one_chunk else [[each] for each in entries]), reads)
    assert [(call.name, json.loads(call.arguments or "{}"), call.id) for call in found] == [
        (call.name, json.loads(call.arguments), call.id) for call in calls
    ]


def cut(call: ToolCall, data: st.DataObject) -> list[str]:
    """Return a call's arguments in pieces, each not empty."""
    return [piece.decode("utf-16-le", "surrogatepass") for piece in split_units(call.arguments, data.draw(CUTS))]


@given(st.data(), CALLS, ORDERS, READS)
@settings(deadline=None)
def test_calls_of_the_messages_dialect_are_complete(
    data: st.DataObject, calls: list[ToolCall], order: Order, reads: Any
) -> None:
    """Blocks come one after another, or with their deltas in turn."""
    queues = [
        [
            {"type": "content_block_start", "index": place, "content_block": block_of(call)},
            *(block_delta(place, piece) for piece in cut(call, data)),
            {"type": "content_block_stop", "index": place},
        ]
        for place, call in enumerate(calls)
    ]
    ending = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
    assert read_calls(events_of([*joined(order(queues)), ending]), reads, "messages") == calls


def block_of(call: ToolCall) -> Entry:
    """Return the beginning of a block that calls a tool."""
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}


def block_delta(place: int, piece: str) -> Entry:
    """Return a piece of a block's input."""
    return {
        "type": "content_block_delta",
        "index": place,
        "delta": {"type": "input_json_delta", "partial_json": piece},
    }


@given(st.data(), CALLS, ORDERS, st.sets(st.sampled_from(["delta", "done", "item", "output"]), min_size=1), READS)
@settings(deadline=None)
def test_calls_of_the_responses_dialect_are_complete(
    data: st.DataObject, calls: list[ToolCall], order: Order, sent: set[str], reads: Any
) -> None:
    """Items come one after another or in turn, with arguments in deltas, at one end or at several."""
    queues = [item_events(place, call, cut(call, data), sent) for place, call in enumerate(calls)]
    output = [item_of(call) for call in calls] if "output" in sent else []
    ending = {"type": "response.completed", "response": {"status": "completed", "output": output}}
    assert read_calls(events_of([*joined(order(queues)), ending]), reads, "responses") == calls


def joined(chunks: Chunks) -> list[Entry]:
    """Return the events of all chunks."""
    return [each for chunk in chunks for each in chunk]


def chat_events(*entries: Entry) -> list[Event]:
    """Return the events of chunks with one entry each."""
    decoder = ChatCompletionsDecoder(200)
    chunks = ({"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]} for each in entries)
    return [event for at_ns, chunk in enumerate(chunks) for event in decoder.decode(chunk, at_ns)]


def test_each_piece_is_one_event() -> None:
    """Several events of a read would count as pieces that share a timestamp."""
    events = chat_events(entry("add", '{"a"', index=0, id="c1"), entry(None, ": 1}", index=0))
    assert events == [
        CallPiece(0, events[0].call, "add", '{"a"', "c1"),  # type: ignore[union-attr]
        CallPiece(1, events[0].call, "", ": 1}"),  # type: ignore[union-attr]
    ]


@pytest.mark.parametrize("text", ["{", "{{ x }}", "{ x }"])
def test_free_text_of_a_custom_tool_is_never_cumulative(text: str) -> None:
    """Pieces of free text may repeat each other: only JSON cannot have the same beginning twice."""
    pieces = [{"index": 0, "id": "c1", "custom": {"name": "run", "input": ""}}]
    pieces += [{"index": 0, "custom": {"input": each}} for each in ("{", text)]
    said = "".join(event.arguments for event in chat_events(*pieces) if isinstance(event, CallPiece))
    assert said == "{" + text
