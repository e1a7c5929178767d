"""The summary on a terminal: one table, then what to know before trusting it."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from runner.analysis.failures import Failure
from runner.analysis.run import Run
from runner.outputs.figures import count
from runner.outputs.overview import advise_on, banner, describe_failure, remarks, tabulate_briefly
from runner.outputs.printable import one_line

MAX_FAILURES = 10
ERROR_COLUMNS = 300


def render_summary(run: Run) -> Group:
    """Return what a console prints; colour and width are the console's affair."""
    simulated = banner(run)
    notice = [Text.assemble(("simulated", "bold yellow"), f": {one_line(simulated)}")] if simulated else []
    return Group(*notice, _table(run), *_footnotes(run))


def _table(run: Run) -> Table:
    summary = tabulate_briefly(run.summary)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, heading in enumerate(summary.headings):
        figures = at not in summary.wordy
        table.add_column(heading, justify="right" if figures else "left", no_wrap=figures, overflow="fold")
    for row in summary.rows:
        table.add_row(*(_cell(text) for text in row))
    return table


def _cell(text: str) -> Text:
    """Put a figure's sample size below it, which leaves room for names; Text, since rich reads markup in a str."""
    return Text(one_line(text).replace(" (n ", "\n(n "))


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
