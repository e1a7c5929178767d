"""Comparison of the replies of two arms: the same, reworded or changed, for each case and turn.

A reply is its text and its tool calls. Calls are compared by name and arguments, as JSON. A reply whose calls differ
from those of every base reply is changed, however similar its text is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from statistics import mean, median
from typing import NamedTuple

from runner.analysis.check_results import steps_in
from runner.analysis.comparison_arms import Arm
from runner.analysis.dataframe import plain_cells
from runner.analysis.result_columns import Cell
from runner.analysis.slow_requests import QUESTION
from runner.analysis.word_diff import share_of_words
from runner.checks.refusal import find_refusal
from runner.core.events import Outcome
from runner.core.tool_call import ToolCall, calls_in, canonical_calls
from runner.core.turns_and_steps import NO_STEPS, Steps
from runner.storage.journal import Header

REWORDED = 0.6
"""Minimum share of common words for two replies to count as rewordings of each other."""

MAX_REPEATS = 5
"""Maximum number of repeats of each arm whose words are compared; all repeats are counted."""


class ReplySimilarity(StrEnum):
    """Similarity of both arms' replies to one question."""

    SAME = "same"
    REWORDED = "reworded"
    CHANGED = "changed"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class WholeReply:
    """A reply: its text, None if absent, and its tool calls in canonical form and order."""

    text: str | None
    calls: tuple[ToolCall, ...] = ()

    @property
    def shown(self) -> str:
        """The text, followed by each call on a line of its own."""
        return "\n".join([*([self.text] if self.text else []), *map(str, self.calls)])

    @property
    def key(self) -> tuple[str, tuple[ToolCall, ...]]:
        """A key that is equal for replies that differ only in white space."""
        return " ".join((self.text or "").split()), self.calls


def whole_reply(text: object, calls: object) -> WholeReply:
    """Return the reply in the cells `reply` and `tool_calls`; a cell that is not a string counts as absent."""
    return WholeReply(text if isinstance(text, str) else None, canonical_calls(calls_in(calls)))


@dataclass(frozen=True, slots=True)
class ReplyTally:
    """Replies of one arm to one question in all repeats. `most_frequent` is None without replies.

    `agreement` is the share of the `n` replies that equal it except for white space. `length` is the median number of
    characters. `refusals` is the number of replies stopped by a content filter, refusals in a separate field, and texts
    that begin like a refusal.
    """

    most_frequent: WholeReply | None
    n: int
    agreement: float | None
    length: float | None
    finish_reasons: Mapping[str, int]
    refusals: int

    @property
    def shown(self) -> str:
        """The text and the calls of the most frequent reply; empty without replies."""
        return self.most_frequent.shown if self.most_frequent else ""


@dataclass(frozen=True, slots=True)
class ReplyChange:
    """A question and its two arms. `shared` is the mean share of words that a base and a new reply have in common."""

    target: str
    case: str
    turn: int
    similarity: ReplySimilarity
    shared: float | None
    base: ReplyTally
    new: ReplyTally
    steps: Steps = NO_STEPS
    """Steps of the case's conversation."""


def compare_replies(target: str, base: Arm, new: Arm, header: Header) -> tuple[ReplyChange, ...]:
    """Return the change of the replies to each question that both arms have, in the order of the base."""
    before, after = _by_question(base), _by_question(new)
    changes = (_compare(target, *key, rows, after[key]) for key, rows in before.items() if key in after)
    return tuple(replace(change, steps=steps_in(header.checks, change.case, header.cache_probe)) for change in changes)


class _ReplyRow(NamedTuple):
    """The cells of a request that are compared."""

    outcome: Cell
    reply: Cell
    tool_calls: Cell
    flags: Cell
    chars: Cell
    finish_reason: Cell


def _by_question(arm: Arm) -> dict[tuple[str, int], list[_ReplyRow]]:
    """Return the rows of each question as tuples, since a table for each would take longer than the comparison."""
    found: dict[tuple[str, int], list[_ReplyRow]] = {}
    columns = (plain_cells(arm.rows[name]) for name in (*QUESTION, *_ReplyRow._fields))
    for case, turn, *cells in zip(*columns, strict=True):
        found.setdefault((str(case), int(turn or 0)), []).append(_ReplyRow(*cells))
    return found


def _compare(target: str, case: str, turn: int, base: Sequence[_ReplyRow], new: Sequence[_ReplyRow]) -> ReplyChange:
    before, after = _whole_replies(base), _whole_replies(new)
    similarity, shared = _compare_replies(before, after)
    return ReplyChange(target, case, turn, similarity, shared, _tally(base, before), _tally(new, after))


def _whole_replies(rows: Sequence[_ReplyRow]) -> list[WholeReply]:
    """Return the replies with the outcome `ok`; a stripped journal has none."""
    return [
        whole_reply(row.reply, row.tool_calls)
        for row in rows
        if row.outcome == Outcome.OK and (row.reply is not None or row.tool_calls is not None)
    ]


def _compare_replies(before: Sequence[WholeReply], after: Sequence[WholeReply]) -> tuple[ReplySimilarity, float | None]:
    """Return the similarity of two sets of replies, relative to that within the base, and their share of words."""
    if not before or not after:
        return ReplySimilarity.NOT_COMPARED, None
    known = {reply.key for reply in before}
    old, new = ([reply.shown for reply in replies[:MAX_REPEATS]] for replies in (before, after))
    shared = mean(share_of_words(a, b) for a, b in product(old, new))
    if all(reply.key in known for reply in after):
        return ReplySimilarity.SAME, shared
    if any(reply.calls not in {each.calls for each in before} for reply in after):
        return ReplySimilarity.CHANGED, shared
    within_base = [share_of_words(a, b) for at, a in enumerate(old) for b in old[:at]]
    threshold = min([REWORDED, *([mean(within_base)] if within_base else [])])
    return ReplySimilarity.REWORDED if shared >= threshold else ReplySimilarity.CHANGED, shared


def _tally(rows: Sequence[_ReplyRow], replies: Sequence[WholeReply]) -> ReplyTally:
    counts = Counter(reply.key for reply in replies)
    most_frequent, times = counts.most_common(1)[0] if counts else (None, 0)
    declining = {reply.text for reply in {*replies} if reply.text and find_refusal(reply.text)}
    lengths = [row.chars for row in rows if row.outcome == Outcome.OK and isinstance(row.chars, int)]
    return ReplyTally(
        most_frequent=next((reply for reply in replies if reply.key == most_frequent), None),
        n=len(replies),
        agreement=times / len(replies) if replies else None,
        length=median(lengths) if lengths else None,
        finish_reasons=dict(Counter(str(row.finish_reason) for row in rows if row.finish_reason is not None)),
        refusals=sum(
            "refusal" in str(row.flags) or row.outcome == Outcome.FILTERED or row.reply in declining for row in rows
        ),
    )
