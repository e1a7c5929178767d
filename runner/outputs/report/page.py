"""What the page shows: the model that the template is filled with, made of runs alone."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from runner.analysis.run import Run
from runner.outputs.charts.chart import Chart
from runner.outputs.report.charts import draw_pictures
from runner.outputs.report.comparison_grid import Replies, Turn, lay_out, read_replies
from runner.outputs.report.findings import ReportFinding, find
from runner.outputs.report.provenance import Fact, describe_making
from runner.outputs.report.reply import ShownReply, shorten, show
from runner.outputs.report.sampling import cut_to_fit, take_sample
from runner.outputs.report.target_header import TargetColumn, line_up, name_run, name_target
from runner.outputs.text.checked import describe_cell, describe_checks, describe_fault, tabulate_cells, unmet
from runner.outputs.text.figures import count
from runner.outputs.text.overview import (
    SummaryTable,
    advise_on,
    banner,
    caption,
    describe_failure,
    partial,
    remarks,
    tabulate_summary,
)
from runner.outputs.text.printable import printable

MAX_FAILURES = 50
MAX_UNMET = 100
MAX_CASES = 200
MAX_FAULT = 400
"""Characters of a fault."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One way in which requests failed: what happened, what the provider said, what to do."""

    what: str
    said: str | None
    advice: str | None


@dataclass(frozen=True, slots=True)
class Unmet:
    """A case and target whose checks did not pass, and why."""

    what: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GridRowModel:
    """A turn with its replies ready to be shown: in each column, by repeat."""

    label: str
    case: str
    turn: int
    prompt: str
    repeats: tuple[int, ...]
    first: int
    failed: bool
    flagged: bool
    cells: tuple[Mapping[int, ShownReply], ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """All that one report says."""

    title: str
    began: str
    partial: str | None
    """How much of an unfinished run is here, to follow that very word."""
    simulated: str | None
    """Which targets are simulated, to follow that very word."""
    columns: tuple[TargetColumn, ...]
    findings: tuple[ReportFinding, ...]
    making: tuple[tuple[Fact, ...], ...]
    """How each run was made."""
    summary: SummaryTable
    caption: str
    """What the summary's columns are."""
    troubles: tuple[Trouble, ...]
    remarks: tuple[str, ...]
    checks: str | None
    """How the suite's checks came out, if it has any."""
    cells: tuple[SummaryTable, ...]
    """How each case came out for each target, a table for each run that has checks."""
    unmet: tuple[Unmet, ...]
    pictures: tuple[Chart, ...]
    rows: tuple[GridRowModel, ...]
    left_out: tuple[str, ...]
    run_ids: tuple[str, ...]

    @property
    def texts(self) -> dict[str, object]:
        """Return what the scripts work on: replies as they were written, by row, column and repeat."""
        labels = [printable(column.label) for column in self.columns]
        return {
            "id": sha256(json.dumps([self.run_ids, labels]).encode()).hexdigest()[:12],
            "runs": self.run_ids,
            "columns": labels,
            "turns": [_texts_of(row) for row in self.rows],
        }


def compose(runs: Sequence[Run]) -> ReportPage:
    """Make a page of one run, or of several side by side; a target asked from several places has a column for each."""
    making = tuple(describe_making(run) for run in runs)
    runs = [run.by_place for run in runs]
    columns = line_up(runs)
    sample = take_sample(lay_out(columns))
    replies = read_replies(sample.turns, columns)
    cut = cut_to_fit(replies)
    troubles, more = _troubles(runs)
    return ReportPage(
        title=" and ".join(dict.fromkeys(run.header.suite for run in runs)),
        began=" and ".join(f"run {run.header.run_id}, {run.header.started_at[:19].replace('T', ' ')}" for run in runs),
        partial=" ".join(_of_each(runs, lambda run: [text] if (text := partial(run)) else [])) or None,
        simulated=" ".join(_of_each(runs, lambda run: [text] if (text := banner(run)) else [])) or None,
        columns=columns,
        findings=find(columns),
        making=making,
        summary=tabulate_summary([column.summary for column in columns], runs[0].percents),
        caption=caption(runs[0].percents),
        troubles=troubles,
        remarks=(*more, *_of_each(runs, remarks)),
        checks="; ".join(_of_each(runs, _count_checks)) or None,
        cells=tuple(_tabulate_cells(runs)),
        unmet=tuple(_unmet(runs))[:MAX_UNMET],
        pictures=draw_pictures(runs),
        rows=tuple(_show_turn(turn, replies, cut.characters) for turn in sample.turns),
        left_out=(*sample.left_out, *cut.left_out),
        run_ids=tuple(run.header.run_id for run in runs),
    )


def _of_each(runs: Sequence[Run], tell: Callable[[Run], Sequence[str]]) -> list[str]:
    """Return what there is to tell of each run; of several, with its name before it."""
    told = [(name_run(number, len(runs)), tell(run)) for number, run in enumerate(runs, start=1)]
    return [f"{name}: {sentence}" if name else sentence for name, sentences in told for sentence in sentences]


def _troubles(runs: Sequence[Run]) -> tuple[tuple[Trouble, ...], list[str]]:
    """Return the failures there is room for, and a remark on the others."""
    found = [
        Trouble(
            describe_failure(replace(each, target=name_target(each.target, number, len(runs)))),
            each.error,
            advise_on(each),
        )
        for number, run in enumerate(runs, start=1)
        for each in run.failures
    ]
    more = len(found) - MAX_FAILURES
    return tuple(found[:MAX_FAILURES]), [f"{count(more, 'more kind')} of failure, in results.csv"] if more > 0 else []


def _count_checks(run: Run) -> list[str]:
    more = len(unmet(run.checked)) - MAX_UNMET
    rest = f"; the first {MAX_UNMET} that did not are below" if more > 0 else ""
    cases = len({cell.case for cell in run.checked})
    rest += f"; the table has the first {MAX_CASES} of {count(cases, 'case')}" if cases > MAX_CASES else ""
    return [describe_checks(run.checked) + rest] if run.checked else []


def _tabulate_cells(runs: Sequence[Run]) -> Iterator[SummaryTable]:
    for number, run in enumerate(runs, start=1):
        if run.checked:
            named = [replace(cell, target=name_target(cell.target, number, len(runs))) for cell in run.checked]
            table = tabulate_cells(named)
            yield replace(table, rows=table.rows[:MAX_CASES])


def _unmet(runs: Sequence[Run]) -> Iterator[Unmet]:
    for number, run in enumerate(runs, start=1):
        for cell in unmet(run.checked):
            named = replace(cell, target=name_target(cell.target, number, len(runs)))
            yield Unmet(describe_cell(named), tuple(shorten(describe_fault(fault), MAX_FAULT) for fault in cell.faults))


def _show_turn(turn: Turn, replies: Replies, characters: int) -> GridRowModel:
    cells = tuple(
        {repeat: show(rows[answer.place], characters) for repeat, answer in cell.items()}
        for cell, rows in zip(turn.cells, replies, strict=True)
    )
    shown = [reply for cell in cells for reply in cell.values()]
    return GridRowModel(
        label=turn.label,
        case=turn.case,
        turn=turn.turn,
        prompt=shorten(turn.prompt, characters),
        repeats=tuple(turn.repeats),
        first=turn.first,
        failed=any(reply.failed for reply in shown),
        flagged=any(reply.flags for reply in shown),
        cells=cells,
    )


def _texts_of(row: GridRowModel) -> dict[str, object]:
    return {
        "case": printable(row.case),
        "turn": row.turn,
        "repeats": row.repeats,
        "first": row.first,
        "replies": [
            {repeat: reply.text for repeat, reply in cell.items() if reply.text is not None} for cell in row.cells
        ],
    }
