"""The simulator's Messages dialect over a real connection: streams, whole messages, refusals, faults."""

import json
from itertools import pairwise
from typing import Any

import pytest

from runner.core.events import Channel, Outcome
from runner.core.record_from_events import Fold
from runner.simulator.faults import FAULTS
from runner.wire.decoders.messages import MessagesDecoder
from runner.wire.decoders.response_decoder import ResponseDecoder
from tests.support.fold_events import fold_events
from tests.support.simulator_requests import HttpResponse, chat_body, deltas, http, post, send

MODEL = "sim/exact?ttft_ms=1&gap_ms=1&tokens=4&thinking=3"
THINKING = {"type": "thinking", "thinking": " one two three"}


def ask(base_url: str, *headers: str, model: str = MODEL, **fields: object) -> HttpResponse:
    """Send one request in the Messages dialect; a field that is None is left out."""
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello?"}], **fields}
    sent = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
    headers = headers or ("anthropic-version: 2023-06-01",)
    return send(base_url, http("POST", "/v1/messages", sent, *headers, "connection: close"))


def fold_of(reply: HttpResponse) -> Fold:
    """Return what the client's decoder makes of a reply."""
    decoder = ResponseDecoder(reply.status, reply.headers, dialect=MessagesDecoder)
    return fold_events(*decoder.feed(1, reply.body), *decoder.close(2))


def observe(fold: Fold) -> tuple[object, ...]:
    """Return the content of a reply, streamed or not."""
    counts = fold.usage and (fold.usage.input_tokens, fold.usage.output_tokens, fold.usage.reasoning_tokens)
    texts = tuple(fold.text(channel) for channel in Channel)
    return fold.outcome(), texts, fold.finish_reason, counts, fold.signed_thinking


def test_stream_begins_and_ends_each_block_and_timestamps_each_chunk(base_url: str) -> None:
    """The events come in the published order, and every piece of text has a timestamp of its own write."""
    events = ask(base_url, stream=True).events
    kinds = [str(event["type"]) for event in events]
    assert kinds == [
        "message_start",
        *("content_block_start", *["content_block_delta"] * 4, "content_block_stop"),  # the last is the signature
        *("content_block_start", *["content_block_delta"] * 4, "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    timestamps = [timestamp for event in events if isinstance(timestamp := event.get("sent_ns"), int)]
    assert len(timestamps) == 3 + 4 + 3
    assert all(before <= after for before, after in pairwise(timestamps))


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 5}, {"max_tokens": 2}, {"thinking": {"type": "disabled"}}])
def test_stream_and_whole_message_say_the_same(base_url: str, fields: dict[str, Any]) -> None:
    """Text, reasoning, signature, counts and stop_reason do not depend on streaming."""
    streamed = fold_of(ask(base_url, stream=True, **fields))
    whole = fold_of(ask(base_url, **fields))
    assert observe(streamed) == observe(whole)
    assert (streamed.notes, whole.notes) == ((), ("not_streamed",))
    assert streamed.outcome() is (Outcome.LENGTH if "max_tokens" in fields else Outcome.OK)


def test_both_dialects_give_the_same_reply_to_a_conversation(base_url: str) -> None:
    """A persona's words depend on the messages alone; here the system message stands beside them."""
    turns = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello, Ada."}]
    turns.append({"role": "user", "content": "What is my name?"})
    system = {"role": "system", "content": "Be brief."}
    chat = send(base_url, post(chat_body("sim/thinker", stream=True, messages=[system, *turns]), "connection: close"))
    fold = fold_of(ask(base_url, model="sim/thinker", stream=True, messages=turns, system="Be brief.", max_tokens=999))
    assert fold.text(Channel.ANSWER) == "".join(deltas(chat, "content"))
    assert fold.text(Channel.REASONING) == "".join(deltas(chat, "reasoning_content"))


def test_thinking_is_taken_back_with_its_own_signature_only(base_url: str) -> None:
    """A signature of other thinking is refused, as by the vendor."""
    first = fold_of(ask(base_url, stream=True))
    (block,) = first.signed_thinking
    text = {"type": "text", "text": "one"}

    def answer_to(*blocks: object) -> int:
        turns: list[dict[str, Any]] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [*blocks]}]
        return ask(base_url, messages=[*turns, {"role": "user", "content": "b"}]).status

    assert block["thinking"] == " one two three"
    assert [answer_to(block, text), answer_to({**block, "thinking": "other"}, text), answer_to(text)] == [200, 400, 200]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "messages[0].content"),
        ({"system": 3}, "system"),
        ({"stop_sequences": 3}, "stop_sequences"),
        ({"thinking": {"type": "on"}}, "thinking"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.budget_tokens"),
    ],
)
def test_wrong_request_is_refused_in_this_dialect(base_url: str, fields: dict[str, Any], named: str) -> None:
    """The error has the dialect's shape and names what is wrong."""
    reply = ask(base_url, **fields)
    assert (reply.status, json.loads(reply.body)["type"]) == (400, "error")
    assert (reply.error["type"], named in str(reply.error["message"])) == ("invalid_request_error", True)


def test_request_without_the_version_is_refused(base_url: str) -> None:
    """The vendor requires the header."""
    assert "anthropic-version" in str(ask(base_url, "x: y").error["message"])


def test_unknown_model_is_not_found(base_url: str) -> None:
    """A refusal before any persona answers has the dialect's shape, too."""
    reply = ask(base_url, model="sim/nobody")
    assert (reply.status, reply.error["type"]) == (404, "not_found_error")


def test_stop_sequences_end_the_answer(base_url: str) -> None:
    """An answer ends before a stop sequence."""
    fold = fold_of(ask(base_url, model="sim/quick", stream=True, stop_sequences=["you"], max_tokens=999))
    assert "you" not in (fold.text(Channel.ANSWER) or "")
    assert fold.outcome() is Outcome.OK


OUTCOMES = {
    "unauthorized": ("auth", "key"),
    "unknown-model": ("not_found", "model"),
    "rate-limited": ("rate_limited", "rate"),
    "no-balance": ("auth", "balance"),
    "server-error": ("provider_error", "server"),
    "error-with-200": ("provider_error", "server"),
    "not-streamed": ("ok", None),
    "cut-clean": ("truncated", None),
    "no-done": ("ok", None),
    "no-usage": ("ok", None),
    "filtered": ("filtered", None),
    "error-first": ("provider_error", "server"),
    "error-middle": ("provider_error", "server"),
    "broken-json": ("bad_stream", "broken_json"),
    "invalid-utf8": ("ok", None),
    "odd-framing": ("ok", None),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_fault_has_the_same_outcome_as_in_chat_completions(base_url: str, name: str) -> None:
    """Each fault of the stream or the status is written in this dialect."""
    assert name in FAULTS
    fold = fold_of(ask(base_url, model=f"sim/fault-{name}?ttft_ms=1&gap_ms=1&tokens=12", stream=True))
    assert (fold.outcome().value, fold.failed and fold.failed.error_type) == OUTCOMES[name]
    if name == "no-usage":
        assert fold.usage is None
    if name in ("cut-clean", "error-middle", "filtered"):
        assert fold.text(Channel.ANSWER) == " one two three"
