"""A run held against a baseline, or one of its targets against another, before a pipeline goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from runner.analysis.diff import Difference, diff_runs, diff_within
from runner.analysis.measures import choose_measures
from runner.analysis.run import Run
from runner.commands.diff import Rule, exit_code, open_run, write_difference
from runner.errors import CompareError
from runner.outputs import junit
from runner.outputs.diff.formats import DIFFERENCE_WRITERS
from runner.storage.run_folder import write_atomically

__all__ = ["Gate", "Rule", "open_gate"]

FILE_NAMES = ("difference.md", "difference.json")
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Gate:
    """What a run is held against: the `base` run, or else two targets of its own. Shut, a regression fails the run."""

    base: Run | None
    arms: tuple[str, str] | None
    rule: Rule
    is_shut: bool
    fail_undecided: bool

    def settle(self, targets: Sequence[str], cases: Sequence[str]) -> Self:
        """Return the gate with its arms by the names of the targets that a run is about to ask.

        Raises:
            CompareError: it has arms, and these are not two; or its base has nothing that this run will have.

        """
        if self.arms is None:
            self._refuse_strangers("target", targets, () if self.base is None else self.base.header.targets)
            self._refuse_strangers("case", cases, () if self.base is None else self.base.header.cases)
            return self
        match targets:
            case [base, new]:
                return replace(self, arms=(base, new))
        asked = ", ".join(targets) or "nobody"
        raise CompareError(f"--ab compares two targets, and this would ask {asked}. Name two that differ")

    def _refuse_strangers(self, what: str, asked: Sequence[str], kept: Sequence[str]) -> None:
        if self.base is not None and kept and not {*asked} & {*kept}:
            raise CompareError(
                f"nothing could be compared: the baseline {self.base.header.run_id} has no {what} that this run "
                f"asks. It has {_name_some(kept)}; this would ask {_name_some(asked)}"
            )

    def judge(self, run: Run) -> Difference:
        """Compare.

        Raises:
            CompareError: nothing could be compared, which must not look like a pass.

        """
        if self.base is not None:
            return diff_runs(self.base, run, self.rule)
        assert self.arms is not None
        return diff_within(run, *self.arms, self.rule)

    def exit_code(self, difference: Difference) -> int:
        """Return 1 for a regression behind a gate, 5 for what is undecided if that was to fail, else 0."""
        return exit_code(difference, gate=self.is_shut or self.fail_undecided, fail_undecided=self.fail_undecided)


def _name_some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def open_gate(
    baseline: Path | None, arms: tuple[str, str] | None, rule: Rule, *, is_shut: bool, fail_undecided: bool
) -> Gate:
    """Return a gate, its baseline read: a run's folder, a snapshot's, or any journal, stripped or not.

    Raises:
        CompareError: there is no baseline there, or no such measure.

    """
    choose_measures(rule.measures)
    return Gate(None if baseline is None else open_run(baseline), arms, rule, is_shut, fail_undecided)


def write_verdicts(difference: Difference, run: Run, folder: Path, outputs: tuple[Path, ...]) -> list[Path]:
    """Write a comparison into a run's folder, and add it to the JUnit files that were asked for."""
    written = [folder / name for name in FILE_NAMES]
    write_difference(difference, written)
    for path in outputs:
        if path.suffix.lower() == ".xml":
            write_atomically(path, junit.join(junit.write(run), DIFFERENCE_WRITERS[".xml"](difference)))
    return written
