"""The summary of a run on a terminal: its tables, then what to know before trusting them."""

from collections.abc import Iterator
from textwrap import fill

from rich.console import Group
from rich.table import Table
from rich.text import Text

from runner.analysis.checks import CheckedCell
from runner.analysis.run_results import Run
from runner.analysis.summary import Failure
from runner.checks.finding import CheckVerdict
from runner.outputs.text.checks import describe_cell, describe_checks, describe_fault, not_passed, tabulate_cells
from runner.outputs.text.escape import one_line
from runner.outputs.text.figures import count
from runner.outputs.text.remarks import (
    advise_on,
    describe_failure,
    describe_partial,
    describe_simulated,
    describe_slow,
    remarks,
)
from runner.outputs.text.summary import TextTable, load_tables, tabulate_briefly, tabulate_percentiles

MAX_FAILURES = 10
MAX_CELLS = 20
PERCENTILES_ABREAST = 4
ERROR_COLUMNS = 300
HEADING_COLUMNS = 16
"""Longer headings of figures take several lines."""


def render_summary(run: Run) -> Group:
    """Return a run's summary for a rich console, which decides on colour and width."""
    run = run.by_place
    return Group(
        *_notices(run),
        _table(tabulate_briefly(run.summary, run.percents)),
        *_percentiles(run),
        *_load(run),
        *_footnotes(run),
        *_checks(run),
    )


def _notices(run: Run) -> Iterator[Text]:
    for word, sentence in (("partial", describe_partial(run)), ("simulated", describe_simulated(run))):
        if sentence is not None:
            yield Text.assemble((word, "bold yellow"), f": {one_line(sentence)}")


def _percentiles(run: Run) -> Iterator[Text | Table]:
    """Yield tables of several percentiles, each narrow enough for a terminal of 80 columns."""
    if len(run.percents) > 1:
        for start in range(0, len(run.percents), PERCENTILES_ABREAST):
            places = range(start, min(start + PERCENTILES_ABREAST, len(run.percents)))
            yield Text("")
            yield _table(tabulate_percentiles(run.summary, run.percents, places))


def _load(run: Run) -> Iterator[Text | Table]:
    for title, table, caption in load_tables(run):
        yield Text(f"\n{title}", style="bold")
        yield _table(table)
        yield Text(f"note: {caption}")


def _table(content: TextTable) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, heading in enumerate(content.headings):
        if at in content.wordy:
            table.add_column(heading, justify="left", overflow="fold")
        else:
            table.add_column(fill(heading, HEADING_COLUMNS), justify="right", no_wrap=True, overflow="fold")
    for row in content.rows:
        table.add_row(*(_cell(text) for text in row))
    return table


def _cell(text: str) -> Text:
    """Return a cell with interval and sample size below the figure, so that names have room.

    It is a Text because rich would read a str as markup.
    """
    return Text(one_line(text).replace(" (n ", "\n(n ").replace(" [", "\n["))


def _footnotes(run: Run) -> list[Text]:
    slow = describe_slow(run)
    notes = [Text(f"note: {one_line(remark)}") for remark in (*([slow] if slow else []), *remarks(run))]
    failures = [_failure(failure) for failure in run.failures[:MAX_FAILURES]]
    more = len(run.failures) - MAX_FAILURES
    rest = [Text(f"and {count(more, 'more kind')} of failure, in the run's results.csv")] if more > 0 else []
    return [*notes, *failures, *rest]


def _failure(failure: Failure) -> Text:
    error = f": {one_line(failure.error, ERROR_COLUMNS)}" if failure.error else ""
    advice = advise_on(failure)
    return Text.assemble(
        (one_line(describe_failure(failure)), "red"), error, f"\n  {one_line(advice)}" if advice else ""
    )


def _checks(run: Run) -> list[Text | Table]:
    """Return how many cells passed, a table of all if they are few, and the faults of each cell that did not pass."""
    if not run.checked:
        return []
    cells = not_passed(run.checked)
    more = len(cells) - MAX_CELLS
    rest = [Text(f"and {count(more, 'more cell')}, in the run's results.md")] if more > 0 else []
    every = [_table(tabulate_cells(run.checked))] if len(run.checked) <= MAX_CELLS else []
    return [Text(f"checks: {describe_checks(run.checked)}"), *every, *map(_faults, cells[:MAX_CELLS]), *rest]


def _faults(cell: CheckedCell) -> Text:
    style = "red" if cell.verdict is CheckVerdict.FAILED else "yellow"
    reasons = "".join(f"\n  {one_line(describe_fault(fault), ERROR_COLUMNS)}" for fault in cell.faults)
    return Text.assemble((one_line(describe_cell(cell)), style), reasons)
