"""Recognise pieces of a reply that repeat text which was sent before: the whole of it, or each piece twice.

A server that repeats the reply at its end, that sends cumulative text, or two relays that both write, do so.
"""

from collections.abc import Sequence
from itertools import pairwise

REPEATED_CHARS, TRIMMED_CHARS = 4, 16
"""Characters from which on a last piece that equals all text before it is taken for a repetition of it: exactly, and
with other white space around it."""

CUMULATIVE_PIECES, SHORT_PIECES, LONG_PIECES = 3, 4, 2
"""Pieces from which on a stream is taken for cumulative if each of them begins with all of the one before: of a text of
16 characters or more, of a shorter one, and if the first piece has 4 or more."""

DOUBLED_PIECES = 3
"""Different pieces from which on a stream is taken for doubled if each of them comes twice."""


def is_repetition(text: str, before: str) -> bool:
    """Return whether a piece equals all text of its channel before it, white space around a longer one aside."""
    return before == text or (len(text) >= TRIMMED_CHARS and before.strip() == text.strip())


def may_be_cumulative(lengths: Sequence[int], *, may_be_two: bool) -> bool:
    """Return whether pieces of these lengths, in characters and ascending, are enough to be taken for cumulative.

    `may_be_two` is whether two may be enough, if the first is long.
    """
    is_short = lengths[-1] < TRIMMED_CHARS
    if is_short and not all(before < after for before, after in pairwise(lengths)):
        return False
    if may_be_two and lengths[0] >= REPEATED_CHARS:
        return len(lengths) >= LONG_PIECES
    return len(lengths) >= (SHORT_PIECES if is_short else CUMULATIVE_PIECES)


def additions(pieces: Sequence[str]) -> list[str] | None:
    """Return what each of cumulative pieces adds to the one before; None if one does not begin with all of it."""
    if not all(after.startswith(before) for before, after in pairwise(pieces)):
        return None
    return [pieces[0], *(after[len(before) :] for before, after in pairwise(pieces))]


def are_doubled(pieces: Sequence[str]) -> bool:
    """Return whether each piece came twice, and enough of them differ."""
    return pieces[::2] == pieces[1::2] and len(set(pieces)) >= DOUBLED_PIECES
