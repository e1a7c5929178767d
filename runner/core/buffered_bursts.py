"""Bursts: pieces of text that something on the way held back and then let through together.

A model writes its tokens one after the other, or several in one piece. A proxy that buffers passes on, at once, all
pieces that have come since the last time: when its buffer was full, or when its timer ran out. The rule looks at the
arrival of the pieces alone, so it does not depend on the proxy. It is stated in docs/metrics.md.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

BURST_US = 5_000
"""Text that arrives completely within this span came in one burst. A pause between bursts is longer."""

FLUSH_US = 50
"""Text whose pieces follow each other this fast, on average, came in one burst too: the time is that of the line."""

TOGETHER_US, TOGETHER_MEAN_US = 1_000, 200
"""A piece came together with the one before if it followed within the first; on average it is within the second."""

FEWEST_TOGETHER, SHARE_TOGETHER = 6, 0.75
"""So many pieces, and such a share of them, came together with the one before: at least four in a burst, on average."""


def in_one_burst(at_us: Sequence[int]) -> bool:
    """Return whether all pieces, which arrived at these times in microseconds, came together."""
    return at_us[-1] - at_us[0] <= max(BURST_US, FLUSH_US * (len(at_us) - 1))


def is_held_back(at_us: Sequence[int], client_error_us: float = 0.0) -> bool:
    """Return whether the pieces of a text came in one burst or in several.

    Bursts no further apart than this process may have been late, by `client_error_us`, may be its own.
    """
    if len(at_us) < 3:
        return False
    if in_one_burst(at_us):
        return True
    gaps = [b - a for a, b in pairwise(at_us)]
    together = [gap for gap in gaps if gap <= TOGETHER_US]
    if len(together) < max(FEWEST_TOGETHER, SHARE_TOGETHER * len(gaps)):
        return False
    if sum(together) > TOGETHER_MEAN_US * len(together) or len(together) == len(gaps):
        return False
    return median(gap for gap in gaps if gap > TOGETHER_US) > max(BURST_US, client_error_us)


def first_arrival(at_us: Sequence[int]) -> int:
    """Return how many pieces came with the first one: as many as followed it within `TOGETHER_MEAN_US`."""
    return next((n for n, at in enumerate(at_us) if at - at_us[0] > TOGETHER_MEAN_US), len(at_us))
