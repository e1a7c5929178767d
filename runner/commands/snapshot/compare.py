"""Compare a run with its suite's snapshot, and store the accepted replies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.analysis.loaded_run import Run
from runner.analysis.reply_diff import WholeReply
from runner.analysis.snapshot import (
    KEEPABLE,
    ComparedQuestion,
    SnapshotComparison,
    SnapshotState,
    SuiteScope,
    compare_snapshot,
    timings_of,
)
from runner.commands.snapshot.store import read_replies, remove_reply, snapshot_folder, write_reply, write_timings
from runner.core.suite import Suite
from runner.errors import CompareError
from runner.storage.find_run import find_run
from runner.storage.journal import Journal, read
from runner.suite.expectations import plain_expectations


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run of a suite, compared with the suite's snapshot."""

    run: Run
    journal: Journal
    folder: Path
    """The snapshot's folder."""
    comparisons: tuple[SnapshotComparison, ...]
    lines: Mapping[str, int | None]
    """Case -> its line in the suite's file; None if unknown."""
    covers_all: bool
    """Whether the run covers the whole suite and every stored reply; only then are its timings stored."""

    @property
    def changes(self) -> tuple[SnapshotComparison, ...]:
        """Comparisons that the user accepts or rejects."""
        return tuple(each for each in self.comparisons if each.state in KEEPABLE)


def compare_run(suite: Suite, path: Path, source: Path) -> ComparedRun:
    """Compare a run with its suite's snapshot, by the checks that the suite has now.

    Args:
        suite: the suite, with all its cases.
        path: the suite's file.
        source: the run's folder, its id, or `latest`.

    Raises:
        CompareError: there is no such run, it is of another suite, or the snapshot cannot be read.

    """
    log = read(find_run(source))
    if log.header.suite != suite.name:
        raise CompareError(f"{log.header.run_id} is a run of the suite {log.header.suite}, not of {suite.name}")
    log = replace(log, header=replace(log.header, checks=plain_expectations(suite.cases)))
    run, folder = Run.of_journal(log), snapshot_folder(path)
    kept, scope = read_replies(folder), _scope_of(suite)
    comparisons = compare_snapshot(kept, run, scope)
    lines = {case.id: case.line for case in suite.cases}
    return ComparedRun(run, log, folder, comparisons, lines, _covers_all(scope, run, kept, comparisons))


def _scope_of(suite: Suite) -> SuiteScope:
    names = {str(name) for row in suite.targets for name in row.names}
    # A row without models stands for the provider's default models, which the suite does not list.
    lists_all = bool(suite.targets) and all(row.models for row in suite.targets)
    return SuiteScope({case.id: case.steps.most for case in suite.cases}, names if lists_all else None)


def _covers_all(
    scope: SuiteScope, run: Run, kept: Mapping[ComparedQuestion, WholeReply], comparisons: Iterable[SnapshotComparison]
) -> bool:
    compared = {each.question for each in comparisons}
    return run.ended and scope.turns.keys() <= set(run.header.cases) and kept.keys() <= compared


def keep_replies(compared: ComparedRun, accepted: Iterable[SnapshotComparison]) -> list[SnapshotComparison]:
    """Write accepted replies and remove accepted orphaned ones; return the comparisons that changed a file."""
    changed = [each for each in accepted if each.state is SnapshotState.ORPHANED or each.now not in {None, each.kept}]
    for each in changed:
        if each.now is None:
            remove_reply(compared.folder, each.question)
        else:
            write_reply(compared.folder, each.question, each.now)
    return changed


def keep_timings(compared: ComparedRun) -> str | None:
    """Write the run's timings if it covers the whole suite; return the reason if they are not written."""
    if not compared.covers_all:
        return "the timings were left as they are: this run did not ask all that the suite asks and all that is kept"
    if any(each.state is SnapshotState.MISSING for each in compared.comparisons):
        return "the timings were left as they are: requests failed in this run"
    write_timings(compared.folder, compared.journal, timings_of(compared.run))
    return None
