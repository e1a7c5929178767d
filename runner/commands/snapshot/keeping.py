"""A run held against what is kept beside its suite, and what of it is kept from now on."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.analysis.run import Run
from runner.analysis.snapshot import (
    COMPARED,
    KEEPABLE,
    WRONG,
    ComparedQuestion,
    SnapshotComparison,
    SnapshotState,
    SuiteScope,
    compare_snapshot,
    timings_of,
)
from runner.checks.finding import CheckVerdict
from runner.commands.snapshot.store import folder_of, read_replies, remove_reply, write_reply, write_timings
from runner.core.suite import Suite
from runner.errors import CompareError
from runner.storage.journal import Journal, read
from runner.storage.run_folder import find_run
from runner.suite.expectations import plain_expectations


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """A run of a suite and what came of holding it against the suite's snapshot."""

    run: Run
    journal: Journal
    folder: Path
    comparisons: tuple[SnapshotComparison, ...]
    covers_all: bool
    """Whether the run asked all that the suite asks and all that is kept: only then do its timings stand for them."""

    @property
    def changes(self) -> tuple[SnapshotComparison, ...]:
        """Return what somebody has to accept or reject."""
        return tuple(each for each in self.comparisons if each.state in KEEPABLE)


def hold(suite: Suite, path: Path, source: Path) -> SnapshotResult:
    """Compare a run of a suite, whole as the file at `path` has it, with what is kept beside that file.

    The run is judged by the checks that the suite demands now, which may not be those it was made with.

    Raises:
        CompareError: there is no such run, it is another suite's, or what is kept cannot be read.

    """
    log = read(find_run(source))
    if log.header.suite != suite.name:
        raise CompareError(f"{log.header.run_id} is a run of the suite {log.header.suite}, not of {suite.name}")
    log = replace(log, header=replace(log.header, checks=plain_expectations(suite.cases)))
    run, folder = Run.of_journal(log), folder_of(path)
    kept, scope = read_replies(folder), _scope(suite)
    comparisons = compare_snapshot(kept, run, scope)
    return SnapshotResult(run, log, folder, comparisons, _covers_all(scope, run, kept, comparisons))


def _scope(suite: Suite) -> SuiteScope:
    names = {f"{row.provider}/{model}" for row in suite.targets for model in row.models}
    # A row without models asks the provider's default ones, which are not the suite's to list.
    lists_all = bool(suite.targets) and all(row.models for row in suite.targets)
    return SuiteScope({case.id: len(case.turns) for case in suite.cases}, names if lists_all else None)


def _covers_all(
    scope: SuiteScope, run: Run, kept: Mapping[ComparedQuestion, str], comparisons: Iterable[SnapshotComparison]
) -> bool:
    seen = {each.question for each in comparisons}
    return run.ended and scope.turns.keys() <= set(run.header.cases) and kept.keys() <= seen


def keep(held: SnapshotResult, accepted: Iterable[SnapshotComparison]) -> list[SnapshotComparison]:
    """Keep the replies that were accepted, and forget what is orphaned among them; return whose files changed."""
    changed = [each for each in accepted if each.state is SnapshotState.ORPHANED or each.now not in {None, each.kept}]
    for each in changed:
        if each.now is None:
            remove_reply(held.folder, each.question)
        else:
            write_reply(held.folder, each.question, each.now)
    return changed


def keep_timings(held: SnapshotResult) -> str | None:
    """Keep the run's timings where they stand for the whole suite; return why not, where they do not."""
    if not held.covers_all:
        return "the timings were left as they are: this run did not ask all that the suite asks and all that is kept"
    if any(each.state is SnapshotState.MISSING for each in held.comparisons):
        return "the timings were left as they are: requests failed in this run"
    write_timings(held.folder, held.journal, timings_of(held.run))
    return None


def exit_code(held: SnapshotResult, settled: Collection[SnapshotComparison]) -> int:
    """Return 1 for what is wrong and not settled, 2 where nothing was compared and nothing settled, else 0."""
    if not settled and not any(each.state in COMPARED for each in held.comparisons):
        return 2
    checks_failed = any(cell.verdict is CheckVerdict.FAILED for cell in held.run.checked)
    return int(checks_failed or any(each.state in WRONG and each not in settled for each in held.comparisons))
