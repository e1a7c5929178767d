"""A run's rows for machines that read line by line: one JSON object a row, what is absent null."""

import json
from collections.abc import Iterator

from runner.analysis.run import Run
from runner.outputs.text.printable import escape_surrogates


def write(run: Run) -> str:
    """Write one line a row."""
    return "".join(stream(run))


def stream(run: Run) -> Iterator[str]:
    """Write line by line: a long run's rows do not fit into memory."""
    for row in run.rows:
        yield escape_surrogates(json.dumps(row, ensure_ascii=False, allow_nan=False)) + "\n"
