"""Think time: how long a user reads and writes between two turns of a conversation, fixed or drawn by a seed."""

import math
import re
from dataclasses import dataclass
from random import Random

_FORM = re.compile(r"(lognormal )?([0-9]+(?:\.[0-9]+)?)(ms|s|m)(?: ([0-9]+(?:\.[0-9]+)?))?")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0}

SIGMA, LARGEST_SIGMA = 0.5, 2.0
"""The spread of waits where none is written, and the largest one."""

LONGEST_S = 3600.0
"""The longest median, and the longest wait that is drawn."""


@dataclass(frozen=True, slots=True)
class ThinkTime:
    """A log-normal distribution of waits in seconds, or with a spread of 0 always the same wait."""

    median_s: float
    sigma: float = 0.0
    """The standard deviation of the natural logarithm of a wait."""

    def wait_s(self, seed: int, case: str, repeat: int, turn: int) -> float:
        """Return the seconds before a turn, at most an hour; the same for every target, and in a run with that seed.

        Args:
            seed: of the run.
            case: the id of the case.
            repeat: its number.
            turn: the number of the turn that follows the wait.

        """
        if not self.sigma:
            return self.median_s
        random = Random(f"think/{seed}/{case}/{repeat}/{turn}")  # noqa: S311 -- a load, not a secret
        return min(random.lognormvariate(math.log(self.median_s), self.sigma), LONGEST_S)

    def __str__(self) -> str:
        """Return the think time as it is written: `2s`, `lognormal 2s 0.5`."""
        return f"lognormal {self.median_s:g}s {self.sigma:g}" if self.sigma else f"{self.median_s:g}s"


def parse_think_time(text: str) -> ThinkTime:
    """Return the think time that a text sets; raise ValueError for any other text.

    `2s` is always two seconds; `lognormal 2s` has that median and a spread of 0.5, `lognormal 2s 0.8` another one.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or (found[4] and not found[1]):
        raise ValueError(
            f"`{text}` is not a think time. Write 2s, `lognormal 2s`, or with its spread `lognormal 2s 0.8`"
        )
    median_s = float(found[2]) * _UNITS_S[found[3]]
    sigma = 0.0 if not found[1] else float(found[4] or SIGMA)
    if not 0 < median_s <= LONGEST_S or sigma > LARGEST_SIGMA or (found[1] and not sigma):
        raise ValueError(
            f"`{text}` is out of range. Write one above 0 and up to an hour, its spread up to {LARGEST_SIGMA:g}"
        )
    return ThinkTime(median_s, sigma)
