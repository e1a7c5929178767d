"""Detection of bursts: pieces of text that an intermediary buffered and then sent together.

A model writes its tokens one after the other, or several in one piece. A buffering proxy collects pieces until its
buffer is full or its timer expires, and then sends all of them at once. The rule uses only the arrival times of the
pieces, so it does not depend on the proxy. docs/metrics.md states it.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

BURST_US = 5_000
"""Text that arrives completely within this span came in one burst; the pause between two bursts is longer."""

FLUSH_US = 50
"""Mean interval at or below which pieces also form one burst: it is only the transmission time of the network."""

TOGETHER_US, TOGETHER_MEAN_US = 1_000, 200
"""Largest interval between two pieces that came together, and the largest mean of such intervals."""

MIN_TOGETHER, SHARE_TOGETHER = 6, 0.75
"""Least number and least share of pieces that came together with the one before: on average four in a burst or more."""


def in_one_burst(at_us: Sequence[int]) -> bool:
    """Return whether pieces with these arrival times, in microseconds, all came together."""
    return at_us[-1] - at_us[0] <= max(BURST_US, FLUSH_US * (len(at_us) - 1))


def is_held_back(at_us: Sequence[int], client_error_us: float = 0.0) -> bool:
    """Return whether the pieces of a text came in one burst or in several, by their arrival times in microseconds.

    Where pauses are no longer than `client_error_us`, the bursts may be an artefact of this process, which may read
    late by that much. So they do not count.
    """
    if len(at_us) < 3:
        return False
    if in_one_burst(at_us):
        return True
    gaps = [b - a for a, b in pairwise(at_us)]
    together = [gap for gap in gaps if gap <= TOGETHER_US]
    if len(together) < max(MIN_TOGETHER, SHARE_TOGETHER * len(gaps)):
        return False
    if sum(together) > TOGETHER_MEAN_US * len(together) or len(together) == len(gaps):
        return False
    return median(gap for gap in gaps if gap > TOGETHER_US) > max(BURST_US, client_error_us)


def count_in_first_burst(at_us: Sequence[int]) -> int:
    """Return the number of pieces that arrived within `TOGETHER_MEAN_US` of the first one, which is included."""
    return next((n for n, at in enumerate(at_us) if at - at_us[0] > TOGETHER_MEAN_US), len(at_us))
