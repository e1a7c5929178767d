"""`compare runs`: list the runs in a folder from their summaries, which are derived if missing or stale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from runner.analysis.stored_summary import summarize_journal
from runner.errors import CompareError, JournalError, WriteFailed, did_you_mean, list_first
from runner.storage import journal
from runner.storage.find_run import folders_of_runs
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import RESULTS, SNAPSHOT, refuse_links_in_snapshot
from runner.storage.stored_summary import StoredRun, StoredSummary, read_summary, write_summary
from runner.version import __version__

Observe = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RunSelection:
    """A filter on runs, whose conditions must all hold. The default selects every run."""

    suite: str | None = None
    """Pattern of the suite's name, with `*` and `?` as in a shell."""
    target: str | None = None
    """Pattern of targets; other targets are removed from the summary, and runs without such a target are left out."""
    since: datetime | None = None
    """Earliest start, as an aware datetime."""

    def of(self, run: StoredRun) -> StoredRun | None:
        """Return a run with the selected targets; None if the run is not selected."""
        found = run.summary
        if self.suite is not None and not fnmatchcase(found.suite, self.suite):
            return None
        if self.since is not None and run.started_at < self.since:
            return None
        if self.target is None:
            return run
        targets = tuple(each for each in found.targets if fnmatchcase(each.target, self.target))
        return replace(run, summary=replace(found, targets=targets)) if targets else None


@dataclass(frozen=True, slots=True)
class RunList:
    """The runs found, the newest first, and a message on each journal that cannot be read."""

    runs: tuple[StoredRun, ...]
    unreadable: tuple[str, ...]
    unread: int = 0
    """Number of older runs whose summary is missing and was not derived, so it is unknown whether they are selected."""
    unsaved: str | None = None
    """Why derived summaries could not be stored, so that they are derived again each time; None if all were stored."""


def list_stored_runs(
    parent: Path = RESULTS,
    selection: RunSelection | None = None,
    most: int | None = None,
    observe: Observe | None = None,
) -> RunList:
    """Return the runs in a folder.

    Args:
        parent: the folder that holds the runs' folders.
        selection: filter on the runs.
        most: number of runs after which no further journal is read, which is slow; existing summaries still are.
        observe: called before each summary is derived, with the number derived so far and the number to derive.

    Raises:
        CompareError: there is no such folder, or it cannot be read.

    """
    selection = selection or RunSelection()
    summaries = [(folder, read_summary(folder, __version__)) for folder in _folders(parent)]
    missing = sum(summary is None for _, summary in summaries)
    found: list[StoredRun] = []
    unreadable, unsaved, derived, unread = [], list[WriteFailed](), 0, 0
    for folder, stored in summaries:
        summary = stored
        if summary is None and most is not None and len(found) >= most:
            unread += 1
            continue
        if summary is None:
            if observe is not None:
                observe(derived, missing)
            derived += 1
            try:
                summary = _derive(folder, unsaved)
            except CompareError as error:
                unreadable.append(str(error))
                continue
        if (run := selection.of(StoredRun(folder, summary))) is not None:
            found.append(run)
    runs = tuple(sorted(found, key=lambda run: run.started_at, reverse=True))
    return RunList(runs, tuple(unreadable), unread, _describe_unsaved(unsaved))


def explain_none(parent: Path, selection: RunSelection) -> str:
    """Return a message on why no run in a folder is shown: conditions that exclude all runs, and the existing names.

    If the filter selects a run, that run has not ended, so a history leaves it out.

    Raises:
        CompareError: the folder cannot be read.

    """
    runs = list_stored_runs(parent).runs
    if not runs:
        return f"no run in {parent} yet"
    if any(selection.of(run) is not None for run in runs):
        return f"no finished run in {parent} fits"
    reasons = [
        *_name_others("--suite", selection.suite, [run.summary.suite for run in runs]),
        *_name_others("--target", selection.target, [each.target for run in runs for each in run.summary.targets]),
    ]
    if selection.since is not None and runs[0].started_at < selection.since:
        reasons.append(f"--since: the newest began {runs[0].started_at:%Y-%m-%d %H:%M}.")
    return " ".join([f"no run in {parent} fits.", *(reasons or ["Each condition fits some run, and none fits all."])])


def _name_others(option: str, pattern: str | None, names: Sequence[str]) -> list[str]:
    """Return a hint on the existing names in a list; an empty list if a name matches the pattern."""
    known = tuple(dict.fromkeys(names))
    if pattern is None or any(fnmatchcase(name, pattern) for name in known):
        return []
    return [f"{option} {pattern} matches none. {did_you_mean(pattern, known, f'Known: {list_first(known)}.')}"]


def _describe_unsaved(problems: Sequence[WriteFailed]) -> str | None:
    if not problems:
        return None
    number = "a summary is" if len(problems) == 1 else f"{len(problems):,} summaries are"
    return f"{number} not stored, and will be derived again: {problems[0].__cause__ or problems[0]}"


def _folders(parent: Path) -> list[Path]:
    try:
        if not parent.is_dir():
            if not parent.exists() and parent == RESULTS:
                raise CompareError(
                    f"there are no runs here: {parent} does not exist; `compare run` makes the first one"
                )
            fault = "is a file" if parent.exists() else "does not exist"
            raise CompareError(f"{parent} {fault}; name the folder that holds the runs' folders, such as {RESULTS}")
        return folders_of_runs(parent)
    except OSError as error:
        raise CompareError(f"{parent} cannot be read: {error.strerror}") from error


def _derive(folder: Path, unsaved: list[WriteFailed]) -> StoredSummary:
    """Derive a run's summary from its journal and store it; append the error to `unsaved` if that fails.

    The summary of a snapshot is not stored, since a snapshot is committed with its suite.

    Raises:
        CompareError: the journal cannot be read, or the folder is a snapshot with a symbolic link in it.

    """
    if folder.suffix == SNAPSHOT:
        refuse_links_in_snapshot(folder)
    try:
        found = (folder / JOURNAL_FILE).stat()
    except OSError as error:  # it was removed a moment ago
        raise JournalError(f"{folder} cannot be read: {error.strerror}") from error
    summary = summarize_journal(journal.read(folder), found, __version__)
    try:
        if folder.suffix != SNAPSHOT:
            write_summary(folder, summary)
    except WriteFailed as error:
        unsaved.append(error)
    return summary
