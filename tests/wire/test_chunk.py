"""One JSON value tells what it tells, in every provider's shape."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Channel, EmptyChunk, Event, Finished, Flagged, Text, Usage
from runner.wire.chunk import read_chunk, read_plain_chunk
from runner.wire.error_body import find_error
from runner.wire.json_value import read_json
from runner.wire.think_tags import ThinkTags
from runner.wire.usage import read_usage

REASONING, ANSWER, TOOL = Channel.REASONING, Channel.ANSWER, Channel.TOOL


def chunk_of(delta: object, **choice: object) -> dict[str, object]:
    """Return a chunk with one choice."""
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


def texts_of(events: list[Event]) -> list[tuple[Channel, str]]:
    """Return the texts among some events."""
    return [(event.channel, event.text) for event in events if isinstance(event, Text)]


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
def test_texts_are_found(delta: object, expected: list[tuple[Channel, str]]) -> None:
    """Text is heard on its channel wherever a delta has it; what is no text is no event."""
    events = read_chunk(chunk_of(delta), 1)
    assert texts_of(events) == expected
    assert expected or events == [EmptyChunk(1)]


@pytest.mark.parametrize(
    "chunk", [{}, {"choices": None}, {"choices": []}, {"choices": [None, 1]}, {"choices": {}}, {"choices": "x"}]
)
def test_a_chunk_without_choices_stirs(chunk: dict[str, object]) -> None:
    """A chunk that says nothing is an event all the same."""
    assert read_chunk({**chunk, "model": "m"}, 1) == [EmptyChunk(1, "m")]


def test_whole_messages_and_legacy_texts_are_read() -> None:
    """A message stands in for a delta that is not there, and so does a legacy completion's text."""
    assert texts_of(read_chunk({"choices": [{"message": {"content": "a"}}]}, 1)) == [(ANSWER, "a")]
    assert texts_of(read_chunk({"choices": [{"delta": {"content": "a"}, "message": {"content": "ab"}}]}, 1)) == [
        (ANSWER, "a")
    ]
    assert texts_of(read_chunk({"choices": [{"text": "a"}]}, 1)) == [(ANSWER, "a")]


def test_the_senders_clock_and_model_go_with_the_text() -> None:
    """`sent_ns` is kept where it is a whole number that fits; the model where it is a name."""
    text = {"choices": [{"delta": {"content": "a"}}]}
    assert read_chunk({**text, "sent_ns": 5, "model": "m"}, 1) == [Text(1, ANSWER, "a", 5, "m")]
    for odd in (True, 5.0, "5", None, 2**63):
        assert read_chunk({**text, "sent_ns": odd, "model": 3}, 1) == [Text(1, ANSWER, "a")]


@pytest.mark.parametrize(("reason", "told"), [("stop", True), ("", False), ("null", False), (None, False), (3, False)])
def test_only_a_reason_with_a_name_finishes(reason: object, told: bool) -> None:
    """A finish_reason that says nothing is none."""
    events = read_chunk(chunk_of({}, finish_reason=reason), 1)
    assert events == ([Finished(1, "stop")] if told else [EmptyChunk(1)])


def test_other_choices_are_flagged_and_not_heard() -> None:
    """Only index 0 is heard; a chunk for another one is an event without text."""
    other = {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]}
    assert read_chunk(other, 1) == [EmptyChunk(1), Flagged(1, "several_choices")]


SAID = st.sampled_from(["", "a", None, 3, "你"])
DELTAS = st.dictionaries(
    st.sampled_from(["content", "reasoning_content", "reasoning", "refusal", "role", "tool_calls", "x"]),
    SAID,
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
def test_a_plain_chunk_tells_what_any_chunk_tells(chunk: dict[str, object]) -> None:
    """The short way and the long way say the same, wherever the short way says anything."""
    plain = read_plain_chunk(json.dumps(chunk).encode(), 1)
    assert plain is None or (read_chunk(chunk, 1), find_error(chunk)) == ([plain], None)


@pytest.mark.parametrize(("name", "channel"), [("content", ANSWER), ("reasoning_content", REASONING)])
def test_nearly_all_chunks_are_plain(name: str, channel: Channel) -> None:
    """What OpenAI, DeepSeek and most gateways send for a token takes the short way."""
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None, "sent_ns": 5}
    delta = {"role": "assistant", "content": None, "reasoning_content": None, name: "a"}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    assert read_plain_chunk(json.dumps({**chunk, "choices": [choice]}).encode(), 1) == Text(1, channel, "a", 5, "m")


def usage(raw: object, **chunk: Any) -> Usage | None:
    """Return the counts read from a chunk's usage."""
    return read_usage({"usage": raw, **chunk}, {}, 1)


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
        ({"prompt_tokens": 5, "completion_tokens": "2"}, (5, None, None, None)),
    ],
)
def test_counts_are_read_under_every_name(raw: dict[str, object], expected: tuple[int | None, ...]) -> None:
    """Each count is found wherever providers put it; what is no count is none."""
    found = usage(raw)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.reasoning_tokens, found.cached_tokens) == expected
    assert found.raw == raw


@pytest.mark.parametrize(
    "raw", [None, {}, [], "x", {"prompt_tokens": None}, {"prompt_tokens": 0, "completion_tokens": 0}]
)
def test_placeholders_are_no_usage(raw: object) -> None:
    """Usage without a count would overwrite the one that has some."""
    assert usage(raw) is None


def test_usage_is_found_in_every_place() -> None:
    """The chunk's own usage goes before the choice's, that before Groq's; an empty one is passed over."""
    own, inner, groq = ({"prompt_tokens": count} for count in (1, 2, 3))
    everywhere = {"usage": own, "x_groq": {"usage": groq}}
    for chunk, expected in ((everywhere, 1), ({**everywhere, "usage": None}, 2)):
        found = read_usage(chunk, {"usage": inner}, 1)
        assert found is not None
        assert found.input_tokens == expected
    found = read_usage({"usage": {}, "x_groq": {"usage": groq}}, {"usage": None}, 1)
    assert found is not None
    assert found.input_tokens == 3


def sort_out(pieces: list[str]) -> dict[Channel, str]:
    """Return what is heard on each channel when an answer comes in the given pieces."""
    tags, heard = ThinkTags(), []
    for piece in pieces:
        heard += tags.hear(Text(1, ANSWER, piece))
    heard += tags.flush()
    assert all(text.text for text in heard)
    return {channel: "".join(text.text for text in heard if text.channel is channel) for channel in Channel}


@pytest.mark.parametrize(
    ("answer", "reasoning", "rest"),
    [
        ("<think>r</think>a", "r", "a"),
        (" \n<think>\nr\n</think>\n\na", "\nr\n", "\n\na"),
        ("<thinking>r</think></thinking>a", "r</think>", "a"),
        ("<thought>r</thought>", "r", ""),
        ("<think></think>a", "", "a"),
        ("<think>r", "r", ""),
        ("<think>r</thi", "r</thi", ""),
        ("<think>r</think>a<think>b</think>", "r", "a<think>b</think>"),
        ("<think", "", "<think"),
        ("<b>a</b>", "", "<b>a</b>"),
        ("a <think>r</think>", "", "a <think>r</think>"),
        (" " * 100 + "<think>r", "", " " * 100 + "<think>r"),
    ],
)
@given(cuts=st.lists(st.integers(0, 120), max_size=8))
def test_think_tags_are_told_apart(answer: str, reasoning: str, rest: str, cuts: list[int]) -> None:
    """Tags at the very beginning mark reasoning, however chunks split them; everything else stays the answer."""
    edges = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    pieces = [answer[start:end] for start, end in pairwise(edges) if start < end]
    heard = sort_out(pieces)
    assert (heard[REASONING], heard[ANSWER]) == (reasoning, rest)


@given(st.lists(st.text("<>/thinko \n", min_size=1, max_size=6), max_size=8))
def test_no_text_is_lost_but_tags(pieces: list[str]) -> None:
    """What is heard, put together again, is what came, less at most one pair of tags and the blanks before it."""
    heard = sort_out(pieces)
    answer = "".join(pieces)
    rebuilt = heard[REASONING] + heard[ANSWER]
    if heard[ANSWER] != answer:
        tag = answer.lstrip().removeprefix("<").partition(">")[0]
        rebuilt_with_tags = answer.lstrip().removeprefix(f"<{tag}>").replace(f"</{tag}>", "", 1)
        assert rebuilt == rebuilt_with_tags


def test_held_text_keeps_its_stamp_and_source() -> None:
    """Text that was held back comes out as it went in."""
    tags = ThinkTags()
    first, second = Text(1, ANSWER, "<", 10, "m"), Text(2, ANSWER, "b>", 20, "m")
    assert tags.hear(first) == []
    assert tags.hear(second) == [first, second]
    assert tags.settled


def test_reasoning_keeps_the_stamp_of_its_chunk() -> None:
    """Each part of a chunk that a tag divides has that chunk's stamp."""
    tags = ThinkTags()
    text = Text(3, ANSWER, "<think>r</think>a", 30, "m")
    assert tags.hear(text) == [text._replace(channel=REASONING, text="r"), text._replace(text="a")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1}', ({"a": 1}, False)),
        (b'"\xff"', ("\ufffd", True)),
        (rb'"\ud83d\ude00"', ("😀", False)),
        (rb'"\ud83dx"', ("\ufffdx", True)),
        (rb'{"a":["\uDE00"]}', ({"a": ["\ufffd"]}, True)),
        (rb'"\\ud83d"', ("\\ud83d", False)),
        (b'"a\tb"', ("a\tb", False)),
        (b"NaN", (None, False)),
    ],
)
def test_json_is_read_leniently(data: bytes, expected: tuple[object, bool]) -> None:
    """What can be saved is saved, and it is said whether something had to be replaced."""
    assert read_json(data) == expected


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"1" * 10_000, b"{} {}", b"[DONE]", b"{'a':1}"])
def test_what_is_not_json_is_a_value_error(data: bytes) -> None:
    """Nothing but ValueError is raised."""
    with pytest.raises(ValueError, match=r"."):
        read_json(data)
