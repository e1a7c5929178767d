"""The Responses dialect: values of any shape, and its fast path and last event compared with the other events."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.events import Channel, Event, Outcome
from runner.core.record_from_events import Fold
from runner.core.suite import Parameters
from runner.providers.provider_row import ProviderRow
from runner.providers.request_body import BUILDERS, request_body
from runner.wire.decoders.responses import ResponsesDecoder
from tests.support.arbitrary_json import FRAMES, JSON, check_types
from tests.support.wire_samples import DIALECT_SAMPLES, DialectSample, decode, fold_of, sample_of

KINDS = (
    *("output_text", "text", "refusal", "reasoning_text", "reasoning", "reasoning_summary_text", "output_item"),
    *("function_call_arguments", "custom_tool_call_input", "content_part", "audio.transcript", "other"),
)
EVENT_TYPES = (
    *(f"response.{kind}.{phase}" for kind in KINDS for phase in ("added", "delta", "done")),
    *(f"response.{end}" for end in ("created", "completed", "incomplete", "failed", "cancelled", "done", "keepalive")),
    *("error", "keepalive", "response", "message", "output_text", "summary_text"),
    *("function_call", "custom_tool_call", "mcp_call"),
)
NAMED = st.sampled_from(EVENT_TYPES) | JSON
PART_NAMES = ("text", "refusal", "name", "arguments", "input", "code", "id", "status", "object", "model", "reason")
PARTS = st.fixed_dictionaries({}, optional={"type": NAMED, **dict.fromkeys(PART_NAMES, JSON | st.text())})
LISTS = st.lists(PARTS | JSON, max_size=3) | JSON
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": NAMED,
        **dict.fromkeys(("content", "summary"), LISTS),
        **dict.fromkeys(("name", "arguments", "id", "call_id"), st.text() | JSON),
    },
)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "output": st.lists(ITEMS | JSON, max_size=3) | JSON,
        "status": st.sampled_from(["completed", "incomplete", "failed", "queued"]) | JSON,
        **dict.fromkeys(("error", "incomplete_details", "usage"), PARTS | JSON),
        **dict.fromkeys(("id", "model", "object"), JSON),
    },
)
EVENTS = st.fixed_dictionaries(
    {"type": NAMED},
    optional={
        "response": RESPONSES | JSON,
        "item": ITEMS | JSON,
        **dict.fromkeys(("delta", "text", "arguments", "refusal"), st.text() | PARTS | JSON),
        **dict.fromkeys(("output_index", "item_id", "content_index", "sent_ns", "error", "code", "message"), JSON),
    },
)


@given(st.lists(EVENTS | RESPONSES | JSON, max_size=6), FRAMES)
@settings(deadline=None)
def test_arbitrary_json_under_known_names_raises_nothing(values: list[object], frame: bytes) -> None:
    """Values of any shape are accepted, and no event holds a value of the wrong type."""
    body = b"".join(frame % json.dumps(value).encode() for value in values)
    check_types(decode(sample_of(body), [body], None, ResponsesDecoder))


@pytest.mark.parametrize("each", [each for each in DIALECT_SAMPLES if each.api == "responses"], ids=str)
def test_the_plain_path_gives_what_the_full_one_gives(each: DialectSample, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the plain path, every sample gives the same events."""
    with_it = each.decode([each.sample.body])
    monkeypatch.setattr(ResponsesDecoder, "decode_plain", lambda *_: [])
    assert each.decode([each.sample.body]) == with_it


PLAIN = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hi"}


@pytest.mark.parametrize(
    ("changes", "is_plain"),
    [
        ({"sequence_number": 4, "logprobs": [], "obfuscation": "x"}, True),
        ({"type": "response.reasoning_text.delta"}, True),
        ({"type": "response.refusal.delta"}, False),
        ({"type": "response.reasoning_summary_text.delta"}, False),
        ({"delta": ""}, False),
        ({"novelty": 1}, False),
    ],
)
def test_only_what_adds_one_piece_of_text_is_plain(changes: Mapping[str, object], is_plain: bool) -> None:
    """Marked text, text that may be a tag, and members that are not known take the full path."""
    decoder = ResponsesDecoder(200)
    decoder.decode({**PLAIN, "delta": "Well, "}, 6)
    assert decoder.settled
    assert bool(decoder.decode_plain([json.dumps({**PLAIN, **changes}).encode()], [7])) == is_plain


def stream(*events: Mapping[str, object]) -> bytes:
    """Return events as a server sends them."""
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)


def fold_events(body: bytes) -> tuple[Fold, list[Event]]:
    """Return the fold and the events of a stream."""
    events = decode(sample_of(body), [body], None, ResponsesDecoder)
    return fold_of(sample_of(body), events), events


def test_events_after_the_last_one_are_ignored() -> None:
    """The last event ends the response, even if the body continues."""
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    fold, _ = fold_events(stream(PLAIN, end, {**PLAIN, "delta": " there"}))
    assert (fold.outcome(), fold.text(Channel.ANSWER)) == (Outcome.OK, "Hi")


def test_a_reply_without_any_readable_text_is_flagged() -> None:
    """Deltas of an unknown kind do not silently become an empty reply."""
    fold, _ = fold_events(
        stream({"type": "response.audio.delta", "delta": "UklGRg=="}, {"type": "response.completed", "response": {}})
    )
    assert (fold.outcome(), fold.notes) == (Outcome.OK, ("skipped_data",))


def test_each_delta_is_one_event() -> None:
    """Several events of a read would count as pieces that share a timestamp."""
    decoder = ResponsesDecoder(200)
    assert len(decoder.decode(PLAIN, 7)) == 1
    assert len(decoder.decode({"type": "response.in_progress", "response": {"model": "m"}}, 7)) == 1


ROW = ProviderRow(api="responses")


@pytest.mark.parametrize(
    ("parameters", "body", "notes"),
    [
        (Parameters(), {}, ()),
        (Parameters(stream=False), {"stream": False}, ()),
        (
            Parameters(temperature=0.5, max_tokens=90, top_p=0.9),
            {"temperature": 0.5, "max_output_tokens": 90, "top_p": 0.9},
            (),
        ),
        (
            Parameters(seed=7, stop=("END",)),
            {},
            (
                "the Responses API has no seed, so it was not sent to m",
                "the Responses API has no stop, so it was not sent to m",
            ),
        ),
        (Parameters(thinking="high"), {"reasoning": {"effort": "high"}}, ()),
        (
            Parameters(thinking="low", extra_body={"reasoning": {"summary": "auto"}, "user": "u"}),
            {"reasoning": {"effort": "low", "summary": "auto"}, "user": "u"},
            (),
        ),
        (Parameters(extra_body={"store": True}), {"store": True}, ()),
        (
            Parameters(extra_body={"text": {"format": {"type": "json_object"}}}),
            {"text": {"format": {"type": "json_object"}}},
            (),
        ),
    ],
    ids=["nothing", "whole", "sampling", "absent", "effort", "summary", "stored", "format"],
)
def test_parameters_become_the_fields_of_this_api(
    parameters: Parameters, body: dict[str, object], notes: tuple[str, ...]
) -> None:
    """Parameters that the API lacks are noted and not sent; nothing is stored unless the suite says so."""
    assert request_body(ROW, "m", parameters) == ({"model": "m", "stream": True, "store": False, **body}, notes)


def test_the_whole_conversation_is_the_input() -> None:
    """No request refers to an earlier response, so that all dialects have equal histories."""
    told = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user")]
    assert BUILDERS["responses"].with_messages({"model": "m"}, told) == {"model": "m", "input": told}
