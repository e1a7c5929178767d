"""A run's rows for machines that read line by line: one JSON object a row, what is absent null."""

import json

from runner.analysis.frame import rows_of
from runner.analysis.run import Run
from runner.outputs.printable import escape_surrogates


def write(run: Run) -> str:
    """Write one line a row."""
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows_of(run.frame))
    return escape_surrogates("".join(lines))
