"""JSON Lines of a run's rows for programs: one JSON object for each row. What is absent is null."""

from collections.abc import Iterator

from runner.analysis.run_results import Run
from runner.outputs.json import with_calls
from runner.outputs.text.escape import dump_json


def stream(run: Run) -> Iterator[str]:
    """Yield line by line: a long run's rows do not fit into memory."""
    for row in run.rows:
        yield dump_json(with_calls(row), indent=None) + "\n"
