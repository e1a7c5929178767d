"""What a check found: passed, failed, or not decided for want of what it would need to know."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check came out. What is not decided is counted apart: it is no pass."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and why it is not a pass."""

    verdict: Verdict
    why: str | None = None


PASSED = Finding(Verdict.PASSED)


def failed(why: str) -> Finding:
    """Return the finding of a check that was not met."""
    return Finding(Verdict.FAILED, why)


def undecided(why: str) -> Finding:
    """Return the finding of a check that lacks what it would need to know."""
    return Finding(Verdict.UNDECIDED, why)
