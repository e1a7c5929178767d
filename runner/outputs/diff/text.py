"""A comparison as plain text, as a console without colour prints it."""

from io import StringIO

from rich.console import Console

from runner.analysis.diff import Difference
from runner.outputs.diff.terminal import render_difference

COLUMNS = 120


def write(difference: Difference) -> str:
    """Write what `compare diff` prints."""
    file = StringIO()
    console = Console(file=file, width=COLUMNS, color_system=None, force_terminal=False, force_jupyter=False)
    console.print(render_difference(difference))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())
