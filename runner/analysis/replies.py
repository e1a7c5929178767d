"""Replies of two arms compared: the same, reworded or changed, for each case and turn."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from statistics import mean, median

import pandas as pd

from runner.analysis.pairing import Arm
from runner.analysis.slow_requests import QUESTION
from runner.analysis.word_diff import share_of_words
from runner.checks.refusal import find_refusal
from runner.core.events import Outcome

REWORDED = 0.6
"""Two replies count as rewordings of each other from this share of common words on."""

MAX_REPEATS = 5
"""Repeats of each arm that are compared with each other; all are counted."""


class ReplySimilarity(StrEnum):
    """The similarity of both arms' replies to one question."""

    SAME = "same"
    REWORDED = "reworded"
    CHANGED = "changed"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class ReplyTally:
    """The replies of one arm to one question in all repeats. `text` is the most frequent one; None without replies.

    `agreement` is the share of the n replies that equal it, blanks apart. `length` is the median number of characters.
    `refusals` counts replies stopped by a content filter, refusals in a field of their own, and texts that begin like
    a refusal.
    """

    text: str | None
    n: int
    agreement: float | None
    length: float | None
    finish_reasons: Mapping[str, int]
    refusals: int


@dataclass(frozen=True, slots=True)
class ReplyChange:
    """One question and its two arms. `shared` is the mean share of words that a base and a new reply have in common."""

    target: str
    case: str
    turn: int
    similarity: ReplySimilarity
    shared: float | None
    base: ReplyTally
    new: ReplyTally


def compare_replies(target: str, base: Arm, new: Arm) -> tuple[ReplyChange, ...]:
    """Return the change of the replies to each question that both arms have, in the order of the base."""
    before = dict(iter(base.rows.groupby(QUESTION, sort=False)))
    after = dict(iter(new.rows.groupby(QUESTION, sort=False)))
    return tuple(_compare(target, key, before[key], after[key]) for key in before if key in after)


def _compare(target: str, key: Hashable, base: pd.DataFrame, new: pd.DataFrame) -> ReplyChange:
    case, turn = key if isinstance(key, tuple) else (key, 1)
    before, after = _whole_replies(base), _whole_replies(new)
    similarity, shared = _compare_texts(before, after)
    return ReplyChange(target, str(case), int(turn), similarity, shared, _tally(base, before), _tally(new, after))


def _whole_replies(rows: pd.DataFrame) -> list[str]:
    """Return the replies that ended `ok`; a stripped journal holds none."""
    texts: list[str] = rows.loc[rows["outcome"] == Outcome.OK.value, "reply"].dropna().tolist()
    return texts


def _compare_texts(before: Sequence[str], after: Sequence[str]) -> tuple[ReplySimilarity, float | None]:
    """Return how similar two sets of replies are, given how similar the base is to itself; and their common words."""
    if not before or not after:
        return ReplySimilarity.NOT_COMPARED, None
    known = {_without_blanks(text) for text in before}
    old, new = before[:MAX_REPEATS], after[:MAX_REPEATS]
    shared = mean(share_of_words(a, b) for a, b in product(old, new))
    if all(_without_blanks(text) in known for text in after):
        return ReplySimilarity.SAME, shared
    within_base = [share_of_words(a, b) for at, a in enumerate(old) for b in old[:at]]
    threshold = min([REWORDED, *([mean(within_base)] if within_base else [])])
    return ReplySimilarity.REWORDED if shared >= threshold else ReplySimilarity.CHANGED, shared


def _without_blanks(text: str) -> str:
    """Return a text with every run of blanks as one space."""
    return " ".join(text.split())


def _tally(rows: pd.DataFrame, texts: Sequence[str]) -> ReplyTally:
    counts = Counter(map(_without_blanks, texts))
    most_frequent, times = counts.most_common(1)[0] if counts else (None, 0)
    declining = {text for text in set(texts) if find_refusal(text)}
    refused = rows["flags"].str.contains("refusal", na=False) | (rows["outcome"] == Outcome.FILTERED.value)
    refused |= rows["reply"].isin(declining)
    lengths = rows.loc[rows["outcome"] == Outcome.OK.value, "chars"].dropna().tolist()
    return ReplyTally(
        text=next((text for text in texts if _without_blanks(text) == most_frequent), None),
        n=len(texts),
        agreement=times / len(texts) if texts else None,
        length=median(lengths) if lengths else None,
        finish_reasons=dict(Counter(rows["finish_reason"].dropna())),
        refusals=int(refused.sum()),
    )
