"""JSON Lines of a run's rows for programs: one JSON object for each row. Absent values are null."""

from collections.abc import Iterator

from runner.analysis.loaded_run import Run
from runner.outputs.json import with_calls
from runner.outputs.text.escape import dump_json


def stream(run: Run) -> Iterator[str]:
    """Yield a line for each row, since the rows of a long run may not fit into memory."""
    for row in run.rows:
        yield dump_json(with_calls(row), indent=None) + "\n"
