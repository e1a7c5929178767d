"""The simulator's Responses dialect over a real connection: streams, whole responses, summaries, refusals, faults."""

import json
from itertools import pairwise
from typing import Any

import pytest

from runner.core.events import Channel, Outcome
from runner.core.record_from_events import Fold
from runner.simulator.faults import FAULTS
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.decoders.responses import ResponsesDecoder
from tests.support.fold_events import fold_events
from tests.support.simulator_requests import HttpResponse, chat_body, deltas, http, post, send

MODEL = "sim/exact?ttft_ms=1&gap_ms=1&tokens=4&thinking=17"


def ask(base_url: str, *, model: str = MODEL, **fields: object) -> HttpResponse:
    """Send one request in the Responses dialect."""
    body = json.dumps({"model": model, "input": "Hello?", **fields}).encode()
    return send(base_url, http("POST", "/v1/responses", body, "connection: close"))


def fold_of(reply: HttpResponse) -> Fold:
    """Return what the client's decoder makes of a reply."""
    decoder = ResponseDecoder(reply.status, reply.headers, dialect=ResponsesDecoder)
    return fold_events(*decoder.feed(1, reply.body), *decoder.close(2))


def observe(fold: Fold) -> tuple[object, ...]:
    """Return the content of a reply, streamed or not."""
    counts = fold.usage and (fold.usage.input_tokens, fold.usage.output_tokens, fold.usage.reasoning_tokens)
    return fold.outcome(), tuple(fold.text(channel) for channel in Channel), fold.finish_reason, counts


def test_stream_begins_and_ends_each_item_and_timestamps_each_chunk(base_url: str) -> None:
    """The events come in the published order, and every piece of text has a timestamp of its own write."""
    events = ask(base_url, stream=True).events
    kinds = [str(event["type"]).removeprefix("response.") for event in events]
    assert kinds == [
        *("created", "in_progress"),
        *("output_item.added", *["reasoning_text.delta"] * 17, "reasoning_text.done", "output_item.done"),
        *("output_item.added", *["output_text.delta"] * 4, "output_text.done", "output_item.done"),
        "completed",
    ]
    timestamps = [timestamp for event in events if isinstance(timestamp := event.get("sent_ns"), int)]
    assert len(timestamps) == 1 + 17 + 4 + 2
    assert all(before <= after for before, after in pairwise(timestamps))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"max_output_tokens": 19},
        {"max_output_tokens": 2},
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"effort": "high", "summary": "auto"}},
    ],
)
def test_stream_and_whole_response_say_the_same(base_url: str, fields: dict[str, Any]) -> None:
    """Text, reasoning, counts and the reason of the end do not depend on streaming."""
    streamed, whole = fold_of(ask(base_url, stream=True, **fields)), fold_of(ask(base_url, **fields))
    assert observe(streamed) == observe(whole)
    assert {*whole.notes} == {"not_streamed", *streamed.notes}
    assert streamed.outcome() is (Outcome.LENGTH if "max_output_tokens" in fields else Outcome.OK)


def test_a_summary_has_fewer_words_than_were_thought_and_takes_as_long(base_url: str) -> None:
    """Token counts are those of the whole reasoning, of which every eighth chunk is sent."""
    fold = fold_of(ask(base_url, stream=True, reasoning={"summary": "auto"}))
    assert fold.text(Channel.REASONING) == " one nine seven"
    assert fold.usage is not None
    assert fold.usage.reasoning_tokens == 17
    assert fold.notes == ("reasoning_summary",)


def test_all_dialects_give_the_same_reply_to_a_conversation(base_url: str) -> None:
    """The system message may be one of the messages or the instructions."""
    turns = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello, Ada."}]
    turns.append({"role": "user", "content": "What is my name?"})
    system = {"role": "system", "content": "Be brief."}
    chat = send(base_url, post(chat_body("sim/thinker", stream=True, messages=[system, *turns]), "connection: close"))
    for told in ({"input": [system, *turns]}, {"input": turns, "instructions": "Be brief."}):
        fold = fold_of(ask(base_url, model="sim/thinker", stream=True, **told))
        assert fold.text(Channel.ANSWER) == "".join(deltas(chat, "content"))
        assert fold.text(Channel.REASONING) == "".join(deltas(chat, "reasoning_content"))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input": []}, "input"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": 3}]}, "input[0].content"),
        ({"instructions": 3}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "most"}}, "reasoning.effort"),
        ({"reasoning": {"summary": True}}, "reasoning.summary"),
        *(({name: 1}, name) for name in ("messages", "max_tokens", "seed", "stop", "stream_options")),
    ],
)
def test_wrong_request_is_refused(base_url: str, fields: dict[str, Any], named: str) -> None:
    """The error names what is wrong; parameters of chat completions are unknown here."""
    reply = ask(base_url, **fields)
    assert reply.status == 400
    assert f"'{named}'" in json.loads(reply.body)["error"]["message"]


EXPECTED = {
    "unauthorized": Outcome.AUTH,
    "unknown-model": Outcome.NOT_FOUND,
    "rate-limited": Outcome.RATE_LIMITED,
    "no-balance": Outcome.AUTH,
    "server-error": Outcome.PROVIDER_ERROR,
    "error-with-200": Outcome.PROVIDER_ERROR,
    "not-streamed": Outcome.OK,
    "burst": Outcome.OK,
    "cut-clean": Outcome.TRUNCATED,
    "no-done": Outcome.TRUNCATED,
    "no-usage": Outcome.OK,
    "filtered": Outcome.FILTERED,
    "error-first": Outcome.PROVIDER_ERROR,
    "error-middle": Outcome.PROVIDER_ERROR,
    "broken-json": Outcome.BAD_STREAM,
    "invalid-utf8": Outcome.OK,
    "odd-framing": Outcome.OK,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_faults_are_those_of_the_other_dialects(base_url: str, name: str) -> None:
    """The faults of the simulator appear in this dialect's own shape."""
    assert name in FAULTS
    fold = fold_of(ask(base_url, model=f"sim/fault-{name}?ttft_ms=1&gap_ms=1&tokens=8", stream=True))
    assert fold.outcome() is EXPECTED[name]
    if name == "invalid-utf8":
        assert fold.notes == ("invalid_utf8", "message_differs"), "the last event has the text whole"
        assert "�" in str(fold.text(Channel.ANSWER))
    if name == "filtered":
        assert fold.text(Channel.ANSWER) == " one two three"
    if name == "no-usage":
        assert fold.usage is None
