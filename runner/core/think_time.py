"""Think time: the time a user reads and writes between two turns of a conversation, fixed or random with a seed."""

import math
import re
from dataclasses import dataclass
from random import Random

from runner.core.durations_and_shares import NUMBER, UNIT, UNITS_S

_FORM = re.compile(rf"(lognormal )?({NUMBER})({UNIT})(?: ({NUMBER}))?")

DEFAULT_SIGMA, MAX_SIGMA = 0.5, 2.0
"""Default spread of waits, and the largest spread allowed."""

MAX_WAIT_S = 3600.0
"""Longest median and longest wait, in seconds."""


@dataclass(frozen=True, slots=True)
class ThinkTime:
    """A log-normal distribution of waits in seconds; with a spread of 0 all waits are equal."""

    median_s: float
    sigma: float = 0.0
    """Standard deviation of the natural logarithm of a wait."""

    def wait_s(self, seed: int, case: str, repeat: int, turn: int) -> float:
        """Return the seconds to wait before a turn, at most an hour; they are the same for every target.

        Args:
            seed: the seed of the run.
            case: the id of the case.
            repeat: the number of the repeat.
            turn: the number of the turn that follows the wait.

        """
        if not self.sigma:
            return self.median_s
        random = Random(f"think/{seed}/{case}/{repeat}/{turn}")  # noqa: S311 -- a load, not a secret
        return min(random.lognormvariate(math.log(self.median_s), self.sigma), MAX_WAIT_S)

    def __str__(self) -> str:
        """Return the think time in the form used in suites: `2s`, `lognormal 2s 0.5`."""
        return f"lognormal {self.median_s:g}s {self.sigma:g}" if self.sigma else f"{self.median_s:g}s"


def parse_think_time(text: str) -> ThinkTime:
    """Parse a think time.

    `2s` is always two seconds. `lognormal 2s` has a median of two seconds and a spread of 0.5, `lognormal 2s 0.8` a
    spread of 0.8.

    Raises:
        ValueError: the text is not a think time, or a value is out of range.

    """
    found = _FORM.fullmatch(text.strip())
    if found is None or (found[4] and not found[1]):
        raise ValueError(
            f"`{text}` is not a think time. Write 2s, `lognormal 2s`, or with its spread `lognormal 2s 0.8`"
        )
    median_s = float(found[2]) * UNITS_S[found[3]]
    sigma = 0.0 if not found[1] else float(found[4] or DEFAULT_SIGMA)
    if not 0 < median_s <= MAX_WAIT_S or sigma > MAX_SIGMA or (found[1] and not sigma):
        raise ValueError(
            f"`{text}` is out of range. Write one above 0 and up to an hour, its spread up to {MAX_SIGMA:g}"
        )
    return ThinkTime(median_s, sigma)
