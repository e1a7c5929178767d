"""Every sentence a user sees instead of a traceback.

    CompareError           one clear sentence, exit code 2
      InvalidFile          every problem of a suite, a configuration or a case file, at once
      UnknownTarget        a -m or -p that matches nothing
      MissingKey           a target asked for by name has no key, exit code 4
      BrokenPlugin         what another distribution brings cannot be used
      JournalError         a run's folder cannot be read or written
        WriteFailed            what was heard, or made of it, does not go onto the disk, exit code 3
      ClusterLost          the workers of a run are gone, exit code 3

A provider's failure is not in this tree: it is data, a `Record` with an outcome. A bug of ours
is not in it either: it stays a traceback.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class CompareError(Exception):
    """Shown as one sentence; `exit_code` is what the command then returns."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at one place: what it is, and what to do about it."""

    path: str
    line: int
    column: int
    what: str
    hint: str

    def __str__(self) -> str:
        """Render as `file:line:column: what. hint.`, which editors can jump to."""
        return f"{self.path}:{self.line}:{self.column}: {self.what}. {self.hint}."


class InvalidFile(CompareError):
    """All the problems found, in the order of their places."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.path, p.line, p.column)))
        count = len(self.problems)
        tail = f"{count} problem{'s' if count != 1 else ''}; nothing was sent."
        super().__init__("\n".join([*map(str, self.problems), tail]))


class UnknownTarget(CompareError):
    """A target, provider or pattern that names nothing known."""


class MissingKey(CompareError):
    """A target that was asked for by name cannot be asked: its key is not there."""

    exit_code = 4


class BrokenPlugin(CompareError):
    """What another distribution brings cannot be used; the sentence names the distribution."""


class JournalError(CompareError):
    """A run's folder cannot be read, or cannot be written."""


class WriteFailed(JournalError):
    """What was heard, or made of it, does not go onto the disk: requests were sent, and something is missing."""

    exit_code = 3


class ClusterLost(CompareError):
    """The workers that heard a run are gone: requests were sent, and the others are not."""

    exit_code = 3


def did_you_mean(word: str, known: Sequence[str]) -> str | None:
    """Return the known word closest to a mistyped one; None if none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 -- only a mistake needs it

    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None
