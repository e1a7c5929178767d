"""Choose and check the outputs of a run: its folder, which is claimed before anything is sent, and further files."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from runner.commands.run.options import RunOptions
from runner.core.suite import Suite
from runner.errors import CompareError
from runner.outputs import find_writer, known_suffixes
from runner.storage.journal import Journal
from runner.storage.run_folder import (
    DEFAULT_OUTPUTS,
    RESULTS,
    FolderClaim,
    check_outputs,
    claim_folder,
    new_run_id,
    refuse_used_folder,
)


def claim_outputs(options: RunOptions, journal: Journal | None) -> FolderClaim | None:
    """Claim the folder that is resumed or named with -o; return None for a new default folder, whose name is unique."""
    if journal is not None:
        return claim_folder(journal.path.parent, journal)
    folders = options.folders
    return claim_folder(folders[0]) if len(folders) == 1 else None


def place_outputs(
    options: RunOptions, suite: Suite, started: datetime, journal: Journal | None
) -> tuple[Path, tuple[Path, ...]]:
    """Return the run's folder and the further files to write, each of which has a writer.

    Raises:
        CompareError: two folders are named, a folder is named for a resumed run, or an output cannot be written.

    """
    folders = options.folders
    if len(folders) > 1:
        raise CompareError(f"-o names two folders, {folders[0]} and {folders[1]}; a run has one")
    if journal is not None:
        folder = journal.path.parent
        if folders:
            raise CompareError(f"-o {folders[0]} names a folder; a resumed run stays in its own, {folder}")
    else:
        folder = folders[0] if folders else RESULTS / new_run_id(suite.name, started)
        refuse_used_folder(folder)
    files = tuple(path for path in options.outputs if path not in folders)
    named = (suite.path, *suite.files, *options.env_files, options.baseline)
    _check_writers(files, folder, [Path(each) for each in named if each is not None])
    return folder, files


def _check_writers(files: Sequence[Path], folder: Path, reads: Sequence[Path]) -> None:
    """Load the writer of each file, so that a missing or broken one is found before the run."""
    suffixes = [path.suffix.lower() for path in files]
    views = [folder / name for name in DEFAULT_OUTPUTS]
    check_outputs([*views, *files], known_suffixes(suffixes), folder, reads)
    for suffix in suffixes:
        find_writer(suffix)
