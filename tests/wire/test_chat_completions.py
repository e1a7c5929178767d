"""Chat completions: chunks of every provider's shape become events, usage included."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import CallPiece, Channel, EmptyChunk, Event, Finished, Text, Usage
from runner.core.record_from_events import Fold
from runner.wire.decoders import chat_completions
from runner.wire.decoders.chat_completion_calls import ToolCalls
from runner.wire.decoders.chat_completion_fields import objects_of
from runner.wire.decoders.chat_completions import ChatCompletionsDecoder, decode_usage
from runner.wire.decoders.common_chat_chunks import decode_plain_chunks
from runner.wire.decoders.response_decoder import ResponseDecoder

REASONING, ANSWER, TOOL = Channel.REASONING, Channel.ANSWER, Channel.TOOL


def chunk_of(delta: object, **choice: object) -> dict[str, object]:
    """Return a chunk with one choice."""
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


def decode_chunk(chunk: dict[str, Any], at_ns: int) -> list[Event]:
    """Return the events of a chunk of a reply that had no message before, all of whose choices are read."""
    choices = objects_of(chunk.get("choices"))
    return chat_completions.decode_chunk(chunk, at_ns, choices, ToolCalls(), had_text=False, had_delta=True)


def texts_of(events: list[Event]) -> list[tuple[Channel, str]]:
    """Return the texts among some events."""
    texts = [event.text if isinstance(event, CallPiece) else event for event in events]
    return [(text.channel, text.text) for text in texts if isinstance(text, Text)]


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"content": "a"}, [(ANSWER, "a")]),
        ({"content": ""}, []),
        ({"content": None}, []),
        ({"content": 3}, []),
        (None, []),
        ([], []),
        ({"reasoning_content": "r", "content": "a"}, [(REASONING, "r"), (ANSWER, "a")]),
        ({"reasoning_content": "r", "reasoning": "r"}, [(REASONING, "r")]),
        ({"reasoning_content": "", "reasoning": "r"}, [(REASONING, "r")]),
        ({"reasoning": {"content": "r"}}, [(REASONING, "r")]),
        ({"reasoning": {"effort": "low"}}, []),
        ({"thinking": "r"}, [(REASONING, "r")]),
        ({"reasoning_details": [{"text": "r"}, {"summary": "s"}, {"data": "x"}, 3]}, [(REASONING, "rs")]),
        ({"content": [{"type": "text", "text": "a"}, "b", 3, {"type": "image"}]}, [(ANSWER, "ab")]),
        ({"content": {"type": "text", "text": "a"}}, [(ANSWER, "a")]),
        (
            {"content": [{"type": "thinking", "thinking": "r"}, {"type": "text", "text": "a"}]},
            [(REASONING, "r"), (ANSWER, "a")],
        ),
        ({"content": [{"type": "thinking", "thinking": [{"text": "r"}, {"text": "s"}]}]}, [(REASONING, "rs")]),
        ({"content": [{"type": "reasoning", "text": "r"}]}, [(REASONING, "r")]),
        ({"tool_calls": [{"function": {"name": "f", "arguments": ""}}]}, [(TOOL, "f")]),
        ({"tool_calls": [{"function": {"name": None, "arguments": "{}"}}]}, [(TOOL, "{}")]),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"a": "你"}}}]}, [(TOOL, 'f{"a":"你"}')]),
        ({"tool_calls": [{"function": None}, None, {}]}, []),
        ({"tool_calls": {}, "function_call": {"name": "f", "arguments": "{}"}}, [(TOOL, "f{}")]),
        ({"refusal": "no"}, [(ANSWER, "no")]),
    ],
)
def test_texts_of_a_delta_are_found_on_their_channels(delta: object, expected: list[tuple[Channel, str]]) -> None:
    """Text is found wherever a delta holds it; a value that is not text is no event."""
    events = decode_chunk(chunk_of(delta), 1)
    assert texts_of(events) == expected
    assert expected or events == [EmptyChunk(1)]


@pytest.mark.parametrize(
    "chunk", [{}, {"choices": None}, {"choices": []}, {"choices": [None, 1]}, {"choices": {}}, {"choices": "x"}]
)
def test_chunk_without_choices_is_an_empty_chunk(chunk: dict[str, object]) -> None:
    """It is an event without content."""
    assert decode_chunk({**chunk, "model": "m"}, 1) == [EmptyChunk(1, "m")]


def test_whole_messages_and_legacy_texts_are_decoded() -> None:
    """A message replaces a missing delta, and so does a legacy completion's text."""
    assert texts_of(decode_chunk({"choices": [{"message": {"content": "a"}}]}, 1)) == [(ANSWER, "a")]
    assert texts_of(decode_chunk({"choices": [{"delta": {"content": "a"}, "message": {"content": "ab"}}]}, 1)) == [
        (ANSWER, "a")
    ]
    assert texts_of(decode_chunk({"choices": [{"text": "a"}]}, 1)) == [(ANSWER, "a")]


def test_text_carries_the_senders_clock_and_model() -> None:
    """`sent_ns` is kept if it is a whole number in range, and the model if it is a name."""
    text = {"choices": [{"delta": {"content": "a"}}]}
    assert decode_chunk({**text, "sent_ns": 5, "model": "m"}, 1) == [Text(1, ANSWER, "a", 5, "m")]
    for odd in (True, 5.0, "5", None, 2**63):
        assert decode_chunk({**text, "sent_ns": odd, "model": 3}, 1) == [Text(1, ANSWER, "a")]


@pytest.mark.parametrize(
    ("reason", "named"),
    [("stop", "stop"), ("", None), ("null", None), (None, None), (0, None), (True, None), ([], None), (3, "3")],
)
def test_only_a_named_finish_reason_finishes(reason: object, named: str | None) -> None:
    """An empty or null finish_reason is ignored; a number counts as an unknown reason."""
    events = decode_chunk(chunk_of({}, finish_reason=reason), 1)
    assert events == ([EmptyChunk(1)] if named is None else [Finished(1, named)])


def decode_all(*chunks: dict[str, object]) -> Fold:
    """Return the fold of a stream of chunks."""
    decoder, fold = ChatCompletionsDecoder(200), Fold()
    for at_ns, chunk in enumerate(chunks, 1):
        for event in decoder.decode(chunk, at_ns):
            fold.add(event)
    for event in decoder.flush():
        fold.add(event)
    return fold


VALUES = st.sampled_from(["", "a", None, 3, "你"])
DELTAS = st.dictionaries(
    st.sampled_from(["content", "reasoning_content", "reasoning", "refusal", "role", "tool_calls", "x"]),
    VALUES,
    max_size=3,
)
CHOICES = st.builds(
    lambda delta, more: {"delta": delta, **more},
    DELTAS,
    st.dictionaries(
        st.sampled_from(["index", "finish_reason", "text", "error", "usage"]), st.sampled_from([0, None, 1, "stop", ""])
    ),
)
CHUNKS = st.builds(
    lambda choices, more: {"choices": choices, **more},
    st.lists(CHOICES, max_size=2) | st.just([{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]),
    st.dictionaries(
        st.sampled_from(["id", "object", "model", "sent_ns", "usage", "error", "x_groq", "x"]),
        st.sampled_from([None, "m", "", 5, -5, 2**63, {"prompt_tokens": 5}, True]),
        max_size=4,
    ),
)


@given(CHUNKS)
def test_plain_chunk_decodes_to_the_same_event_as_any_chunk(chunk: dict[str, object]) -> None:
    """Wherever `decode_plain_chunks` returns text, `decode_chunk` returns the same and there is no error."""
    plain = decode_plain_chunks([json.dumps(chunk).encode()], [1])
    assert not plain or (decode_chunk(chunk, 1), ChatCompletionsDecoder(200).find_error(chunk)) == (plain, None)


class ChunkByChunkDecoder(ChatCompletionsDecoder):
    """A decoder to which no chunk is a plain or common one, so that `decode` reads each."""

    settled = False

    def decode_common(self, data: bytes, at_ns: int) -> None:
        """Return None."""


def common_chunk(delta: object, reason: str | None = None, index: int | None = 0, **more: object) -> dict[str, object]:
    """Return a chunk as OpenAI documents it, or nearly so."""
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "choices": [choice], **more}


def counted_chunk(counts: object, **more: object) -> dict[str, object]:
    """Return the chunk of a reply's counts, or nearly so."""
    return {"object": "chat.completion.chunk", "choices": [], "usage": counts, **more}


PLAIN, STOP = common_chunk({"content": "a"}), common_chunk({}, "stop")
COUNTED = counted_chunk({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8})
NEARLY_COMMON: list[dict[str, object]] = [
    *(PLAIN, STOP, COUNTED, common_chunk({}), common_chunk({"content": "b"}, "length"), common_chunk({}, "tool_calls")),
    *(common_chunk({"role": "assistant", "content": ""}), common_chunk({"role": "analysis", "content": "c"})),
    *(common_chunk({}, reason) for reason in ("", "content_filter", "error")),
    *(common_chunk({"content": text}) for text in ("<think>", "</think>", "x<", "\ud83d", "\ude00", "Here")),
    *(common_chunk({name: "r"}) for name in ("reasoning_content", "reasoning", "refusal", "x")),
    *(common_chunk({"content": "a", "reasoning_content": "r"}), common_chunk({"content": [{"text": "p"}]})),
    *(common_chunk({"content": "d"}, index=None), common_chunk({"content": "e"}, index=1)),
    *(common_chunk({"content": "f"}, model=model) for model in ("m", "")),
    *({**common_chunk({}), name: "P"} for name in ("provider", "system_fingerprint", "service_tier", "id", "x")),
    *(common_chunk({"content": "g"}, provider="Q"), common_chunk({"content": "h"}, usage={"completion_tokens": 4})),
    *(
        common_chunk({"content": "i"}, error={"message": "no"}),
        common_chunk({"content": "j"}, object="ping", sent_ns=7),
    ),
    *map(counted_chunk, (None, {}, {"prompt_tokens": 0}, {"total_tokens": 9}, {"prompt_tokens": "7"})),
    *(counted_chunk({"total_tokens": 9}, object=name) for name in ("error", "ping")),
    counted_chunk({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}}),
    counted_chunk({"prompt_tokens": 5, "service_tier": "priority"}),
    {"choices": [{"index": 0, "message": {"content": "aa"}}]},
]


def events_of(
    chunks: list[dict[str, object]],
    dialect: type[ChatCompletionsDecoder],
    *,
    has_id: bool = True,
    in_one_read: bool = False,
) -> list[Event]:
    """Return the events of a stream whose chunks have a read of their own, or all share one."""
    decoder = ResponseDecoder(200, {"x-request-id": "r"} if has_id else {}, dialect=dialect)
    reads = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    reads = [b"".join(reads)] if in_one_read else reads
    found = [event for at_ns, data in enumerate(reads, 1) for event in decoder.feed(at_ns, data)]
    return [*found, *decoder.close(len(reads) + 1)]


@pytest.mark.parametrize("first", NEARLY_COMMON)
def test_two_chunks_have_the_same_events_whether_or_not_they_are_common(first: dict[str, object]) -> None:
    """The declared shape of common chunks gives the same events as `decode`, in any order and amid any other chunks."""
    for second in NEARLY_COMMON:
        for stream in ([first, second], [PLAIN, first, second, STOP, COUNTED]):
            assert events_of(stream, ChatCompletionsDecoder) == events_of(stream, ChunkByChunkDecoder)


@given(st.lists(st.sampled_from(NEARLY_COMMON), max_size=10), st.booleans(), st.booleans())
def test_a_stream_has_the_same_events_whichever_of_its_chunks_are_common(
    chunks: list[dict[str, object]], has_id: bool, in_one_read: bool
) -> None:
    """This holds for streams of any length, in one read or in several."""
    how = {"has_id": has_id, "in_one_read": in_one_read}
    assert events_of(chunks, ChatCompletionsDecoder, **how) == events_of(chunks, ChunkByChunkDecoder, **how)


def test_the_chunks_that_open_end_and_count_a_common_reply_are_common() -> None:
    """Every chunk of OpenAI's stream has the declared shape."""
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": "", "refusal": None}, {"content": "a"}, {}]
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": "f"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}], "usage": None}
        for delta, reason in zip(deltas, (None, None, "stop"), strict=True)
    ]
    chunks.append({**head, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    decoder = ChatCompletionsDecoder(200)
    assert all(decoder.decode_common(json.dumps(chunk).encode(), 1) for chunk in chunks)


@pytest.mark.parametrize(("name", "channel"), [("content", ANSWER), ("reasoning_content", REASONING)])
def test_ordinary_chunks_of_openai_and_deepseek_are_plain(name: str, channel: Channel) -> None:
    """A token's chunk as OpenAI, DeepSeek and most gateways send it is decoded by `decode_plain_chunks`."""
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None, "sent_ns": 5}
    delta = {"role": "assistant", "content": None, "reasoning_content": None, name: "a"}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    data = json.dumps({**chunk, "choices": [choice]}).encode()
    assert decode_plain_chunks([data, data], [1, 2]) == [Text(1, channel, "a", 5, "m"), Text(2, channel, "a", 5, "m")]


def usage(raw: object, **chunk: Any) -> Usage | None:
    """Return the counts decoded from a chunk's usage."""
    return decode_usage({"usage": raw, **chunk}, [], 1)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, (5, 2, None, None)),
        ({"input_tokens": 5, "output_tokens": 2}, (5, 2, None, None)),
        ({"prompt_tokens": 5.0, "completion_tokens": None}, (5, None, None, None)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}, (None, 9, 7, None)),
        ({"completion_tokens": 9, "completion_tokens_details": None, "reasoning_tokens": 7}, (None, 9, 7, None)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 9,
                "total_tokens": 14,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            (5, 9, 7, None),
        ),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 9,
                "total_tokens": 21,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            (5, 16, 7, None),
        ),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, (5, None, None, 4)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 0}, (5, None, None, 0)),
        ({"prompt_tokens": 5, "cached_tokens": 4}, (5, None, None, 4)),
        ({"total_tokens": 14}, (None, None, None, None)),
        ({"prompt_tokens": 5, "completion_tokens": -1}, (5, None, None, None)),
        ({"prompt_tokens": 5, "completion_tokens": True}, (5, None, None, None)),
        ({"prompt_tokens": 5, "completion_tokens": "2"}, (5, 2, None, None)),
        ({"prompt_tokens": "5", "completion_tokens": "-2"}, (5, None, None, None)),
        ({"prompt_tokens": 5, "completion_tokens": "two"}, (5, None, None, None)),
        ({"prompt_tokens": 5, "completion_tokens": 2.5}, (5, None, None, None)),
        ({"prompt_tokens": 0, "input_tokens": 5, "completion_tokens": 0, "output_tokens": 2}, (5, 2, None, None)),
    ],
)
def test_token_counts_are_found_under_every_name(raw: dict[str, object], expected: tuple[int | None, ...]) -> None:
    """Each count is found wherever providers put it; a value that is not a count is absent."""
    found = usage(raw)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.reasoning_tokens, found.cached_tokens) == expected
    assert found.raw == raw


@pytest.mark.parametrize(
    "raw", [None, {}, [], "x", {"prompt_tokens": None}, {"prompt_tokens": 0, "completion_tokens": 0}]
)
def test_usage_of_nulls_or_zeros_is_ignored(raw: object) -> None:
    """A placeholder would overwrite the usage that has counts."""
    assert usage(raw) is None


def test_usage_of_the_chunk_precedes_that_of_the_choice_and_of_groq() -> None:
    """An empty usage is passed over."""
    own, inner, groq = ({"prompt_tokens": count} for count in (1, 2, 3))
    everywhere = {"usage": own, "x_groq": {"usage": groq}}
    for chunk, expected in ((everywhere, 1), ({**everywhere, "usage": None}, 2)):
        found = decode_usage(chunk, [{"usage": None}, {"usage": inner}], 1)
        assert found is not None
        assert found.input_tokens == expected
    found = decode_usage({"usage": {}, "x_groq": {"usage": groq}}, [{"usage": None}], 1)
    assert found is not None
    assert found.input_tokens == 3
