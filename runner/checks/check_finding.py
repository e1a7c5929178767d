"""The result of a check: passed, failed, or not decided because something is unknown."""

from dataclasses import dataclass
from enum import StrEnum


class WorkExceeded(Exception):
    """A check exceeds its limit of work, about 2 s. Work is counted, so that a verdict does not depend on a clock."""


class CheckVerdict(StrEnum):
    """The verdict of a check. `not decided` counts separately, not as a pass."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """A verdict, with the reason if it is not a pass."""

    verdict: CheckVerdict
    why: str | None = None


PASSED = CheckFinding(CheckVerdict.PASSED)


def failed(why: str) -> CheckFinding:
    """Return the finding of a check that failed."""
    return CheckFinding(CheckVerdict.FAILED, why)


def undecided(why: str) -> CheckFinding:
    """Return the finding of a check that cannot decide because something is unknown."""
    return CheckFinding(CheckVerdict.UNDECIDED, why)
