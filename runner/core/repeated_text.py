"""Detection of pieces of a reply that repeat earlier text: all of the text, or each piece twice.

Servers that repeat the reply at its end, servers that send cumulative text, and two relays that both write cause it.
"""

from collections.abc import Sequence
from itertools import pairwise

REPEATED_CHARS, TRIMMED_CHARS = 4, 16
"""Least length of a last piece that counts as a repetition of all text before it, in characters: if it is exactly
equal, and if only white space around it differs."""

CUMULATIVE_PIECES, SHORT_PIECES, LONG_PIECES = 3, 4, 2
"""Least number of pieces of a stream that counts as cumulative, where each piece begins with all of the one before:
for a text of 16 characters or more, for a shorter text, and for a first piece of 4 characters or more."""

DOUBLED_PIECES = 3
"""Least number of different pieces of a stream that counts as doubled, where each piece comes twice."""


def is_repetition(text: str, before: str) -> bool:
    """Return whether a piece equals all text of its channel before it; for a long one, ignore white space around it."""
    return before == text or (len(text) >= TRIMMED_CHARS and before.strip() == text.strip())


def may_be_cumulative(lengths: Sequence[int], *, may_be_two: bool) -> bool:
    """Return whether there are enough pieces to count as cumulative.

    Args:
        lengths: the lengths of the pieces in characters, ascending.
        may_be_two: whether two pieces are enough if the first one is long.

    """
    is_short = lengths[-1] < TRIMMED_CHARS
    if is_short and not all(before < after for before, after in pairwise(lengths)):
        return False
    if may_be_two and lengths[0] >= REPEATED_CHARS:
        return len(lengths) >= LONG_PIECES
    return len(lengths) >= (SHORT_PIECES if is_short else CUMULATIVE_PIECES)


def additions(pieces: Sequence[str]) -> list[str] | None:
    """Return the text that each piece adds to the one before; None if a piece does not begin with all of it."""
    if not all(after.startswith(before) for before, after in pairwise(pieces)):
        return None
    return [pieces[0], *(after[len(before) :] for before, after in pairwise(pieces))]


def are_doubled(pieces: Sequence[str]) -> bool:
    """Return whether each piece came twice and enough of them are different."""
    return pieces[::2] == pieces[1::2] and len(set(pieces)) >= DOUBLED_PIECES
