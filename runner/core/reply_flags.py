"""Flags of doubt about a reply that ended regularly, derived from its texts. Pure."""

import re

from runner.core.events import TIMED, Channel, Outcome
from runner.core.finish_reasons import FinishClass, classify_reason
from runner.core.think_tag_families import EVERY_TAG, QUOTES

LIKE_A_TAG = (
    r"(?:[<◁]|&lt;)[|｜]? ?/? ?[\w:|-]{0,32}(?:think|thought|reasoning)[\w:|-]{0,32}"
    r"(?: [\w:-]{1,32}=[^<>\n]{0,80})?[|｜]? ?/?(?:[>▷]|&gt;)"
)
"""Pattern of think tags of unknown vendors, with or without attributes."""

MARKS = ("<|channel|>", "<|channel>", "<|message|>", *EVERY_TAG)

SIGNS = "<[◁&"
"""Characters of which each tag has one. Few replies have any, and their search takes 1 % of the search for tags."""

TAG = re.compile(f"{LIKE_A_TAG}|{'|'.join(map(re.escape, sorted(MARKS, key=len, reverse=True)))}", re.IGNORECASE)

CODE = re.compile(
    r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)|(?<!`)(`+)(?!`)[^\n]{1,200}?(?<!`)\2(?!`)", re.DOTALL | re.MULTILINE
)
"""Code in Markdown: a block, to the end if nothing closes it, or a span within a line."""


def holds_think_tag(text: str) -> bool:
    """Return whether a text contains a think tag, of a known family or similar to one, outside code and quotes."""
    if not any(sign in text for sign in SIGNS) or TAG.search(text) is None:
        return False
    prose = CODE.sub("", text)
    return any(not found.start() or prose[found.start() - 1] not in QUOTES for found in TAG.finditer(prose))


def flags_of_texts(
    outcome: Outcome, finish_reason: str | None, channels: str, reply: str | None, reasoning: str | None
) -> set[str]:
    """Return the flags that follow from a reply's texts. `channels` has a letter for each text event.

    Texts that were not stored and replies that failed get no flags.
    """
    if outcome not in TIMED:
        return set()
    is_known = bool(channels) or reply is not None
    without_tool = is_known and Channel.TOOL not in channels
    for_tool = classify_reason(finish_reason or "") is FinishClass.TOOLS
    flags = {
        "think_tag_in_answer": bool(reply) and holds_think_tag(reply or ""),
        "reasoning_is_answer": bool(reply and reasoning) and (reply or "").strip() == (reasoning or "").strip(),
        "no_answer": outcome is Outcome.OK and without_tool and Channel.ANSWER not in channels,
        "no_tool_call": for_tool and without_tool,
    }
    return {flag for flag, holds in flags.items() if holds}
