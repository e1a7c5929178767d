"""A run for machines: how it was made, the summary, every row. What is absent is null."""

import json
from dataclasses import asdict

from runner.analysis.frame import rows_of
from runner.analysis.run import Run
from runner.outputs.printable import escape_surrogates


def write(run: Run) -> str:
    """Write one JSON document."""
    document = {
        "simulated": run.simulated,
        "ended": run.ended,
        "run": asdict(run.header),
        "summary": [asdict(target) for target in run.summary],
        "failures": [asdict(failure) for failure in run.failures],
        "rows": list(rows_of(run.frame)),
    }
    return escape_surrogates(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"
