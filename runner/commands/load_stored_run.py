"""Load a finished run by its name."""

from dataclasses import replace
from pathlib import Path

from runner.analysis.run_results import Run
from runner.core.answered_by import AnsweredByColumn
from runner.core.percentiles import PERCENTILES
from runner.storage import journal
from runner.storage.find_run import find_run
from runner.storage.run_folder import LATEST, SNAPSHOT, refuse_links_in_snapshot


def load_run(name: Path, percents: tuple[float, ...] = PERCENTILES, by: AnsweredByColumn | None = None) -> Run:
    """Return the run that a folder, an id in results/, `latest`, or a journal file (stripped or not) names.

    Args:
        name: name of the run.
        percents: percentiles to show beside the medians.
        by: a column that says who answered; tables split the targets by it.

    Raises:
        CompareError: there is no such run, it cannot be read, or it is a snapshot that holds a symbolic link.

    """
    if name.suffix == SNAPSHOT and name.is_dir():
        refuse_links_in_snapshot(name)
    return replace(Run.of_journal(journal.read(find_journal(name))), percents=percents, by=by)


def find_journal(name: Path) -> Path:
    """Return the file of a journal or the folder of a run that a name stands for.

    A journal may have any name. `latest` is not one, although it is a file where symbolic links do not exist.

    Raises:
        JournalError: there is no such run.

    """
    return name if name.is_file() and name.name != LATEST else find_run(name)


def resolve_journal(name: Path) -> Path:
    """Return the absolute path, without links, of the journal that a name stands for, or raise JournalError."""
    found = find_journal(name)
    return (found if found.is_file() else found / journal.JOURNAL_FILE).resolve()


def find_folder(name: Path) -> Path:
    """Return the folder of a run; raise JournalError if there is none."""
    found = find_journal(name)
    return found.parent if found.is_file() else found
