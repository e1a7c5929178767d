"""Which words two texts share. A word is a run of letters and digits; a Chinese or Japanese character is one by itself.

Needs no dictionary and knows no language: it tells that words differ, never that meanings do.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import groupby
from unicodedata import category

MAX_WORDS = 5_000
"""Longer texts are compared line by line: words would take time that grows with the square of the length."""

_ONE_BY_ONE = ((0x2E80, 0x312F), (0x31A0, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))
"""Scripts written without spaces: Han, kana, bopomofo, full-width forms. Korean has spaces."""


class WordChange(StrEnum):
    """What became of a piece of text."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class DiffPiece:
    """Text that stayed, went or came as one."""

    change: WordChange
    text: str


def tokenize(text: str) -> list[str]:
    """Split text into words, blanks and single signs; joined, they are the text again."""
    return ["".join(group) for _, group in groupby(text, _Sorting())]


class _Sorting:
    """A key for `groupby` that is equal for neighbours within a word or a blank, and new for all else."""

    def __init__(self) -> None:
        self._signs = 0

    def __call__(self, character: str) -> object:
        if character.isspace():
            return "blank"
        if category(character)[0] in "LNM" and not any(a <= ord(character) <= b for a, b in _ONE_BY_ONE):
            return "word"
        self._signs += 1
        return self._signs


def word_diff(old: str, new: str) -> tuple[DiffPiece, ...]:
    """Return what stayed, went and came, in reading order, what went before what came in its place.

    All but what was added is the old text, all but what was removed the new one.
    """
    before, after = tokenize(old), tokenize(new)
    if max(len(before), len(after)) > MAX_WORDS:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    return tuple(_pieces(before, after))


def _pieces(before: Sequence[str], after: Sequence[str]) -> Iterator[DiffPiece]:
    gone = come = ""
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        old, new = "".join(before[a:b]), "".join(after[c:d])
        if tag == "equal" and (not (gone or come) or not old.isspace()):
            yield from _changed(gone, come)
            gone = come = ""
            yield DiffPiece(WordChange.SAME, old)
        else:  # a blank between two changes joins them, else every second piece would be a blank
            gone, come = gone + old, come + new
    yield from _changed(gone, come)


def _changed(gone: str, come: str) -> Iterator[DiffPiece]:
    if gone:
        yield DiffPiece(WordChange.REMOVED, gone)
    if come:
        yield DiffPiece(WordChange.ADDED, come)


def share_of_words(old: str, new: str) -> float:
    """Return the share of words, blanks apart, that both texts have, in whatever order; 1 for two empty texts.

    Twice the common words by all words (Dice's coefficient, each word as often as it occurs).
    """
    before, after = (Counter(token for token in tokenize(text) if not token.isspace()) for text in (old, new))
    words = before.total() + after.total()
    return 2 * (before & after).total() / words if words else 1.0
