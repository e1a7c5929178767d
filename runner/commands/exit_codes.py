"""Exit codes of commands that did their work: 0, or a code for what is wrong with the result.

Modules that import pandas are imported inside functions, since `compare run` loads this module at its start.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from runner.checks.check_finding import CheckVerdict
from runner.errors import CompareError

if TYPE_CHECKING:
    from runner.analysis.diff import Difference
    from runner.analysis.snapshot import SnapshotComparison
    from runner.commands.run.perform import FinishedRun
    from runner.commands.snapshot import ComparedRun

OK, NOT_GOOD, NOTHING_COMPARED, INCOMPLETE, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 5, 130

ANSWERED = ("ok", "length", "filtered")
"""Outcomes that do not count as a failed request."""


@dataclass(frozen=True, slots=True)
class AllowedErrors:
    """Number of requests that may fail, absolute or as a percentage."""

    number: float = 0
    is_percentage: bool = False

    def of(self, requests: int) -> float:
        """Return how many of this number of requests may fail."""
        return self.number * requests / 100 if self.is_percentage else self.number


def parse_allowed_errors(text: str) -> AllowedErrors:
    """Parse a number of requests, or a percentage of them: `3`, `5%`.

    Raises:
        CompareError: the text is neither, or it is below 0 or above 100 %.

    """
    digits, is_percentage = text.removesuffix("%"), text.endswith("%")
    try:
        number = float(digits) if is_percentage else int(digits)
    except ValueError:
        raise CompareError(f"{text!r} is neither a number nor a percentage") from None
    if not 0 <= number <= (100 if is_percentage else inf):
        raise CompareError(f"{text} is out of range; write a number from 0, or a percentage up to 100%")
    return AllowedErrors(number, is_percentage)


def of_run(finished: "FinishedRun", allowed: AllowedErrors | None = None) -> int:
    """Return 130 for an interrupted run, 3 if more requests failed than allowed, 1 if a check failed, else 0."""
    if finished.interrupted:
        return INTERRUPTED
    outcomes = finished.run.measured["outcome"]
    judges = finished.run.judge_costs
    failed = int((~outcomes.isin(ANSWERED)).sum()) + sum(each.failed for each in judges)
    if failed > (allowed or AllowedErrors()).of(len(outcomes) + sum(each.requests for each in judges)):
        return INCOMPLETE
    return NOT_GOOD if any(cell.verdict is CheckVerdict.FAILED for cell in finished.run.checked) else OK


def of_difference(difference: "Difference", *, gate: bool, fail_undecided: bool) -> int:
    """Return 1 for a regression with `gate`, 5 for an undecided row with `fail_undecided`, else 0.

    `fail_undecided` implies `gate`.
    """
    from runner.analysis.diff_verdict import Verdict

    if (gate or fail_undecided) and difference.having(Verdict.REGRESSED):
        return NOT_GOOD
    return UNDECIDED if fail_undecided and difference.having(Verdict.UNDECIDED) else OK


def of_snapshot(compared: "ComparedRun", accepted: "Collection[SnapshotComparison]") -> int:
    """Return 2 if nothing was compared and nothing accepted, 1 for a failed check or a change not accepted, else 0."""
    from runner.analysis.snapshot import COMPARED, WRONG

    if not accepted and not any(each.state in COMPARED for each in compared.comparisons):
        return NOTHING_COMPARED
    checks_failed = any(cell.verdict is CheckVerdict.FAILED for cell in compared.run.checked)
    is_wrong = any(each.state in WRONG and each not in accepted for each in compared.comparisons)
    return NOT_GOOD if checks_failed or is_wrong else OK
