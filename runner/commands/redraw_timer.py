"""Limit how often a live view is drawn."""

from collections.abc import Callable
from time import perf_counter

REDRAWS_PER_S = 4
"""Redraws per second; few, since drawing shares the event loop, or the CPU, that measures."""


class RedrawTimer:
    """Decides when a live view is drawn again.

    Args:
        wait_s: seconds before it is drawn for the first time.
        clock: returns the time in seconds.

    """

    def __init__(self, wait_s: float = 0.0, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._due_s = clock() + wait_s

    def is_due(self) -> bool:
        """Return whether to draw now; if so, the next time is a fixed interval later."""
        now_s = self._clock()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + 1 / REDRAWS_PER_S
        return True
