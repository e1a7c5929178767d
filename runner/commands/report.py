"""Runs that are over, named on a command line, become one report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runner.analysis.run import Run
from runner.commands.diff import open_run
from runner.core.percentiles import PERCENTILES
from runner.outputs.report.document import write_report
from runner.storage.run_folder import LATEST, check_outputs, find_run, write_atomically

FILE_NAME = "report.html"


def open_runs(names: Sequence[Path], percents: tuple[float, ...] = PERCENTILES) -> list[Run]:
    """Read runs by their folders, their ids in results/, `latest`, or any files that are journals.

    `percents` stand beside the medians in what is shown of them.

    Raises:
        JournalError: there is no such run, or it cannot be read.

    """
    return [replace(open_run(name), percents=percents) for name in names]


def place_report(names: Sequence[Path], output: Path | None) -> Path:
    """Return where the report goes: where it is wanted, else beside the one run, else here.

    Raises:
        CompareError: it could not be written there.

    """
    path = output or _choose_place(names)
    check_outputs([path], (".html",))
    return path


def keep_report(runs: Sequence[Run], path: Path) -> None:
    """Write the report, whole or not at all."""
    write_atomically(path, write_report(runs))


def _choose_place(names: Sequence[Path]) -> Path:
    if len(names) > 1:
        return Path(FILE_NAME)
    (name,) = names
    # A journal may be called anything; `latest` is a file where links are not to be had.
    folder = name.parent if name.is_file() and name.name != LATEST else find_run(name)
    return folder / FILE_NAME
