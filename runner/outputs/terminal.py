"""The summary on a terminal: one table, then what to know before trusting it."""

from collections.abc import Iterator
from dataclasses import replace
from textwrap import wrap

from rich.console import Group
from rich.table import Table
from rich.text import Text

from runner.analysis.checks import CheckedCell
from runner.analysis.run import Run
from runner.analysis.summary import Failure
from runner.checks.finding import CheckVerdict
from runner.outputs.text.checked import describe_cell, describe_checks, describe_fault, tabulate_cells, unmet
from runner.outputs.text.figures import count
from runner.outputs.text.overview import (
    SummaryTable,
    advise_on,
    banner,
    describe_failure,
    partial,
    remarks,
    tabulate_briefly,
    tabulate_percentiles,
)
from runner.outputs.text.printable import one_line
from runner.outputs.text.sweep_table import load_tables

MAX_FAILURES = 10
MAX_CELLS = 20
PERCENTILES_ABREAST = 4
ERROR_COLUMNS = 300
HEADING_COLUMNS = 10
"""Longer headings of the tables about load are folded, so that these fit 80 columns."""


def render_summary(run: Run) -> Group:
    """Return what a console prints; colour and width are the console's affair."""
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
    for word, sentence in (("partial", partial(run)), ("simulated", banner(run))):
        if sentence is not None:
            yield Text.assemble((word, "bold yellow"), f": {one_line(sentence)}")


def _percentiles(run: Run) -> Iterator[Text | Table]:
    """Give several percentiles tables of their own, as wide as a terminal is sure to be."""
    if len(run.percents) > 1:
        for start in range(0, len(run.percents), PERCENTILES_ABREAST):
            places = range(start, min(start + PERCENTILES_ABREAST, len(run.percents)))
            yield Text("")
            yield _table(tabulate_percentiles(run.summary, run.percents, places))


def _load(run: Run) -> Iterator[Text | Table]:
    for title, table, caption in load_tables(run):
        yield Text(f"\n{title}", style="bold")
        folded = (wrap(heading, HEADING_COLUMNS, break_long_words=False) for heading in table.headings)
        yield _table(replace(table, headings=tuple(map("\n".join, folded))))
        yield Text(f"note: {caption}")


def _table(summary: SummaryTable) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, heading in enumerate(summary.headings):
        figures = at not in summary.wordy
        table.add_column(heading, justify="right" if figures else "left", no_wrap=figures, overflow="fold")
    for row in summary.rows:
        table.add_row(*(_cell(text) for text in row))
    return table


def _cell(text: str) -> Text:
    """Put interval and sample size below a figure, which leaves room for names; Text, since rich reads markup."""
    return Text(one_line(text).replace(" (n ", "\n(n ").replace(" [", "\n["))


def _footnotes(run: Run) -> list[Text]:
    notes = [Text(f"note: {one_line(remark)}") for remark in remarks(run)]
    failures = [_failure(failure) for failure in run.failures[:MAX_FAILURES]]
    more = len(run.failures) - MAX_FAILURES
    rest = [Text(f"and {count(more, 'more kind')} of failure, in the run's results.csv")] if more > 0 else []
    return [*notes, *failures, *rest]


def _failure(failure: Failure) -> Text:
    said = f": {one_line(failure.error, ERROR_COLUMNS)}" if failure.error else ""
    advice = advise_on(failure)
    return Text.assemble(
        (one_line(describe_failure(failure)), "red"), said, f"\n  {one_line(advice)}" if advice else ""
    )


def _checks(run: Run) -> list[Text | Table]:
    """Say how many cells passed, show all if they are few, and give each that did not pass a line with its reasons."""
    if not run.checked:
        return []
    cells = unmet(run.checked)
    more = len(cells) - MAX_CELLS
    rest = [Text(f"and {count(more, 'more cell')}, in the run's results.md")] if more > 0 else []
    every = [_table(tabulate_cells(run.checked))] if len(run.checked) <= MAX_CELLS else []
    return [Text(f"checks: {describe_checks(run.checked)}"), *every, *map(_unmet, cells[:MAX_CELLS]), *rest]


def _unmet(cell: CheckedCell) -> Text:
    style = "red" if cell.verdict is CheckVerdict.FAILED else "yellow"
    reasons = "".join(f"\n  {one_line(describe_fault(fault), ERROR_COLUMNS)}" for fault in cell.faults)
    return Text.assemble((one_line(describe_cell(cell)), style), reasons)
