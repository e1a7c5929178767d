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
from runner.storage.run_folder import check_outputs

FILE_NAME = "report.html"

PAGE_MARK = b'http-equiv="Content-Security-Policy" content="default-src '
"""How the policy of every page of ours begins, near the beginning of the file; foreign pages have none."""


def place_report(names: Sequence[Path], output: Path | None) -> Path:
    """Return the report's file: the one that is named, else one beside the only run, else one in this folder.

    Raises:
        CompareError: it could not be written.

    """
    own = find_folder(names[0]) if len(names) == 1 else None
    path = output or (own or Path()) / FILE_NAME
    if output is None:
        _refuse_foreign(path)
    check_outputs([path], (".html",), own, reads=names)
    return path


def _refuse_foreign(path: Path) -> None:
    """Raise CompareError if the default place holds something else than a report page."""
    with suppress(OSError), path.open("rb") as file:
        if PAGE_MARK not in file.read(4096):
            raise CompareError(
                f"{path} is there already, and is not a report of this command. Name another file with -o, or move it"
            )


def write_report(runs: Sequence[Run], path: Path, language: str | None = None, votes: Votes | None = None) -> None:
    """Write a report page on these runs, whole or not at all; in a language, else in that of the locale."""
    write_atomically(path, render_report(runs, language=language, votes=votes))
