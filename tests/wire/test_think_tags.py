"""Think tags: reasoning at the beginning of an answer gets its own channel, for any cut of the tags."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import AnswerWasReasoning, Channel, Event, Text
from runner.core.record_from_events import Fold
from runner.wire.decoders.think_tags import ThinkTags

REASONING, ANSWER = Channel.REASONING, Channel.ANSWER
HEADED = "Here is my thought process: r Here is my response: a"


def split_think_tags(pieces: list[str]) -> dict[Channel, str]:
    """Return the text of each channel when an answer arrives in the given pieces."""
    tags, fold = ThinkTags(), Fold()
    events: list[Event] = [event for piece in pieces for event in tags.feed(Text(1, ANSWER, piece))]
    for event in [*events, *tags.flush()]:
        assert not isinstance(event, Text) or event.text
        fold.add(event)
    return {channel: fold.text(channel) or "" for channel in Channel}


@pytest.mark.parametrize(
    ("answer", "reasoning", "rest"),
    [
        ("<think>r</think>a", "r", "a"),
        (" \n<think>\nr\n</think>\n\na", "\nr\n", "a"),
        ("<thinking>r</think></thinking>a", "r</think>", "a"),
        ("<thought>r</thought>", "r", ""),
        ("<think></think>a", "", "a"),
        ("<think>r", "r", ""),
        ("<think>r</thi", "r</thi", ""),
        ("<think>r</think>a<think>b</think>", "r", "a<think>b</think>"),
        ("<think", "", "<think"),
        ("<b>a</b>", "", "<b>a</b>"),
        ("a <think>r</think>", "", "a <think>r</think>"),
        ("r</think>a", "r", "a"),
        ("r</ THINK >a", "r", "a"),
        ("r</think>\n\n", "r", ""),
        ("</think>a", "", "a"),
        ("a `</think>` b", "", "a `</think>` b"),
        ("if a < b and b > c", "", "if a < b and b > c"),
        ("[THINK]r[/THINK]a", "r", "a"),
        ("r[/THINK]a", "r", "a"),
        ("[1, 2] a", "", "[1, 2] a"),
        ("< think >r</think >a", "r", "a"),
        ("<seed:think>r</seed:think>a", "r", "a"),
        ("◁think▷r◁/think▷a", "r", "a"),
        ("<|channel|>analysis<|message|>r<|end|><|start|>assistant<|channel|>final<|message|>a<|return|>", "r", "a"),
        ("<|channel|>final<|message|>a<|return|>", "", "a"),
        ("<|START_THINKING|>r<|END_THINKING|><|START_RESPONSE|>a<|END_RESPONSE|>", "r", "a"),
        ("<|channel>thought\nr<channel|>a", "\nr", "a"),
        ("<|begin_of_thought|>r<|end_of_thought|>\n<|begin_of_solution|>a<|end_of_solution|>", "r", "a"),
        ("<|think|>r<|end|><|begin|>assistant<|content|>a", "r", "a"),
        ("<|think|>r<|/think|>a", "r", "a"),
        ("<|content|>a", "", "a"),
        ("r<|think:end|>a", "r", "a"),
        ("<|thinking|>r<|/thinking|>a", "r", "a"),
        ("<|plamo:begin_think:plamo|>r<|plamo:end_think:plamo|>a<|plamo:tag|>", "r", "a"),
        ("<ifm|think>r</ifm|think>a", "r", "a"),
        ("[unused16]r[unused17]a", "r", "a"),
        ("<|content_thinking|>r<|end_message|><|message_model|><|content_text|>a<|end_message|>", "r", "a"),
        (" to=self<|message|>r<|eom|><|start|>assistant to=user<|message|>a<|eot|>", "r", "a"),
        ("to be to=self<|message|>", "", "to be to=self<|message|>"),
        ("to", "", "to"),
        ("<redacted_thinking>r</redacted_thinking>a", "", "<redacted_thinking>r</redacted_thinking>a"),
        ("<think>r</think><think>s</think>a", "rs", "a"),
        (" " * 100 + "<think>r", "", " " * 100 + "<think>r"),
        (HEADED, "Here is my thought process: r ", "a"),
        ("\nHere's my thought process:r Here's my response:\n\na", "\nHere's my thought process:r ", "a"),
        ("Here is my thought process: r", "", "Here is my thought process: r"),
        ("Here is my response: a", "", "Here is my response: a"),
        (f"a {HEADED}", "", f"a {HEADED}"),
        ("analysisWe add.assistantfinal4", "analysisWe add.", "4"),
        ("analysis of assistantfinal", "", "analysis of assistantfinal"),
        ("<think>r</think>analysisX assistantfinal", "r", "analysisX assistantfinal"),
    ],
)
@given(cuts=st.lists(st.integers(0, 120), max_size=8))
def test_think_tags_at_the_beginning_mark_reasoning(answer: str, reasoning: str, rest: str, cuts: list[int]) -> None:
    """Chunks may cut the tags anywhere; all other text stays the answer."""
    edges = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    pieces = [answer[start:end] for start, end in pairwise(edges) if start < end]
    texts = split_think_tags(pieces)
    assert (texts[REASONING], texts[ANSWER]) == (reasoning, rest)


@given(st.lists(st.text("<>/thinko \n[]`", min_size=1, max_size=6), max_size=8))
def test_think_tags_add_no_text_and_drop_only_tags_and_blanks(pieces: list[str]) -> None:
    """The text of each channel is a part of the answer, unchanged."""
    texts = split_think_tags(pieces)
    answer = "".join(pieces)
    assert len(texts[REASONING]) + len(texts[ANSWER]) <= len(answer)
    assert texts[ANSWER] in answer
    if "think" not in answer:
        assert texts[REASONING] + texts[ANSWER] == answer


TAGGED = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "</ think>",
            "[/THINK]",
            "<|end|>",
            "<|channel|>final<|message|>",
            "<",
            "</",
            "`",
            "a",
            "\n",
        ]
    ),
    max_size=9,
).map("".join)


@given(TAGGED, st.lists(st.integers(0, 200), max_size=10))
def test_think_tags_are_the_same_however_chunks_cut_the_answer(answer: str, cuts: list[int]) -> None:
    """Tags, halves of tags and quotes in any order: the channels do not depend on the chunks."""
    edges = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    pieces = [answer[start:end] for start, end in pairwise(edges) if start < end]
    assert split_think_tags(pieces) == split_think_tags([answer] if answer else [])


def test_answer_begins_after_a_lone_closing_tag() -> None:
    """The text before it becomes reasoning, and blanks after the tag are not the answer's first text."""
    tags, fold = ThinkTags(), Fold()
    for at_ns, piece in enumerate(("Let me add: ", "2+2 is 4.", "\n</think>\n\n", "The answer is 4."), 1):
        for event in tags.feed(Text(at_ns, ANSWER, piece)):
            fold.add(event)
    events = fold.text_events(0)
    assert events.channels == "rrra"
    assert list(fold.timestamps_ns) == [1, 2, 3, 4]
    assert fold.notes == ("unopened_thinking",)
    assert AnswerWasReasoning(3) not in tags.flush()


def test_text_held_back_keeps_its_timestamp_and_model() -> None:
    """Text that might have been part of a tag is returned unchanged."""
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
