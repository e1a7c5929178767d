"""What became of the replies: the same, reworded or changed, for each case and turn of two arms."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from statistics import mean, median

import pandas as pd

from runner.analysis.pairing import STRATUM, Arm
from runner.analysis.word_diff import share_of_words
from runner.checks.refusal import find_refusal
from runner.core.events import Outcome

REWORDED = 0.6
"""Of the words, what must be shared for two replies to count as two wordings of one."""

MOST_REPEATS = 5
"""Of each arm that are compared with one another; all are counted."""


class Likeness(StrEnum):
    """How the replies to one question compare."""

    SAME = "same"
    REWORDED = "reworded"
    CHANGED = "changed"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class ReplyTally:
    """What one arm replied to one question in all its repeats. `text` is the commonest reply; None if there is none.

    `agreement` is the share of the n replies that are that one, blanks apart. `refusals` counts what a content filter
    stopped, what the model refused in a field of its own, and replies that begin as refusals do.
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
    likeness: Likeness
    shared: float | None
    base: ReplyTally
    new: ReplyTally


def compare_replies(target: str, base: Arm, new: Arm) -> tuple[ReplyChange, ...]:
    """Compare the replies to every question that both arms were asked, in the order of the base."""
    asked = dict(iter(base.rows.groupby(STRATUM, sort=False)))
    answered = dict(iter(new.rows.groupby(STRATUM, sort=False)))
    return tuple(_compare(target, key, asked[key], answered[key]) for key in asked if key in answered)


def _compare(target: str, key: Hashable, base: pd.DataFrame, new: pd.DataFrame) -> ReplyChange:
    case, turn = key if isinstance(key, tuple) else (key, 1)
    before, after = _texts(base), _texts(new)
    likeness, shared = _liken(before, after)
    return ReplyChange(target, str(case), int(turn), likeness, shared, _tell(base, before), _tell(new, after))


def _texts(rows: pd.DataFrame) -> list[str]:
    """Return the whole replies; a stripped journal holds none."""
    texts: list[str] = rows.loc[rows["outcome"] == Outcome.OK.value, "reply"].dropna().tolist()
    return texts


def _liken(before: Sequence[str], after: Sequence[str]) -> tuple[Likeness, float | None]:
    """Judge two sets of replies, by how much the base differs from itself too."""
    if not before or not after:
        return Likeness.NOT_COMPARED, None
    known = {_gist(text) for text in before}
    old, new = before[:MOST_REPEATS], after[:MOST_REPEATS]
    shared = mean(share_of_words(a, b) for a, b in product(old, new))
    if all(_gist(text) in known for text in after):
        return Likeness.SAME, shared
    usual = [share_of_words(a, b) for at, a in enumerate(old) for b in old[:at]]
    bar = min([REWORDED, *([mean(usual)] if usual else [])])
    return Likeness.REWORDED if shared >= bar else Likeness.CHANGED, shared


def _gist(text: str) -> str:
    return " ".join(text.split())


def _tell(rows: pd.DataFrame, texts: Sequence[str]) -> ReplyTally:
    gists = Counter(map(_gist, texts))
    commonest, times = gists.most_common(1)[0] if gists else (None, 0)
    declining = {text for text in set(texts) if find_refusal(text)}
    refused = rows["flags"].str.contains("refusal", na=False) | (rows["outcome"] == Outcome.FILTERED.value)
    refused |= rows["reply"].isin(declining)
    lengths = rows.loc[rows["outcome"] == Outcome.OK.value, "chars"].dropna().tolist()
    return ReplyTally(
        text=next((text for text in texts if _gist(text) == commonest), None),
        n=len(texts),
        agreement=times / len(texts) if texts else None,
        length=median(lengths) if lengths else None,
        finish_reasons=dict(Counter(rows["finish_reason"].dropna())),
        refusals=int(refused.sum()),
    )
