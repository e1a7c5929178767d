"""Faults of files, rows and templates that a suite or an import cannot use."""

from typing import Self

from runner.errors import InvalidFile


class Fault(Exception):
    """Something cannot be used; `what` is wrong, `hint` is what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    @classmethod
    def of(cls, error: InvalidFile, where: str = "") -> Self:
        """Return the first problem of a file as a fault, with `where` in front of the message."""
        return cls(where + error.problems[0].what, error.problems[0].hint)


class UnusableFile(Fault):
    """A file that a suite names cannot be used."""


class NotImportable(Fault):
    """A part of another tool's file has no counterpart in a suite."""


class BadTemplate(Fault):
    """A template cannot be filled."""
