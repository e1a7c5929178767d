"""Write a report page on finished runs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runner.analysis.run_results import Run
from runner.analysis.votes import Votes
from runner.commands.load_run import is_journal_file, load_run
from runner.core.answered_by import AnsweredByColumn
from runner.core.percentiles import PERCENTILES
from runner.errors import CompareError
from runner.outputs.report.render_html import write_report as render_report
from runner.storage.atomic_write import write_atomically
from runner.storage.find_run import find_run
from runner.storage.run_folder import check_outputs

FILE_NAME = "report.html"

PAGE_MARK = b'http-equiv="Content-Security-Policy" content="default-src '
"""How the policy of every page of ours begins, near the beginning of the file; foreign pages have none."""


def load_runs(
    names: Sequence[Path], percents: tuple[float, ...] = PERCENTILES, by: AnsweredByColumn | None = None
) -> list[Run]:
    """Return runs by their names, to be shown with these percentiles beside the medians, split by a column.

    Raises:
        JournalError: there is no such run, or it cannot be read.

    """
    return [replace(load_run(name), percents=percents, by=by) for name in names]


def place_report(names: Sequence[Path], output: Path | None) -> Path:
    """Return the report's file: the one that is named, else one beside the only run, else one in this folder.

    Raises:
        CompareError: it could not be written.

    """
    path = output or _default_place(names)
    if output is None:
        _refuse_foreign(path)
    own = _folder_of(names[0]) if len(names) == 1 else None
    check_outputs([path], (".html",), own, reads=names)
    return path


def _default_place(names: Sequence[Path]) -> Path:
    if len(names) > 1:
        return Path(FILE_NAME)
    return _folder_of(names[0]) / FILE_NAME


def _refuse_foreign(path: Path) -> None:
    """Raise CompareError if the default place holds something else than a report page."""
    with suppress(OSError), path.open("rb") as file:
        if PAGE_MARK not in file.read(4096):
            raise CompareError(
                f"{path} is there already, and is not a report of this command. Name another file with -o, or move it"
            )


def _folder_of(name: Path) -> Path:
    return name.parent if is_journal_file(name) else find_run(name)


def write_report(runs: Sequence[Run], path: Path, language: str | None = None, votes: Votes | None = None) -> None:
    """Write a report page on these runs, whole or not at all; in a language, else in that of the locale."""
    write_atomically(path, render_report(runs, language=language, votes=votes))
