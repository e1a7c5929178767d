"""Compare a run at its end with a baseline or with earlier runs, or compare two of its targets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from runner.analysis.diff import Difference
from runner.analysis.diff_measures import choose_measures, refuse_without_data
from runner.analysis.run_results import Run
from runner.analysis.verdict import Rule
from runner.commands.diff import compare, compare_with_history, find_history, write_difference
from runner.commands.load_stored_run import load_run
from runner.commands.run.options import RunOptions
from runner.commands.run.perform import FinishedRun
from runner.core.slo import Slo
from runner.core.suite import Case
from runner.errors import CompareError, list_first
from runner.outputs import DIFFERENCE_WRITERS, junit
from runner.outputs.report.render_html import write_report
from runner.storage.atomic_write import write_atomically

FILE_NAMES = ("difference.md", "difference.json")
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Gate:
    """A comparison that a run must pass: with a baseline, between two of its targets, or with earlier runs."""

    base: Run | None
    arms: tuple[str, str] | None
    """Two targets of the run; the second is compared with the first."""
    rule: Rule
    history: Path | None = None
    """Folder of the earlier runs to compare with."""

    def settle(self, targets: Sequence[str], cases: Sequence[Case], slo: Slo | None) -> Self:
        """Return the gate with its arms named as in the plan of a run that is about to start.

        Args:
            targets: names of the plan's targets.
            cases: cases of the plan.
            slo: SLO of the run.

        Raises:
            CompareError: the arms are not two different targets; the baseline has no target or case of the run; or the
                run or the baseline cannot have a selected measure.

        """
        self._refuse_without_data(cases, slo)
        if self.arms is None:
            if self.base is not None:
                self._refuse_disjoint("target", targets, self.base.header.targets)
                self._refuse_disjoint("case", [case.id for case in cases], self.base.header.cases)
            return self
        match targets:
            case [base, new]:
                return replace(self, arms=(base, new))
        asked = ", ".join(targets) or "nobody"
        raise CompareError(f"--ab compares two targets, and this would ask {asked}. Name two that differ")

    def _refuse_without_data(self, cases: Sequence[Case], slo: Slo | None) -> None:
        checked = {case.id for case in cases if case.expectations.checks}
        if self.base is not None:
            slo = slo or self.base.slo
            checked &= {case for case, expected in self.base.header.checks.items() if expected.get("checks")}
        refuse_without_data(self.rule.measures, has_slo=slo is not None, has_checks=bool(checked))

    def _refuse_disjoint(self, what: str, planned: Sequence[str], kept: Sequence[str]) -> None:
        if self.base is not None and kept and not {*planned} & {*kept}:
            raise CompareError(
                f"nothing could be compared: the baseline {self.base.header.run_id} has no {what} that this run "
                f"asks. It has {list_first(kept, MOST_NAMED)}; this would ask {list_first(planned, MOST_NAMED)}"
            )

    def compare(self, run: Run) -> Difference:
        """Return the comparison of a finished run.

        Raises:
            CompareError: nothing can be compared, which must not count as a pass.

        """
        if self.base is not None:
            return compare(self.base, run, self.rule)
        if self.history is not None:
            return compare_with_history(run, self.history, self.rule)
        assert self.arms is not None
        return compare(run, self.arms, self.rule)


def open_gate(options: RunOptions) -> Gate | None:
    """Return the gate of a run, with its baseline loaded; None if the options name no comparison.

    Raises:
        CompareError: there is no such baseline, or no such measure.

    """
    if options.baseline is None and options.arms is None:
        return None
    rule = Rule.of(options.min_effect, options.min_pass_change, measures=options.metrics)
    choose_measures(rule.measures)
    history = None if options.baseline is None else find_history(options.baseline)
    if options.baseline is None or history is not None:
        return Gate(None, options.arms, rule, history)
    return Gate(load_run(options.baseline), options.arms, rule)


def write_verdicts(difference: Difference, finished: FinishedRun) -> list[Path]:
    """Write a comparison into the run's folder, and add it to its pages and JUnit files; return the new files."""
    files = [finished.folder / name for name in FILE_NAMES]
    write_difference(difference, files)
    for path in finished.written:
        if path.suffix.lower() == ".html":
            write_atomically(path, write_report([finished.run], difference))
        elif path.suffix.lower() == ".xml":
            write_atomically(path, junit.join(junit.write(finished.run), DIFFERENCE_WRITERS[".xml"](difference)))
    return files
