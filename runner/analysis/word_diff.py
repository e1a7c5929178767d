"""Word diff of two texts, and their similarity by words, in order or in any order.

A word is a sequence of letters and digits; a Chinese or Japanese character is a word by itself. There is no dictionary
and no language model: words are compared, not meanings.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import groupby
from unicodedata import category

MAX_WORDS = 5_000
"""Maximum number of tokens to compare in order, since the time grows with its square or faster."""

MIN_SHARED = 0.4
"""Minimum share of words in the same order in both texts for marks; below it, marks would obscure the text. White space
does not count, since any two texts share it."""

UNSPACED_SCRIPTS = ((0x2E80, 0x312F), (0x31A0, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))
"""Code points of scripts written without spaces, first and last of each range: Han, kana, bopomofo, full-width forms.
Korean has spaces."""


class WordChange(StrEnum):
    """Change of a piece of text: in both texts, only in the old one, or only in the new one."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class DiffPiece:
    """A piece of text that was kept, removed or added."""

    change: WordChange
    text: str


def tokenize(text: str) -> list[str]:
    """Return the words, white space and single symbols of a text; joined, they are the text."""
    return ["".join(group) for _, group in groupby(text, _TokenKey())]


def words_of(text: str) -> list[str]:
    """Return the words and single symbols of a text, without white space."""
    return [token for token in tokenize(text) if not token.isspace()]


class _TokenKey:
    """A key for `groupby`, equal for neighbours within a word or white space, different for all other characters."""

    def __init__(self) -> None:
        self._signs = 0

    def __call__(self, character: str) -> object:
        if character.isspace():
            return "blank"
        if category(character)[0] in "LNM" and not any(a <= ord(character) <= b for a, b in UNSPACED_SCRIPTS):
            return "word"
        self._signs += 1
        return self._signs


def word_diff(old: str, new: str) -> tuple[DiffPiece, ...]:
    """Return the pieces of both texts in reading order, with a removed piece before the one that replaces it.

    The pieces that were not added form the old text, and those that were not removed form the new one. Texts of more
    than MAX_WORDS tokens are compared by lines, and those of more lines not at all.
    """
    for split in (tokenize, _lines_of):
        before, after = split(old), split(new)
        if max(len(before), len(after)) <= MAX_WORDS:
            return tuple(_pieces(before, after))
    return whole_texts(old, new)


def whole_texts(old: str, new: str) -> tuple[DiffPiece, ...]:
    """Return two texts as a removed piece and an added one, without an empty text."""
    return tuple(_changed_pieces(old, new))


def _lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def marked_words(old: str, new: str) -> tuple[DiffPiece, ...] | None:
    """Return the word diff of texts that share enough words for marks to be useful; None for others."""
    pieces = word_diff(old, new)
    counts = Counter(dict.fromkeys(WordChange, 0))
    for piece in pieces:
        counts[piece.change] += len(words_of(piece.text))
    words = 2 * counts[WordChange.SAME] + counts[WordChange.REMOVED] + counts[WordChange.ADDED]
    return pieces if 2 * counts[WordChange.SAME] >= MIN_SHARED * words else None


def _pieces(before: Sequence[str], after: Sequence[str]) -> Iterator[DiffPiece]:
    removed = added = ""
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        old, new = "".join(before[a:b]), "".join(after[c:d])
        if tag == "equal" and (not (removed or added) or not old.isspace()):
            yield from _changed_pieces(removed, added)
            removed = added = ""
            yield DiffPiece(WordChange.SAME, old)
        else:  # white space between two changes joins them, otherwise every second piece would be white space
            removed, added = removed + old, added + new
    yield from _changed_pieces(removed, added)


def _changed_pieces(removed: str, added: str) -> Iterator[DiffPiece]:
    if removed:
        yield DiffPiece(WordChange.REMOVED, removed)
    if added:
        yield DiffPiece(WordChange.ADDED, added)


def similarity(old: str, new: str) -> float:
    """Return the similarity of two texts by words in order: 2 × common words / all words; 1 if equal.

    It is the ratio of `difflib.SequenceMatcher`, by J. Ratcliff and J. Obershelp ("Pattern Matching: the Gestalt
    Approach", Dr. Dobb's Journal, July 1988). For more than MAX_WORDS words it is the share of words in any order,
    which is an upper bound of that ratio.
    """
    before, after = words_of(old), words_of(new)
    if max(len(before), len(after)) > MAX_WORDS:
        return _dice(before, after)
    return SequenceMatcher(None, before, after, autojunk=False).ratio()


def share_of_words(old: str, new: str) -> float:
    """Return the share of words that two texts have in common, in any order; 1 for two empty texts.

    It is the Sørensen-Dice coefficient of the multisets of words: twice the number of common words divided by that of
    all words (L. Dice, "Measures of the Amount of Ecologic Association Between Species", Ecology 26, 1945).
    """
    return _dice(words_of(old), words_of(new))


def _dice(before: Sequence[str], after: Sequence[str]) -> float:
    words, common = len(before) + len(after), Counter(before) & Counter(after)
    return 2 * common.total() / words if words else 1.0
