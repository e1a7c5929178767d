"""Write a report page on finished runs."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runner.analysis.run_results import Run
from runner.analysis.votes import Votes
from runner.commands.load_stored_run import find_folder
from runner.errors import CompareError
from runner.outputs.report.render_html import write_report as render_report
from runner.storage.atomic_write import write_atomically
from runner.storage.run_folder import REPORT, check_outputs

PAGE_MARK = b'http-equiv="Content-Security-Policy" content="default-src '
"""Start of the security policy that every page of this tool has near its beginning; other pages do not have it."""


def report_path(names: Sequence[Path], output: Path | None) -> Path:
    """Return the report's file: `output`, else one in the folder of the only run, else one in the working folder.

    Raises:
        CompareError: the file cannot be written, or is something other than a report.

    """
    own = find_folder(names[0]) if len(names) == 1 else None
    path = output or (own or Path()) / REPORT
    if output is None:
        _refuse_foreign(path)
    check_outputs([path], (".html",), own, reads=names)
    return path


def _refuse_foreign(path: Path) -> None:
    """Raise CompareError if the file exists and is not a report page."""
    with suppress(OSError), path.open("rb") as file:
        if PAGE_MARK not in file.read(4096):
            raise CompareError(
                f"{path} is there already, and is not a report of this command. Name another file with -o, or move it"
            )


def write_report(runs: Sequence[Run], path: Path, language: str | None = None, votes: Votes | None = None) -> None:
    """Write a report page on these runs atomically, in `language` or by default that of the locale."""
    write_atomically(path, render_report(runs, language=language, votes=votes))
