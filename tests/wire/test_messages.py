"""The Messages dialect: values of any shape, its fast path compared with the full one, and its requests."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.events import Channel, EmptyChunk, Event, Failed, Outcome, SignedThinking, Text
from runner.core.suite import Timeouts
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client
from runner.wire.decoders.messages import MessagesDecoder
from tests.support.arbitrary_json import FRAMES, JSON, check_types
from tests.support.client_requests import KEY, QUESTION, endpoint_at
from tests.support.scripted_server import ScriptedReply, serve
from tests.support.wire_samples import Sample, decode, fold_of, load_sample, sample_of

HELLO = Path(__file__).parents[1] / "samples" / "messages" / "01-text"
"""The sample of an ordinary stream."""


def events_of(sample: Sample, reads: Iterable[bytes], ended_by: Failed | None = None) -> list[Event]:
    """Return the events of a sample in the given reads."""
    return decode(sample, reads, ended_by, MessagesDecoder)


KINDS = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"),
    *("message_stop", "message", "ping", "error", "text", "thinking", "redacted_thinking", "tool_use", "text_delta"),
    *("thinking_delta", "signature_delta", "input_json_delta", "server_tool_use", "other"),
)
NAMED = st.sampled_from(KINDS)
PART_NAMES = (
    *("text", "thinking", "partial_json", "signature", "data", "name", "input", "stop_reason", "usage", "model"),
    *("content", "id", "input_tokens", "output_tokens", "cache_read_input_tokens", "output_tokens_details"),
)
PARTS = st.fixed_dictionaries({}, optional={"type": NAMED | JSON, **dict.fromkeys(PART_NAMES, JSON | st.text())})
EVENT_NAMES = ("message", "content_block", "delta", "usage", "error")
EVENTS = st.fixed_dictionaries(
    {"type": NAMED | JSON},
    optional={
        **dict.fromkeys(EVENT_NAMES, PARTS | JSON),
        **dict.fromkeys(("index", "sent_ns", "stop_reason", "model"), JSON),
        "content": st.lists(PARTS | JSON, max_size=3) | JSON,
    },
)


@given(st.lists(EVENTS | JSON, max_size=6), FRAMES)
@settings(deadline=None)
def test_arbitrary_json_under_known_names_raises_nothing(values: list[object], frame: bytes) -> None:
    """Values of any shape are accepted, and no event holds a value of the wrong type."""
    body = b"".join(frame % json.dumps(value).encode() for value in values)
    check_types(events_of(sample_of(body), [body]))


DELTAS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "thinking_delta", "input_json_delta"])},
    optional={
        "text": st.sampled_from(["", "a", "<think>", "你", None]),
        "thinking": st.sampled_from(["", "b", None]),
        "signature": st.just("s"),
        "x": st.just(1),
    },
)
PIECES = st.fixed_dictionaries(
    {"type": st.sampled_from(["content_block_delta", "content_block_start"]), "delta": DELTAS},
    optional={
        "index": st.sampled_from([0, 1, None, "0"]),
        "sent_ns": st.sampled_from([5, -5, 2**63, None, True]),
        "usage": st.just({"output_tokens": 5}),
        "error": st.sampled_from([None, "no"]),
    },
)


@given(PIECES)
def test_plain_event_decodes_to_the_same_text_as_any_event(piece: dict[str, object]) -> None:
    """Wherever `decode_plain` returns text, `decode` returns the same and there is no error."""
    plain = MessagesDecoder(200).decode_plain([json.dumps(piece).encode()], [1])
    decoder = MessagesDecoder(200)
    assert not plain or (decoder.decode(piece, 1), decoder.find_error(piece)) == (plain, None)


def test_ordinary_event_is_plain_once_text_has_come() -> None:
    """A token's event is decoded by `decode_plain`, except where a think tag may begin."""
    piece = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}'
    decoder = MessagesDecoder(200)
    assert decoder.decode_plain([piece % b"Hello"], [1]) == []  # a tag may still begin
    decoder.decode(json.loads(piece % b"Hello"), 1)
    assert decoder.settled
    assert decoder.decode_plain([piece % b" you"], [2]) == [Text(2, Channel.ANSWER, " you")]
    assert decoder.decode_plain([piece % b""], [2]) == []


def test_ordinary_thinking_is_plain_within_a_block_that_has_begun() -> None:
    """A piece of thinking is decoded by `decode_plain`, and is sent back with the others."""
    begun = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    piece = b'{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"%s"}}'
    signature = {"type": "signature_delta", "signature": "EqQB"}
    decoder = MessagesDecoder(200)
    assert decoder.decode_plain([piece % b"27 ="], [1]) == []
    decoder.decode(begun, 1)
    assert decoder.decode(json.loads(piece % b"27 ="), 2) == [Text(2, Channel.REASONING, "27 =")]
    assert decoder.decode_plain([piece % b" 3 x 9"], [3]) == [Text(3, Channel.REASONING, " 3 x 9")]
    decoder.decode({"type": "content_block_delta", "index": 0, "delta": signature}, 4)
    block = {"type": "thinking", "thinking": "27 = 3 x 9", "signature": "EqQB"}
    assert decoder.decode({"type": "content_block_stop", "index": 0}, 5) == [SignedThinking(5, block), EmptyChunk(5)]


def test_text_carries_the_senders_clock_and_the_model_is_noted() -> None:
    """`sent_ns` beside an event is the sender's own timestamp."""
    decoder = MessagesDecoder(200)
    piece = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "a"}}
    assert decoder.decode({**piece, "sent_ns": 5}, 1) == [Text(1, Channel.REASONING, "a", 5)]
    assert decoder.decode({**piece, "sent_ns": True}, 2) == [Text(2, Channel.REASONING, "a")]


CUT = Failed(9, Outcome.CONNECTION, "reset")


def test_cut_before_and_behind_the_stop_reason() -> None:
    """After the stop_reason a broken connection does not matter; before it, it is the failure."""
    body = load_sample(HELLO).body
    before, behind = body.partition(b"event: message_delta")[0], body.partition(b"event: message_stop")[0]
    for part, outcome, notes in ((before, Outcome.CONNECTION, ()), (behind, Outcome.OK, ("cut_after_finish",))):
        fold = fold_of(sample_of(part), events_of(sample_of(part), [part], CUT))
        assert (fold.outcome(), fold.text(Channel.ANSWER), fold.notes) == (outcome, "Hello", notes)


# Over a connection


async def ask(reply: ScriptedReply, **row: Any) -> tuple[Attempt, Any]:
    """Send one request to a server that plays a reply; return the attempt, and the request as it arrived."""
    attempt = Attempt()
    with serve(reply) as server, anyio.fail_after(15):
        client = Client(endpoint_at(server.url, **row))
        parameters: Mapping[str, object] = {"max_tokens": 5, "stream": True}
        request = AttemptRequest("m-1", QUESTION, parameters, Timeouts(first_token=1), api="messages")
        await client.ask(request, attempt)
        await client.aclose()
    return attempt, server.requests[0]


@pytest.mark.anyio
async def test_request_has_the_headers_and_the_body_of_the_dialect() -> None:
    """The key is in x-api-key alone, beside the version; a row may name another header for it, and another version."""
    reply = ScriptedReply([(0, (HELLO / "response.http").read_bytes())], "close")
    _, asked = await ask(reply)
    assert (asked.method, asked.target) == ("POST", "/v1/messages")
    assert (asked.headers["x-api-key"], asked.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert asked.raw.count(KEY.encode()) == 1
    assert "authorization" not in asked.headers
    assert asked.json == {"model": "m-1", "max_tokens": 5, "stream": True, "messages": [*QUESTION]}
    _, asked = await ask(reply, auth="bearer", headers={"Anthropic-Version": "2024-01-01"})
    assert (asked.headers["authorization"], "x-api-key" in asked.headers) == (f"Bearer {KEY}", False)
    assert asked.headers["anthropic-version"] == "2024-01-01"


@pytest.mark.anyio
async def test_reading_ends_at_message_stop() -> None:
    """A body that stays open does not delay the attempt."""
    response = (HELLO / "response.http").read_bytes()
    with anyio.fail_after(5):
        attempt, _ = await ask(ScriptedReply([(0, response)], "close", linger_s=10))
    assert attempt.fold.outcome() is Outcome.OK
