"""Reads that are decoded together give the same reply as reads decoded one by one."""

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Channel, Event, Text
from runner.core.record_from_events import Fold
from runner.wire.attempt import Attempt
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.event_loop_time_slices import TimeSlices
from runner.wire.read_loop import _ReadLoop

Reads = list[tuple[int, bytes]]

DONE = b"data: [DONE]\n\n"


def frame(value: object) -> bytes:
    """Return a server-sent event."""
    return b"data: %b\n\n" % json.dumps(value).encode()


def chunk(delta: Mapping[str, object], reason: str | None = None, **more: object) -> bytes:
    """Return the event of a chunk."""
    return frame({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})


TEXTS = st.sampled_from(
    [
        "a",
        "bc ",
        "Hello",
        "Hello, world. ",
        'say "',
        "<",
        "<think>",
        "</think>",
        "[",
        "\n",
        "x" * 30,
        "\ud83d",
        "\ude00",
    ]
)
PLAIN = st.builds(
    lambda name, text, more: chunk({name: text}, **more),
    st.sampled_from(["content", "content", "content", "reasoning_content"]),
    TEXTS,
    st.sampled_from([{}, {"model": "m"}, {"model": "n"}, {"model": ""}, {"sent_ns": 5}]),
)
OTHERS = st.sampled_from(
    [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "one"}) + chunk({"content": "two"}),
        chunk({"content": "cut"})[:-1],
        chunk({"content": "Hello"}, x=1),
        chunk({}, "stop"),
        frame({"choices": [], "usage": {"completion_tokens": 3}}),
        frame({"error": {"message": "no"}}),
        b": ping\n\n",
        DONE,
    ]
)
READS = st.lists(st.one_of(PLAIN, PLAIN, PLAIN, PLAIN, OTHERS), max_size=40)
TIMES = st.lists(st.integers(0, 2), min_size=40, max_size=40)


def state_of(fold: Fold) -> dict[str, Any]:
    """Return all state of a fold."""
    texts = {channel: fold.text(channel) for channel in Channel}
    own = {name: value.getvalue() if isinstance(value, StringIO) else value for name, value in vars(fold).items()}
    return {**own, "_texts": texts}


def decode_together(reads: Reads, watched: list[Event]) -> Attempt:
    """Return the attempt of a reply whose reads are decoded when all have arrived."""
    attempt = Attempt()
    loop = _ReadLoop(attempt, ResponseDecoder(200, {"x-request-id": "1"}), TimeSlices(), watched.append)
    for at_ns, data in reads:
        attempt.body.receive(at_ns, data)
    loop.decode_at_once()
    return attempt


def decode_one_by_one(reads: Reads) -> tuple[list[Event], Fold]:
    """Return the events by `feed` alone, and their fold."""
    decoder, fold = ResponseDecoder(200, {"x-request-id": "1"}), Fold()
    events = [event for at_ns, data in reads for event in decoder.feed(at_ns, data)]
    for event in events:
        fold.add(event)
    return events, fold


@given(READS, TIMES)
def test_reads_decoded_together_make_the_same_reply_as_one_by_one(frames: list[bytes], waits: list[int]) -> None:
    """Text, timestamps, flags and outcome are the same, and a live view is shown the same events."""
    reads, at_ns = [], 1
    for data, wait in zip(frames, waits, strict=False):
        at_ns += wait
        reads.append((at_ns, data))
    watched: list[Event] = []
    together, (events, fold) = decode_together(reads, watched), decode_one_by_one(reads)
    assert (state_of(together.fold), watched) == (state_of(fold), events)


def test_timestamps_that_several_texts_share_are_noted() -> None:
    """Two pieces may have one timestamp, or one piece may hold two texts."""
    texts = [chunk({"content": f"{number} "}) for number in range(6)]
    reads = [(1, texts[0]), (2, texts[1]), (3, texts[2]), (3, texts[3]), (4, texts[4] + texts[5])]
    assert decode_together(reads, []).shared_ns == {3, 4}


def test_most_reads_of_an_ordinary_reply_are_decoded_together() -> None:
    """Of a hundred tokens all but the first are returned by one call."""
    decoder = ResponseDecoder(200, {"x-request-id": "1"})
    reads = [(number, chunk({"content": f"word{number} "}, model="m", sent_ns=number)) for number in range(100)]
    assert decoder.feed_plain(reads) == []
    decoder.feed(*reads[0])
    texts = decoder.feed_plain([*reads[1:], (100, DONE)])
    assert texts == [Text(n, Channel.ANSWER, f"word{n} ", n, "m") for n in range(1, 100)]


@pytest.mark.parametrize("end", [chunk({}, "stop"), DONE, b"data: {", b"\n", chunk({"content": "a", "x": 1})])
def test_reads_are_decoded_together_up_to_the_first_that_is_anything_else(end: bytes) -> None:
    """Later reads wait, even if they are plain text."""
    decoder = ResponseDecoder(200, {"x-request-id": "1"})
    text = chunk({"content": "word "})
    decoder.feed(1, text)
    assert len(decoder.feed_plain([(2, text), (3, text), (4, end), (5, text)])) == 2


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["Hello, ", 'say "', "word ", "word ", "</think>", "answer"], "answer"),
        (["Hello, ", "word ", 'say "', "</think>", '" there'], 'Hello, word say "</think>" there'),
        (["Hel", "lo, ", "world", "!", "Hello, world!"], "Hello, world!"),
        (["Hello", ", ", "world", "!", "Hello"], "Hello, world!Hello"),
    ],
    ids=["tag", "quoted tag", "repetition", "no repetition"],
)
def test_texts_decoded_together_depend_on_those_before_them(texts: list[str], answer: str) -> None:
    """A closing tag is quoted only by the text right before it; a last piece that repeats all of them is dropped."""
    frames = [*(chunk({"content": text}) for text in texts), chunk({}, "stop"), DONE]
    assert decode_together(list(enumerate(frames)), []).fold.text(Channel.ANSWER) == answer
