"""Compare two runs, two targets or places of one run, or a run with the runs before it; write the comparison.

A gate is such a comparison at the end of a run, which the run must pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runner.analysis.diff import Difference, diff_places, diff_runs, diff_within
from runner.analysis.diff_measures import refuse_without_data
from runner.analysis.diff_verdict import Rule
from runner.analysis.history_diff import diff_with_history
from runner.analysis.run_results import Run
from runner.analysis.stored_summary import summarize_run
from runner.commands.load_stored_run import load_run, resolve_journal
from runner.commands.run.options import RunOptions, spell_option
from runner.commands.runs import list_stored_runs
from runner.core.slo import Slo
from runner.core.suite import Case
from runner.errors import CompareError, ErrorCollector, Spelling, list_first
from runner.outputs import DIFFERENCE_WRITERS
from runner.storage.atomic_write import write_atomically, write_by_suffix
from runner.storage.run_folder import DIFFERENCE_FILES, RESULTS, check_outputs
from runner.storage.stored_summary import StoredRun
from runner.version import __version__

if TYPE_CHECKING:
    from runner.commands.run.perform import FinishedRun

HISTORY = "history"
"""Name that stands for all comparable runs before a run."""

MAX_NAMED = 5

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DiffSides:
    """The two sides of a comparison: exactly one of `new`, `between` and `between_regions` is set."""

    base: Run | Path
    """The run to compare with, or its name; or `history`, see `find_history`."""
    new: Run | Path | None = None
    between: Pair | None = None
    """Two targets of `base`; the second is compared with the first."""
    between_regions: Pair | None = None
    """Two regions or nodes that all of `base` was sent from."""

    @property
    def names(self) -> list[Path]:
        """The sides that are named rather than loaded."""
        return [side for side in (self.base, self.new) if isinstance(side, Path)]

    def check(self, spell: Spelling) -> None:
        """Check what can be wrong with the sides before they are loaded; `spell` returns an option's name.

        Raises:
            CompareError: the second side is not given exactly once, a run or a folder of runs does not exist, or both
                sides are the same run; the message has all of this.

        """
        errors = ErrorCollector()
        errors.attempt(self._refuse_ambiguous, spell)
        found = [errors.attempt(_find_side, name) for name in self.names]
        errors.raise_collected()
        match found:
            case [base, new] if base == new:
                raise CompareError(
                    f"{self.base} and {self.new} are the same run. Name two runs that differ, such as previous latest"
                )

    def _refuse_ambiguous(self, spell: Spelling) -> None:
        given = sum(each is not None for each in (self.new, self.between, self.between_regions))
        if given != 1:
            fault = "the second side of the comparison is missing" if given == 0 else "more than two sides are given"
            raise CompareError(
                f"{fault}. Name two runs. For one run, name two of its targets with {spell_pair(spell('between'))}, "
                f"or two regions with {spell_pair(spell('between_regions'))}"
            )


def _find_side(name: Path) -> Path:
    """Return the journal of a run, or the folder of a history."""
    return find_history(name) or resolve_journal(name)


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """The options of a comparison; None keeps the default of the rule."""

    sides: DiffSides
    metrics: tuple[str, ...] = ()
    """Measures to compare; empty for all."""
    alpha: float = 0.01
    min_effect: float | None = None
    min_pass_change: float | None = None
    slo: Slo | None = None
    """SLO in place of the runs' own; a comparison with a history keeps these."""
    outputs: tuple[Path, ...] = ()
    """Files that the comparison will be written to."""
    spell: Spelling = spell_option


def diff(options: DiffOptions) -> Difference:
    """Compare two sides as options say.

    Raises:
        CompareError: the options are wrong, and the message has all their mistakes; or as for `compare`.

    """
    errors = ErrorCollector()
    errors.attempt(options.sides.check, options.spell)
    rule = errors.attempt(
        Rule.of, options.min_effect, options.min_pass_change, alpha=options.alpha, measures=options.metrics
    )
    errors.attempt(check_outputs, options.outputs, DIFFERENCE_WRITERS, reads=options.sides.names)
    errors.raise_collected()
    assert rule is not None
    return compare(options.sides, rule, options.slo)


def spell_pair(option: str) -> str:
    """Return an option with two values, as a command or as Python writes it."""
    return f"{option} A B" if option.startswith("-") else f"{option}=('A', 'B')"


def compare(sides: DiffSides, rule: Rule, slo: Slo | None = None) -> Difference:
    """Compare the two sides.

    Args:
        sides: the sides.
        rule: the rule for verdicts.
        slo: SLO in place of the runs' own; a comparison with a history keeps these.

    Raises:
        CompareError: there is no such run, target or place, or the two sides have nothing in common.

    """
    history = find_history(sides.base) if isinstance(sides.base, Path) else None
    if history is not None:
        if sides.new is None:
            raise CompareError(
                f"{sides.base} is compared with a run, not within one. Name the run, such as `latest`, and no pair"
            )
        return compare_with_history(_load(sides.new), history, rule)
    base = _load(sides.base).with_slo(slo)
    if sides.new is not None:
        return diff_runs(base, _load(sides.new).with_slo(slo), rule)
    if sides.between is not None:
        return diff_within(base, *sides.between, rule)
    assert sides.between_regions is not None
    return diff_places(base, *sides.between_regions, rule)


def _load(run: Run | Path) -> Run:
    return load_run(run) if isinstance(run, Path) else run


def find_history(name: Path) -> Path | None:
    """Return the folder of runs that `history` or `history:FOLDER` names; None for any other name.

    Raises:
        CompareError: the named folder does not exist. results/ need not exist, since the first run makes it.

    """
    word, _, named = str(name).partition(":")
    if word != HISTORY:
        return None
    folder = Path(named or RESULTS)
    if folder != RESULTS and not folder.is_dir():
        raise CompareError(f"{name}: there is no folder {folder}; name one that holds the folders of runs")
    return folder


def compare_with_history(run: Run, folder: Path, rule: Rule) -> Difference:
    """Compare a run with the comparable runs before it in a folder.

    Raises:
        CompareError: the folder cannot be read, or nothing can be compared.

    """
    new = StoredRun(folder / run.header.run_id, summarize_run(run, __version__))
    runs = list_stored_runs(folder).runs if folder.exists() else ()
    return diff_with_history(new, runs, folder, rule)


def write_difference(difference: Difference, outputs: Sequence[Path], language: str | None = None) -> None:
    """Write a comparison to files in the format of each suffix; pages in `language`, by default that of the locale."""
    write_by_suffix(outputs, lambda suffix: _render(difference, suffix, language))


def _render(difference: Difference, suffix: str, language: str | None) -> str:
    if suffix != ".html":
        return DIFFERENCE_WRITERS[suffix](difference)
    from runner.outputs.report.render_html import write_diff  # brings jinja2

    return write_diff(difference, language)


# Gates


@dataclass(frozen=True, slots=True)
class Gate:
    """A comparison that a run must pass: with a baseline or with earlier runs, or between two of its targets."""

    base: Run | Path | None
    """The baseline, or the name of a history; None if two targets of the run are compared."""
    arms: Pair | None
    """Two targets of the run; the second is compared with the first."""
    rule: Rule

    def with_planned_names(self, targets: Sequence[str], cases: Sequence[Case], slo: Slo | None) -> Self:
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
            if isinstance(self.base, Run):
                _refuse_disjoint(self.base, "target", targets, self.base.header.targets)
                _refuse_disjoint(self.base, "case", [case.id for case in cases], self.base.header.cases)
            return self
        match targets:
            case [base, new]:
                return replace(self, arms=(base, new))
        raise CompareError(
            f"--ab compares two different targets, and these name {', '.join(targets) or 'no target'}. "
            "Name two that differ"
        )

    def _refuse_without_data(self, cases: Sequence[Case], slo: Slo | None) -> None:
        checked = {case.id for case in cases if case.expectations.checks}
        if isinstance(self.base, Run):
            slo = slo or self.base.slo
            checked &= {case for case, expected in self.base.header.checks.items() if expected.get("checks")}
        refuse_without_data(self.rule.measures, has_slo=slo is not None, has_checks=bool(checked))

    def compare(self, run: Run) -> Difference:
        """Return the comparison of a finished run.

        Raises:
            CompareError: nothing can be compared, which must not count as a pass.

        """
        sides = DiffSides(run, between=self.arms) if self.base is None else DiffSides(self.base, run)
        return compare(sides, self.rule)


def _refuse_disjoint(base: Run, what: str, planned: Sequence[str], kept: Sequence[str]) -> None:
    if kept and not {*planned} & {*kept}:
        raise CompareError(
            f"nothing could be compared: the baseline {base.header.run_id} has no {what} of this run. "
            f"It has {list_first(kept, MAX_NAMED)}; this run has {list_first(planned, MAX_NAMED)}"
        )


def open_gate(options: RunOptions) -> Gate:
    """Return the gate of a run whose options name a comparison, with its baseline loaded.

    Raises:
        CompareError: there is no such baseline or no such measure; the message names both.

    """
    errors = ErrorCollector()
    rule = errors.attempt(Rule.of, options.min_effect, options.min_pass_change, measures=options.metrics)
    base = errors.attempt(_load_baseline, options.baseline)
    errors.raise_collected()
    assert rule is not None
    return Gate(base, options.arms, rule)


def _load_baseline(name: Path | None) -> Run | Path | None:
    return name if name is None or find_history(name) is not None else load_run(name)


def add_to_run(difference: Difference, finished: "FinishedRun") -> list[Path]:
    """Write a comparison into the run's folder, and add it to its pages and JUnit files; return the new files."""
    from runner.outputs import junit
    from runner.outputs.report.render_html import write_report

    files = [finished.folder / name for name in DIFFERENCE_FILES]
    write_difference(difference, files)
    for path in finished.written:
        if path.suffix.lower() == ".html":
            write_atomically(path, write_report([finished.run], difference))
        elif path.suffix.lower() == ".xml":
            write_atomically(path, junit.join(junit.write(finished.run), DIFFERENCE_WRITERS[".xml"](difference)))
    return files
