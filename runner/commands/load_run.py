"""Load a finished run by its name."""

from pathlib import Path

from runner.analysis.run_results import Run
from runner.commands.snapshot.store import refuse_links
from runner.storage import journal
from runner.storage.find_run import find_run
from runner.storage.run_folder import LATEST, SNAPSHOT


def load_run(name: Path) -> Run:
    """Return a run named by its folder, its id in results/, `latest`, or any file that is a journal, stripped or not.

    Raises:
        CompareError: there is no such run, it cannot be read, or it is a snapshot that holds a link.

    """
    if name.suffix == SNAPSHOT and name.is_dir():
        refuse_links(name)
    return Run.of_journal(journal.read(name if is_journal_file(name) else find_run(name)))


def is_journal_file(name: Path) -> bool:
    """Return whether a name is a journal, which may be called anything; `latest` is a file where links do not exist."""
    return name.is_file() and name.name != LATEST
