"""Streams with tool calls, in the ways in which servers cut and number them."""

import json
from collections.abc import Iterable, Mapping, Sequence

from runner.core.events import CallPiece, Channel
from runner.core.suite import Api
from runner.core.tool_call import ToolCall
from runner.wire.decoders.responses_calls import CALL_STREAMS
from runner.wire.dialects import DIALECTS
from tests.support.wire_samples import decode, fold_of, sample_of, split

Entry = dict[str, object]


Chunks = list[list[Entry]]
"""The entries of tool calls in each chunk of a stream."""


def entry(name: str | None, arguments: object, **more: object) -> Entry:
    """Return one entry of a delta's tool calls."""
    return {**more, "function": {"name": name, "arguments": arguments}}


def cumulative(place: int, call: ToolCall, pieces: Sequence[str]) -> list[Entry]:
    """Return pieces that each have the name and all arguments so far."""
    so_far = ["".join(pieces[: end + 1]) for end in range(len(pieces))]
    return [entry(call.name, text, index=place, id=call.id) for text in so_far or [""]]


def one_by_one(queues: list[list[Entry]]) -> Chunks:
    """Return chunks of one piece, each call complete before the next."""
    return [[each] for queue in queues for each in queue]


def stream_of(chunks: Chunks) -> bytes:
    """Return a stream of chat completions with tool calls."""
    deltas: Iterable[Mapping[str, object]] = ({"tool_calls": entries} for entries in chunks)
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def read_calls(body: bytes, cuts: Sequence[int], api: Api = "chat_completions") -> list[ToolCall]:
    """Return the calls of a stream, in the order of their ids, read at any cuts; their text is in one event each."""
    sample, decoder = sample_of(body), DIALECTS[api].decoder
    events = decode(sample, split(body, cuts), None, decoder)
    assert events == decode(sample, [body], None, decoder)
    fold = fold_of(sample, events)
    pieces = [event for event in events if isinstance(event, CallPiece)]
    assert all(piece.text.text for piece in pieces)
    assert (fold.text(Channel.TOOL) or "") == "".join(call.name + call.arguments for call in fold.calls.values)
    return sorted(fold.calls.values, key=lambda call: call.id or "")


def split_units(text: str, cuts: Sequence[int]) -> list[bytes]:
    """Return a text in pieces of UTF-16 units, so that characters are cut in halves, too."""
    units = text.encode("utf-16-le")
    return [piece for piece in split(units, [2 * (place % (len(units) // 2 + 1)) for place in cuts]) if piece]


def item_events(place: int, call: ToolCall, pieces: Sequence[str], sent: set[str]) -> list[Entry]:
    """Return the events of a function call."""
    here = {"item_id": f"fc_{call.id}", "output_index": place}
    stem = f"response.{next(iter(CALL_STREAMS))}"
    begun = {"type": "response.output_item.added", "output_index": place, "item": {**item_of(call), "arguments": ""}}
    deltas = [{"type": f"{stem}.delta", **here, "delta": piece} for piece in pieces] if "delta" in sent else []
    done = [{"type": f"{stem}.done", **here, "arguments": call.arguments}] if "done" in sent else []
    ended = {"type": "response.output_item.done", "output_index": place, "item": item_of(call)}
    return [begun, *deltas, *done, *([ended] if "item" in sent else [])]


def events_of(events: Sequence[Mapping[str, object]]) -> bytes:
    """Return an event stream."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def item_of(call: ToolCall) -> Entry:
    """Return a function call as an item of the output."""
    item_id = f"fc_{call.id}"
    return {"type": "function_call", "id": item_id, "call_id": call.id, "name": call.name, "arguments": call.arguments}
