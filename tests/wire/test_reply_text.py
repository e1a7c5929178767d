"""Counts, choices, whole messages and reasoning sent in several parts are merged the same at any cuts."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.events import Channel, Usage
from runner.core.record_from_events import Fold
from runner.wire.decoders.merge_usage import UsageCounts
from runner.wire.decoders.reply_text import ReasoningMerge
from tests.support.wire_samples import decode, fold_of, observe, sample_of, split

Chunk = dict[str, object]


def stream_of(chunks: Sequence[object]) -> bytes:
    """Return an event stream of JSON values."""
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)


def fold_chunks(*chunks: object) -> Fold:
    """Return the fold of a stream in one read."""
    sample = sample_of(stream_of(chunks))
    return fold_of(sample, decode(sample, [sample.body]))


def delta(content: object = None, index: object = 0, finish: str | None = None, **more: object) -> Chunk:
    """Return a chunk with one choice."""
    added = more if content is None else {"content": content, **more}
    return {"choices": [{"index": index, "delta": added, "finish_reason": finish}]}


def message(content: str, finish: str | None = None) -> Chunk:
    """Return a chunk with a whole message."""
    return {"choices": [{"index": 0, "message": {"content": content}, "finish_reason": finish}]}


WORDS = st.sampled_from(
    ["a", "Hello", " world", "<think>", "</think>", "\ud83c", "\udf08", "`", "The whole reply so far"]
)
INDEXES = st.sampled_from([0, 1, 2, "0", "1", None, -1, 1.0])
FINISHES = st.sampled_from([None, None, None, "stop", "length", "SPII", "OTHER"])
COUNTS = st.sampled_from([0, None, 1, 5, 20, 424, 1016])
USAGES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens"), COUNTS)
)
ENTRIES = st.builds(
    lambda sent, kind, name, text: {**sent, kind: {"name": name, "arguments": text}},
    st.fixed_dictionaries({}, optional={"index": INDEXES, "id": st.sampled_from(["c1", "c2", "", None])}),
    st.sampled_from(["function", "custom"]),
    st.sampled_from(["find", "find_all", "\ud83c", None]),
    st.sampled_from(["{", '{"a"', '{"a": 1}', ": 1}", "", "\ud83c", "\udf08", {}, {"a": 1}]),
)
PIECES = st.one_of(
    st.builds(delta, WORDS, INDEXES, FINISHES),
    st.builds(lambda words, more: delta(words, reasoning_content=more), WORDS, WORDS),
    st.builds(lambda words: delta(None, reasoning_details=[{"text": words}]), WORDS),
    st.builds(message, WORDS, FINISHES),
    st.builds(lambda usage: {"choices": [], "usage": usage}, USAGES),
    st.builds(
        lambda one, other: {"choices": [*one["choices"], *other["choices"]]},
        st.builds(delta, WORDS, INDEXES),
        st.builds(delta, WORDS, INDEXES),
    ),
    st.builds(
        lambda words, more: {"choices": [{"delta": {"content": words}, "message": {"content": more}}]}, WORDS, WORDS
    ),
    st.builds(
        lambda where, entries, index: {"choices": [{"index": index, where: {"tool_calls": entries}}]},
        st.sampled_from(["delta", "delta", "message"]),
        st.lists(ENTRIES, max_size=3),
        INDEXES,
    ),
    st.sampled_from(
        [{"type": "ping"}, {}, "ping", None, {"message": "Bad gateway"}, delta(None, output="x"), delta(7)]
    ),
)


@given(st.lists(PIECES, max_size=8), st.lists(st.integers(0, 5000), max_size=8))
@settings(deadline=None)
def test_merges_do_not_depend_on_how_reads_cut_a_stream(chunks: list[object], cuts: list[int]) -> None:
    """For choices, messages, counts, reasoning and pings in any order, events and record are the same."""
    sample = sample_of(stream_of(chunks))
    whole, cut = decode(sample, [sample.body]), decode(sample, split(sample.body, cuts))
    assert whole == cut
    assert observe(fold_of(sample, whole)) == observe(fold_of(sample, cut))
    for text in (fold_of(sample, whole).text(channel) for channel in Channel):
        assert text is None or text.encode()


@given(st.text("ab <>/thinko`", max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_a_whole_message_after_its_pieces_adds_nothing(reply: str, cuts: list[int]) -> None:
    """For any division into deltas, the message at the end changes no text."""
    edges = [0, *sorted(cut % (len(reply) + 1) for cut in cuts), len(reply)]
    pieces = [delta(reply[start:end]) for start, end in pairwise(edges) if start < end]
    alone, repeated = fold_chunks(*pieces, delta(finish="stop")), fold_chunks(*pieces, message(reply, "stop"))
    assert [alone.text(channel) for channel in Channel] == [repeated.text(channel) for channel in Channel]
    assert "message_differs" not in repeated.notes


PIECES_OF_TEXT = st.lists(st.text("ab cdefgh", min_size=1, max_size=9), min_size=3, max_size=8)


@given(PIECES_OF_TEXT, st.sampled_from(["content", "reasoning_content"]))
def test_cumulative_chunks_give_the_last_text(pieces: list[str], name: str) -> None:
    """Of chunks with all text so far, only the new part counts, with the time at which it came."""
    whole = "".join(pieces)
    so_far = ["".join(pieces[:end]) for end in range(1, len(pieces) + 1)]
    fold = fold_chunks(*({"choices": [{"index": 0, "delta": {name: text}}]} for text in so_far), delta(finish="stop"))
    channel = Channel.ANSWER if name == "content" else Channel.REASONING
    if len(whole) >= 16:
        assert fold.text(channel) == whole
        if fold.notes != ("repeated_reply",):  # with a single letter, the last text may equal all others together
            assert (fold.notes, len(fold.timestamps_ns)) == (("cumulative_chunks",), len(pieces))


@given(PIECES_OF_TEXT, st.booleans(), st.booleans())
def test_a_reply_that_is_repeated_at_the_end_counts_once(pieces: list[str], in_last: bool, trimmed: bool) -> None:
    """The finish_reason is in the same chunk or in the next, and blanks around the text may be missing."""
    whole = "".join(pieces)
    again = whole.strip() if trimmed and len(whole.strip()) >= 16 else whole
    ending = [delta(again, finish="stop")] if in_last else [delta(again), delta(finish="stop")]
    fold = fold_chunks(*map(delta, pieces), *ending)
    if len(whole) >= 4 and "cumulative_chunks" not in fold.notes:
        assert (fold.text(Channel.ANSWER), fold.notes) == (whole, ("repeated_reply",))


@given(st.lists(st.sampled_from(["ha", " ", "no", "Row, row.", "a", "\n"]), min_size=1, max_size=12))
def test_a_reply_whose_last_piece_is_new_is_unchanged(pieces: list[str]) -> None:
    """Repeated words within a reply are the model's."""
    fold = fold_chunks(*map(delta, [*pieces, "The end"]), delta(finish="stop"))
    assert (fold.text(Channel.ANSWER), fold.notes) == ("".join(pieces) + "The end", ())


@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=4, unique=True).map(sorted), st.integers(0, 9))
def test_a_growing_choice_number_is_one_reply(numbers: list[int], last: int) -> None:
    """Indexes that only grow are pieces of one reply, whatever the last one is."""
    pieces = [delta(chr(97 + place), number) for place, number in enumerate(numbers)]
    fold = fold_chunks(*pieces, delta(index=last, finish="stop"))
    assert fold.text(Channel.ANSWER) == "abcd"[: len(numbers)]
    assert fold.notes == ()


@pytest.mark.parametrize("first", [0, 1])
def test_a_choice_that_comes_back_is_one_of_several(first: int) -> None:
    """Choice 0 is kept, and the other's text is dropped, including earlier text."""
    own, other = ("x", "a") if first else ("a", "x")
    fold = fold_chunks(delta(own, first), delta(other, 1 - first), delta(own, first), delta(other, 1 - first))
    assert (fold.text(Channel.ANSWER), fold.notes) == ("aa", ("several_choices",))


def counts(*parts: Chunk) -> tuple[int | None, ...]:
    """Return the counts of a reply whose usage comes in parts."""
    merged, usage = UsageCounts(), None
    for part in parts:
        usage = merged.add(part, 1)
    assert isinstance(usage, Usage)
    return usage.input_tokens, usage.output_tokens, usage.reasoning_tokens, usage.cached_tokens


NAMED = {
    "prompt": "prompt_tokens",
    "completion": "completion_tokens",
    "total": "total_tokens",
    "thought": "reasoning_tokens",
}


def part(**named: object) -> Chunk:
    """Return one part of a usage."""
    return {NAMED.get(name, name): value for name, value in named.items()}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part(prompt=1000, completion=1, total=1001), part(prompt=0, completion=100, total=100)], (1000, 100)),
        ([part(prompt=1000, completion=500, total=1500), part(completion=100)], (1000, 100)),
        ([part(prompt=20), part(completion=4), part(total=24)], (20, 4)),
        ([part(total=24), part(prompt=20), part(completion=4)], (20, 4)),
        ([part(completion=4), part(prompt=20)], (20, 4)),
        ([part(prompt=20, completion=4), part(prompt=None, completion=0)], (20, 4)),
        ([part(prompt=20, completion=0, total=24)], (20, 4)),
        ([part(completion=4, total=24)], (20, 4)),
        ([part(total=24)], (None, None)),
        ([part(prompt=20, completion=424, total=1016)], (20, 996)),
        ([part(prompt=20, completion=424, total=1016, thought=0)], (20, 996)),
        ([part(prompt=20, completion=424, total=1016, thought=572)], (20, 996)),
        ([part(prompt=20, completion=424, total=444, thought=400)], (20, 424)),
        ([part(prompt=20, completion=424, total=30)], (20, 424)),
        ([part(prompt=20, completion=4, total=524, cache_read_input_tokens=500)], (520, 4)),
    ],
)
def test_counts_in_parts_are_merged_count_by_count(parts: list[Chunk], expected: tuple[int | None, int | None]) -> None:
    """A zero replaces nothing, a total counts only with the counts beside it, and nothing is summed."""
    assert counts(*parts)[:2] == expected


@pytest.mark.parametrize(
    ("parts", "in_doubt"),
    [
        ([part(prompt=3, completion=1), part(prompt=3, completion=2), part(prompt=3, completion=3)], False),
        ([part(prompt=3, completion=1), part(prompt=3, completion=1), part(prompt=3, completion=1)], True),
        ([part(completion=1), part(completion=1)], False),
        ([part(completion=5), part(completion=4)], True),
        ([part(prompt=1000, completion=1), part(prompt=10, completion=9)], True),
        ([part(prompt=1000, completion=1), part(prompt=0, completion=9)], False),
        ([part(prompt=3, completion=2, total=4)], True),
        ([part(prompt=3, completion=2, total=5)], False),
    ],
)
def test_counts_of_single_chunks_are_doubted(parts: list[Chunk], *, in_doubt: bool) -> None:
    """A relay may count each chunk separately, while counts of all text so far grow and never shrink."""
    merged = UsageCounts()
    assert [merged.add(each, 1, behind_text=True) for each in parts][-1].in_doubt is in_doubt


def test_counts_that_come_again_at_the_end_are_not_doubted() -> None:
    """There is no text between them."""
    merged = UsageCounts()
    for behind_text in (True, False, False, False):
        usage = merged.add(part(prompt=3, completion=2, total=5), 1, behind_text=behind_text)
    assert not usage.in_doubt


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=3, max_size=6, unique=True), st.booleans())
def test_a_stream_whose_chunks_all_come_twice_counts_once(pieces: list[str], reasoning: bool) -> None:
    """Two relays may both write the stream: three different pieces or more, each twice."""
    name, channel = ("reasoning_content", Channel.REASONING) if reasoning else ("content", Channel.ANSWER)
    fold = fold_chunks(
        *({"choices": [{"delta": {name: piece}}]} for piece in pieces for _ in range(2)), delta(finish="stop")
    )
    if not {"cumulative_chunks", "repeated_reply"}.intersection(fold.notes):
        assert (fold.text(channel), fold.notes) == ("".join(pieces), ("doubled_chunks",))


def test_messages_that_do_not_repeat_each_other_are_pieces() -> None:
    """This holds until the first delta, and the row has a flag."""
    fold = fold_chunks(message("Hello"), message(" there, "), message("you", "stop"))
    assert (fold.text(Channel.ANSWER), fold.notes) == ("Hello there, you", ("message_differs",))
    fold = fold_chunks(delta("Hello"), message(" there, "), message("you", "stop"))
    assert (fold.text(Channel.ANSWER), fold.notes) == ("Hello", ("message_differs",))


@given(st.lists(USAGES, min_size=1, max_size=5))
def test_a_known_count_is_never_lost(parts: list[Chunk]) -> None:
    """A count above zero that came in any part is in the merged counts, unless a later part replaces it."""
    merged = UsageCounts()
    for each in parts:
        merged.add(each, 1)
    for name, value in (("prompt_tokens", merged.input), ("completion_tokens", merged.output)):
        sent = [each[name] for each in parts if each.get(name)]
        assert value == (sent[-1] if sent else value)
        assert value or not sent


@given(st.text("abc ", max_size=20), st.lists(st.integers(0, 20), max_size=5), st.lists(st.integers(0, 20), max_size=5))
def test_reasoning_from_two_sources_is_taken_once(thought: str, cuts: list[int], others: list[int]) -> None:
    """For any division into pieces, and whichever source is ahead, the reasoning is there once."""
    merge, said = ReasoningMerge(), ""
    queues = [
        [
            thought[start:end]
            for start, end in pairwise([0, *sorted(c % (len(thought) + 1) for c in places), len(thought)])
        ]
        for places in (cuts, others)
    ]
    for place in range(max(map(len, queues))):
        for source, queue in zip(("tags", "reasoning"), queues, strict=True):
            if place < len(queue) and queue[place]:
                said += merge.add(source, queue[place])
    assert said.strip() == thought.strip()


def test_different_reasoning_of_two_sources_is_kept() -> None:
    """Text of the second source beyond that of the first is no repetition."""
    merge = ReasoningMerge()
    assert [merge.add("a", "one"), merge.add("b", "on"), merge.add("b", "ly"), merge.add("a", "!")] == [
        "one",
        "",
        "only",
        "!",
    ]
