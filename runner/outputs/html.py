"""`report.html` of one run; the report itself is in `report`."""

from runner.analysis.run import Run
from runner.outputs.report.document import write_report


def write(run: Run) -> str:
    """Write the whole page."""
    return write_report([run])
