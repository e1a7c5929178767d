"""Doubts about a reply: think tags within an answer, repeated text, no answer, no tool call."""

import time

import pytest

from runner.core.events import Outcome
from runner.core.reply_flags import flags_of_texts, holds_think_tag


@pytest.mark.parametrize(
    "text",
    [
        "The sum is <think>2+2</think> 4.",
        "The <think> tag opens it.",
        "a</think>b",
        "<redacted_thinking>r</redacted_thinking>a",
        "<antThinking>r</antThinking>a",
        "<think type='deep'>r",
        "<|reasoning_start|>r",
        "&lt;think&gt;r",
        "a [THINK]r[/THINK]",
        "a [unused16]",
        "a ◁think▷",
        "a <|channel|>commentary to=functions.add",
        "a<|inner_prefix|>r<|inner_suffix|>b",
        "~~~\n<think>\n~~~\n<think>",
        "`a\n<think>`",
    ],
)
def test_think_tags_amid_an_answer_are_doubted(text: str) -> None:
    """The text between such tags may be reasoning, whatever their name."""
    assert holds_think_tag(text)


@pytest.mark.parametrize(
    "text",
    [
        "Use `<think>` and ``</think>``.",
        "```xml\n<think>2+2</think>\n```\n4",
        "```\n<think>never closed",
        "It is written \"<think>\", or '<thinking>', or «<thought>».",
        "a < b and thinking > 3",
        "if x<thinking_limit or y>3",
        "<b>thought</b>",
        '<div class="reasoning">',
        "[Thinking](https://x.org/thinking)",
        "https://x.org/<id>/reasoning",
        "",
    ],
)
def test_answers_that_speak_of_tags_in_code_or_quotes_are_not_doubted(text: str) -> None:
    """Words, links and other elements are not doubted either."""
    assert not holds_think_tag(text)


@pytest.mark.parametrize("piece", ["<" * 40, "<" + "a" * 32, "`", "`a ``b ```c ", "```\n", "<think", "\n~~~ "])
def test_no_answer_takes_long_to_search(piece: str) -> None:
    """Any text of a megabyte is searched within seconds."""
    started = time.process_time()
    holds_think_tag((piece * (2**20 // len(piece) + 1))[: 2**20] + "<think>")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("outcome", "reason", "texts", "doubts"),
    [
        (Outcome.OK, "stop", ("a", "Hello", None), []),
        (Outcome.OK, "stop", ("ra", "Hello", "Let me see"), []),
        (Outcome.OK, "stop", ("ra", "Hello", "Hello\n"), ["reasoning_is_answer"]),
        (Outcome.OK, "stop", ("r", "", "Hello"), ["no_answer"]),
        (Outcome.OK, "stop", ("r", None, None), ["no_answer"]),
        (Outcome.OK, "stop", ("", "", None), ["no_answer"]),
        (Outcome.OK, "stop", ("", None, None), []),
        (Outcome.LENGTH, "length", ("r", "", "Hello"), []),
        (Outcome.OK, "tool_calls", ("t", "", None), []),
        (Outcome.OK, "tool_calls", ("a", "Hello", None), ["no_tool_call"]),
        (Outcome.FILTERED, "content_filter", ("", "", None), []),
    ],
)
def test_doubts_follow_from_texts(
    outcome: Outcome, reason: str, texts: tuple[str, str | None, str | None], doubts: list[str]
) -> None:
    """A reply that ran out of tokens during reasoning has an outcome for it; texts not stored give no flag."""
    assert flags_of_texts(outcome, reason, *texts) == set(doubts)
