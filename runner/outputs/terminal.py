"""Summary of a run on a terminal: notices, tables, remarks, failures, checks, and the result in a sentence."""

from collections.abc import Collection, Iterator

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.text import Text

from runner.analysis.check_results import CheckedCell
from runner.analysis.run_results import Run
from runner.analysis.summary import Failure
from runner.checks.check_finding import CheckVerdict
from runner.errors import counted
from runner.outputs.cjk_line_breaks import WrappedText
from runner.outputs.narrow_terminal_tables import SplitTable
from runner.outputs.text.checks import describe_cell, describe_checks, describe_fault, not_passed, tabulate_cells
from runner.outputs.text.escape import one_line
from runner.outputs.text.ranking import describe_first, fastest_first
from runner.outputs.text.run_remarks import (
    advise_on,
    brief_remarks,
    describe_failure,
    describe_notices,
    describe_slow,
    how_it_was_made,
)
from runner.outputs.text.speed_under_load import tables_beside_summary
from runner.outputs.text.summary import (
    goodput_caption,
    tabulate_briefly,
    tabulate_costs_and_checks,
    tabulate_percentiles,
)
from runner.outputs.text.table import TextTable

MAX_FAILURES = 10
MAX_CELLS = 20
PERCENTILES_ABREAST = 4
ERROR_COLUMNS = 300
UNLIMITED = 10_000
"""Width in columns that no table exceeds."""


def render_summary(run: Run, known_flags: Collection[str] = ()) -> Group:
    """Return a run's summary for a rich console, which chooses colour and width; the last line is the result.

    `known_flags` holds the flags that were reported to the user before the run; they are not repeated.
    """
    run = run.split_by_place
    return Group(
        *_notices(run),
        SpeedTable(run),
        *_percentiles(run),
        *_load(run),
        *_footnotes(run, known_flags),
        *_checks(run),
        *_how_it_was_made(run),
        *_result(run),
    )


class SpeedTable:
    """Table of targets, the fastest first: speed, cost and checks, in one table if the console is wide enough."""

    def __init__(self, run: Run) -> None:
        self._summaries = fastest_first(run)
        self._speed = tabulate_briefly(self._summaries, run.percents)
        self._worth = tabulate_costs_and_checks(run, self._summaries)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one table, or two if one does not fit the width; intervals are beside their figures if they fit."""
        if len(self._worth.headings) == 1:
            yield self._tinted(self._speed)
            return
        whole = self._tinted(_side_by_side(self._speed, self._worth), in_line=True)
        if Measurement.get(console, options.update_width(UNLIMITED), whole).maximum <= options.max_width:
            yield whole
        else:
            yield from (self._tinted(self._speed), Text(""), self._tinted(self._worth, in_line=True))

    def _tinted(self, content: TextTable, *, in_line: bool = False) -> SplitTable:
        """Return a table with the best figure of each column in green, and targets and counts that failed in red."""
        tints = {(row, 0): "red" for row, each in enumerate(self._summaries) if each.n and not each.timed}
        for at, heading in enumerate(content.headings):
            if heading == "failed":
                tints |= {(row, at): "red" for row, each in enumerate(self._summaries) if each.failed}
            elif heading in _RANKED:
                name, sign = _RANKED[heading]
                found = [getattr(each, name) for each in self._summaries]
                values = {row: sign * figure.value for row, figure in enumerate(found) if figure is not None}
                if len(values) > 1:
                    tints[min(values, key=lambda row: values[row]), at] = "green"
        return SplitTable(content, tints, in_line)


_RANKED = {"TTFT p50": ("ttft_p50", 1), "total p50": ("total_p50", 1), "tok/s p50": ("output_tps_p50", -1)}
"""Heading -> (attribute of the summary, 1 if the lowest value is best or -1 if the highest is)."""


def _side_by_side(left: TextTable, right: TextTable) -> TextTable:
    """Return one table with the columns of two, whose first columns hold the same targets."""
    rows = zip(left.rows, right.rows, strict=True)
    return TextTable(
        (*left.headings, *right.headings[1:]), tuple((*one, *other[1:]) for one, other in rows), left.wordy
    )


def _notices(run: Run) -> Iterator[Text]:
    for word, sentence in describe_notices(run).items():
        yield Text.assemble((word, "bold yellow"), f": {one_line(sentence)}")


def _percentiles(run: Run) -> Iterator[Text | SplitTable]:
    """Yield tables of the percentiles if there are several, each narrow enough for a terminal of 80 columns."""
    if len(run.percents) > 1:
        for start in range(0, len(run.percents), PERCENTILES_ABREAST):
            places = range(start, min(start + PERCENTILES_ABREAST, len(run.percents)))
            yield Text("")
            yield SplitTable(tabulate_percentiles(fastest_first(run), run.percents, places))


def _load(run: Run) -> Iterator[Text | SplitTable]:
    for title, table, caption in tables_beside_summary(run):
        yield Text(f"\n{title}", style="bold")
        yield SplitTable(table)
        yield Text(f"note: {caption}")


def _footnotes(run: Run, known_flags: Collection[str]) -> list[Text]:
    slow = describe_slow(run)
    goodput = [] if run.slo is None else [goodput_caption(run.slo)]
    remarks = (*([slow] if slow else []), *goodput, *brief_remarks(run, known_flags))
    notes = [WrappedText(f"note: {one_line(remark)}") for remark in remarks]
    failures = [_failure(failure) for failure in run.failures[:MAX_FAILURES]]
    more = len(run.failures) - MAX_FAILURES
    rest = [Text(f"and {counted(more, 'more kind')} of failure, in the run's results.csv")] if more > 0 else []
    return [*notes, *failures, *rest]


def _failure(failure: Failure) -> Text:
    error = f": {one_line(failure.error, ERROR_COLUMNS)}" if failure.error else ""
    advice = advise_on(failure)
    words = WrappedText().append(one_line(describe_failure(failure)), "red")
    return words.append(error).append(f"\n  {one_line(advice)}" if advice else "")


def _checks(run: Run) -> list[Text | SplitTable]:
    """Return counts of the cells, a table of them if any repeat did not pass and they are few, and their faults."""
    if not run.checked:
        return []
    cells = not_passed(run.checked)
    is_mixed = bool(cells) or any(cell.failed or cell.undecided for cell in run.checked)
    more = len(cells) - MAX_CELLS
    rest = [Text(f"and {counted(more, 'more cell')}, in the run's results.md")] if more > 0 else []
    cell_table = [SplitTable(tabulate_cells(run.checked))] if is_mixed and len(run.checked) <= MAX_CELLS else []
    return [Text(f"checks: {describe_checks(run.checked)}"), *cell_table, *map(_faults, cells[:MAX_CELLS]), *rest]


def _faults(cell: CheckedCell) -> Text:
    style = "red" if cell.verdict is CheckVerdict.FAILED else "yellow"
    reasons = "".join(f"\n  {one_line(describe_fault(fault), ERROR_COLUMNS)}" for fault in cell.faults)
    return Text.assemble((one_line(describe_cell(cell)), style), reasons)


def _how_it_was_made(run: Run) -> list[Text]:
    sentences = how_it_was_made(run)
    return [WrappedText(f"How it was made: {one_line('; '.join(sentences))}", "dim")] if sentences else []


def _result(run: Run) -> list[Text]:
    sentence = describe_first(run)
    return [] if sentence is None else [Text(""), WrappedText(one_line(sentence), "bold")]
