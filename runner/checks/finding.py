"""What a check found: passed, failed, or not decided for want of what it would need to know."""

from dataclasses import dataclass
from enum import StrEnum


class CheckVerdict(StrEnum):
    """How a check came out. What is not decided is counted apart: it is no pass."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """A verdict, and why it is not a pass."""

    verdict: CheckVerdict
    why: str | None = None


PASSED = CheckFinding(CheckVerdict.PASSED)


def failed(why: str) -> CheckFinding:
    """Return the finding of a check that was not met."""
    return CheckFinding(CheckVerdict.FAILED, why)


def undecided(why: str) -> CheckFinding:
    """Return the finding of a check that lacks what it would need to know."""
    return CheckFinding(CheckVerdict.UNDECIDED, why)
