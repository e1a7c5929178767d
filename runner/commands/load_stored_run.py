"""Load a finished run by its name."""

from dataclasses import replace
from pathlib import Path

from runner.analysis.run_results import Run
from runner.commands.snapshot.store import refuse_links
from runner.core.answered_by import AnsweredByColumn
from runner.core.percentiles import PERCENTILES
from runner.storage import journal
from runner.storage.find_run import find_run
from runner.storage.run_folder import LATEST, SNAPSHOT


def load_run(name: Path, percents: tuple[float, ...] = PERCENTILES, by: AnsweredByColumn | None = None) -> Run:
    """Return a run named by its folder, its id in results/, `latest`, or any file that is a journal, stripped or not.

    Args:
        name: the run.
        percents: percentiles to show beside the medians.
        by: a column that tells who answered, by which tables split the targets.

    Raises:
        CompareError: there is no such run, it cannot be read, or it is a snapshot that holds a link.

    """
    if name.suffix == SNAPSHOT and name.is_dir():
        refuse_links(name)
    return replace(Run.of_journal(journal.read(find_journal(name))), percents=percents, by=by)


def find_journal(name: Path) -> Path:
    """Return the journal that a name stands for: a file, or the folder of a run; raise JournalError if there is none.

    A journal may be called anything; `latest` is a file where links do not exist.
    """
    return name if name.is_file() and name.name != LATEST else find_run(name)


def find_folder(name: Path) -> Path:
    """Return the folder of a run; raise JournalError if there is no such run."""
    found = find_journal(name)
    return found.parent if found.is_file() else found
