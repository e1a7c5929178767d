"""The answer of a judge: what another model wrote about a reply, and how it ended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """The answer of a judge about one reply or one pair of replies."""

    judge: str
    """The target that was asked."""
    text: str | None
    """Its answer as it was written; None where its request failed."""
    error: str | None = None
    """Why its request failed."""
