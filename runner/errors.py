"""The errors that a user sees as a message instead of a traceback.

    CompareError           base class, exit code 2
    ├── InvalidFile        a suite, configuration or case file has problems; the message lists all of them
    ├── SeveralErrors      steps that do not depend on each other failed; the message has all of theirs
    ├── UnknownTarget      a target, provider or pattern matches nothing
    ├── MissingKey         a target named by the user has no API key, exit code 4
    ├── BrokenPlugin       a plug-in of another distribution cannot be used
    ├── JournalError       a run's folder cannot be read or written
    │   └── WriteFailed    results could not be written after requests were sent, exit code 3
    ├── FileChanged        a file that a run sends has changed since the suite was read, exit code 3
    └── ClusterLost        the workers of a run are gone, exit code 3

Failed requests are not errors but data: a `Record` with an outcome. Bugs raise other exceptions and show a traceback.
What collects errors follows, then functions that build parts of messages: a number with its noun, a list of names, the
closest known word; and the type of the function that spells an option.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

Spelling = Callable[..., str]
"""Function of a field of a run's options, or of the options of one command, and optionally a value; returns the option
as the user writes it, on the command line or in Python."""


class CompareError(Exception):
    """The base class of all errors; a command prints its message and exits with `exit_code`."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}", *getattr(self, "__notes__", ())]


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: its place, what is wrong, and a hint on what to do.

    Line and column are counted from 1; both are 0 if the file itself cannot be read.
    """

    path: str
    line: int
    column: int
    what: str
    hint: str

    def __str__(self) -> str:
        """Return `file:line:column: what. hint.`, which editors can jump to; without a position if there is none."""
        place = f"{self.path}:{self.line}:{self.column}" if self.column else self.path
        return f"{place}: {self.what}. {as_sentence(self.hint)}"


class InvalidFile(CompareError):
    """One or more files have problems, which are sorted by file, line and column."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.path, p.line, p.column)))
        super().__init__("\n".join(map(str, self.problems)))


class SeveralErrors(CompareError):
    """Errors of steps that do not depend on each other; the exit code is theirs if it is the same for all."""

    def __init__(self, errors: Sequence[CompareError]) -> None:
        self.errors = tuple(errors)
        codes = {error.exit_code for error in errors}
        self.exit_code = codes.pop() if len(codes) == 1 else CompareError.exit_code
        super().__init__("\n".join(map(str, errors)))


class UnknownTarget(CompareError):
    """A target, provider or pattern matches nothing known."""


class MissingKey(CompareError):
    """A target that the user named has no API key."""

    exit_code = 4


class BrokenPlugin(CompareError):
    """A plug-in cannot be used; the message names its distribution."""


class JournalError(CompareError):
    """A run's folder cannot be read or written."""


class WriteFailed(JournalError):
    """Requests were sent, but their results could not all be written to disk."""

    exit_code = 3


class FileChanged(CompareError):
    """A file that a run sends has changed since the suite was read; some requests were sent already."""

    exit_code = 3


class ClusterLost(CompareError):
    """The workers of a run are gone: some requests were sent, and the remaining ones cannot be sent."""

    exit_code = 3


class ErrorCollector:
    """Collects the errors of steps that do not depend on each other, to report all of them at once."""

    def __init__(self) -> None:
        self.errors: list[CompareError] = []

    def attempt(
        self, step: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result | None:
        """Return the result of a step; None, with the error kept, if it raises a CompareError."""
        try:
            return step(*args, **kwargs)
        except CompareError as error:
            self.errors += error.errors if isinstance(error, SeveralErrors) else [error]
        return None

    def raise_collected(self) -> None:
        """Raise the only error as it is, or `SeveralErrors`; return if there is none."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise SeveralErrors(self.errors)


MAX_LISTED = 5
"""Number of names that a message lists; it gives the number of further ones."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 request`, `2 requests`; `plural` is for nouns that do not just add an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def list_first(names: Sequence[str], most: int = MAX_LISTED) -> str:
    """Return names as `a, b and 3 more`: the first `most` names, and how many follow."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def as_sentence(text: str) -> str:
    """Return a text with a full stop, unless it is a question."""
    return text if text.endswith("?") else f"{text}."


def closest_word(word: str, known: Sequence[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word closest to a mistyped one; None if no similarity, from 0 to 1, reaches `cutoff`."""
    from difflib import get_close_matches  # noqa: PLC0415 -- only a mistake needs it

    close = get_close_matches(word, known, n=1, cutoff=cutoff)
    return close[0] if close else None


def suggest(*words: str) -> str:
    """Return the question whether these words were meant: "Did you mean `a` and `b`?"."""
    return f"Did you mean {' and '.join(f'`{word}`' for word in words)}?"


def did_you_mean(word: str, known: Sequence[str], otherwise: str = "") -> str:
    """Return a question that suggests the known word closest to a mistyped one; `otherwise` if none is close."""
    near = closest_word(word, known)
    return suggest(near) if near else otherwise
