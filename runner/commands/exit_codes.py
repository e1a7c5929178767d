"""Exit codes of commands whose work was done: 0, or why it is not good enough.

What brings pandas is imported when there is something to judge: `compare run` needs this before its first request.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.checks.check_finding import CheckVerdict

if TYPE_CHECKING:
    from runner.analysis.diff import Difference
    from runner.analysis.snapshot import SnapshotComparison
    from runner.commands.run.send_and_write import FinishedRun
    from runner.commands.snapshot.compare import ComparedRun

OK, NOT_GOOD, NOTHING_COMPARED, INCOMPLETE, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 5, 130

ANSWERED = ("ok", "length", "filtered")
"""Outcomes that are no failure of a request."""


@dataclass(frozen=True, slots=True)
class AllowedErrors:
    """How many requests may fail: a number of them, or a percentage."""

    number: float = 0
    is_percentage: bool = False

    def of(self, requests: int) -> float:
        """Return how many of so many requests may fail."""
        return self.number * requests / 100 if self.is_percentage else self.number


def of_run(finished: "FinishedRun", allowed: AllowedErrors | None = None) -> int:
    """Return 130 for an interrupted run, 3 where more requests failed than allowed, 1 where a check failed, else 0."""
    if finished.interrupted:
        return INTERRUPTED
    outcomes = finished.run.measured["outcome"]
    judges = finished.run.judge_costs
    failed = int((~outcomes.isin(ANSWERED)).sum()) + sum(each.failed for each in judges)
    if failed > (allowed or AllowedErrors()).of(len(outcomes) + sum(each.requests for each in judges)):
        return INCOMPLETE
    return NOT_GOOD if any(cell.verdict is CheckVerdict.FAILED for cell in finished.run.checked) else OK


def of_difference(difference: "Difference", *, gate: bool, fail_undecided: bool) -> int:
    """Return 1 for a regression behind a gate, 5 for an undecided row if that is to fail, else 0.

    `fail_undecided` is a gate, too.
    """
    from runner.analysis.verdict import Verdict  # noqa: PLC0415

    if (gate or fail_undecided) and difference.having(Verdict.REGRESSED):
        return NOT_GOOD
    return UNDECIDED if fail_undecided and difference.having(Verdict.UNDECIDED) else OK


def of_snapshot(compared: "ComparedRun", accepted: "Collection[SnapshotComparison]") -> int:
    """Return 2 where nothing was compared and nothing accepted, 1 for what is wrong and not accepted, else 0."""
    from runner.analysis.snapshot import COMPARED, WRONG  # noqa: PLC0415

    if not accepted and not any(each.state in COMPARED for each in compared.comparisons):
        return NOTHING_COMPARED
    checks_failed = any(cell.verdict is CheckVerdict.FAILED for cell in compared.run.checked)
    is_wrong = any(each.state in WRONG and each not in accepted for each in compared.comparisons)
    return NOT_GOOD if checks_failed or is_wrong else OK
