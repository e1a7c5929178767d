"""Think tags: reasoning at the beginning of an answer gets its own channel, however chunks split the tags."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Channel, Text
from runner.wire.think_tags import ThinkTags

REASONING, ANSWER = Channel.REASONING, Channel.ANSWER


def split_think_tags(pieces: list[str]) -> dict[Channel, str]:
    """Return the text of each channel when an answer arrives in the given pieces."""
    tags, texts = ThinkTags(), []
    for piece in pieces:
        texts += tags.feed(Text(1, ANSWER, piece))
    texts += tags.flush()
    assert all(text.text for text in texts)
    return {channel: "".join(text.text for text in texts if text.channel is channel) for channel in Channel}


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
def test_think_tags_at_the_beginning_mark_reasoning(answer: str, reasoning: str, rest: str, cuts: list[int]) -> None:
    """However chunks split the tags; everything else stays the answer."""
    edges = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    pieces = [answer[start:end] for start, end in pairwise(edges) if start < end]
    texts = split_think_tags(pieces)
    assert (texts[REASONING], texts[ANSWER]) == (reasoning, rest)


@given(st.lists(st.text("<>/thinko \n", min_size=1, max_size=6), max_size=8))
def test_think_tags_lose_no_text(pieces: list[str]) -> None:
    """The texts joined are the answer, less at most one pair of tags and the blanks before it."""
    texts = split_think_tags(pieces)
    answer = "".join(pieces)
    rebuilt = texts[REASONING] + texts[ANSWER]
    if texts[ANSWER] != answer:
        tag = answer.lstrip().removeprefix("<").partition(">")[0]
        rebuilt_with_tags = answer.lstrip().removeprefix(f"<{tag}>").replace(f"</{tag}>", "", 1)
        assert rebuilt == rebuilt_with_tags


def test_text_held_back_keeps_its_timestamp_and_model() -> None:
    """Text that may be part of a tag is returned unchanged when it is not."""
    tags = ThinkTags()
    first, second = Text(1, ANSWER, "<", 10, "m"), Text(2, ANSWER, "b>", 20, "m")
    assert tags.feed(first) == []
    assert tags.feed(second) == [first, second]
    assert tags.settled


def test_text_divided_by_a_tag_keeps_the_timestamp_of_its_chunk() -> None:
    """Each part has the timestamp of the chunk."""
    tags = ThinkTags()
    text = Text(3, ANSWER, "<think>r</think>a", 30, "m")
    assert tags.feed(text) == [text._replace(channel=REASONING, text="r"), text._replace(text="a")]
