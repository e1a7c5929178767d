"""Who stands in which column of the report: the targets of one run, or those of several runs, told apart by number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.analysis.places import MeasuredTarget
from runner.analysis.run import Run
from runner.analysis.summary import TargetSummary


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One target of one run; `summary` goes by the column's label."""

    run: Run
    target: MeasuredTarget
    summary: TargetSummary

    @property
    def label(self) -> str:
        """What the column is headed with: the target, and of several runs which one."""
        return str(self.summary.target)


def line_up(runs: Sequence[Run]) -> tuple[TargetColumn, ...]:
    """Return a column for each target of each run, run by run."""
    return tuple(
        TargetColumn(run, each.target, replace(each, target=name_target(each.target, number, len(runs))))
        for number, run in enumerate(runs, start=1)
        for each in run.summary
    )


def name_run(number: int, count: int) -> str:
    """Return what one of several runs is called, counted from 1; the only one needs no name."""
    return f"run {number}" if count > 1 else ""


def name_target(target: MeasuredTarget, number: int, count: int) -> MeasuredTarget:
    """Return a target as it is named among those of several runs."""
    return replace(target, run=name_run(number, count) or None)
