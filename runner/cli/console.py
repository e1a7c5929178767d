"""Consoles: results go to stdout, everything else to stderr; colour as asked."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from runner.commands.run.job import PreparedRun

WIDE = 100_000
"""Columns of a pipe: nothing downstream should see a table folded for a terminal that is not there."""


def print_notes(job: "PreparedRun", console: "Console") -> None:
    """Tell what to know of a job before it starts."""
    for note in job.notes:
        console.print(f"note: {note}", markup=False)


def open_console(color: str, *, stderr: bool = False) -> "Console":
    """Return a console; `color` is auto, always or never."""
    from rich.console import Console  # noqa: PLC0415 -- heavy

    forced = color == "always" or (color == "auto" and bool(os.environ.get("FORCE_COLOR")))
    refused = color == "never" or (color == "auto" and bool(os.environ.get("NO_COLOR")))
    console = Console(stderr=stderr, highlight=False, no_color=(refused and not forced) or None)
    if forced:
        console = Console(stderr=stderr, highlight=False, force_terminal=True, no_color=False)
    if not console.is_terminal or not console.file.isatty():
        console.width = int(os.environ.get("COLUMNS", "0")) or WIDE
    return console
