"""The comparison grid: a column for each target, a row for each turn, and in each cell the places of its replies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from runner.analysis.checks import check_record, steps_in
from runner.analysis.dataframe import rows_of, targets_of
from runner.analysis.measured_target import MeasuredTarget, name_target
from runner.analysis.result_columns import Row
from runner.analysis.run_results import Run
from runner.analysis.summary import TargetSummary
from runner.analysis.target_figures import TargetFigures, target_figures
from runner.checks.finding import CheckVerdict
from runner.core.events import TIMED
from runner.core.steps import NO_STEPS, Steps
from runner.outputs.text.labels import name_in_words, name_question
from runner.outputs.text.language import BilingualText

FAILED_CHECKS = "failed_checks"
"""A cell of the rows that are shown; it is no column of results."""

_COLUMNS_READ = ["case", "turn", "repeat", "prompt", "outcome"]


# Columns


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One target of one run, the `number`th of the page, from 1; `summary` goes by the column's label."""

    run: Run
    number: int
    target: MeasuredTarget
    summary: TargetSummary
    figures: TargetFigures

    @property
    def label(self) -> str:
        """The heading of the column: the target and, where there are several runs, its run."""
        return str(self.summary.target)

    @property
    def name(self) -> BilingualText:
        """The heading in words: `label` is its key everywhere."""
        return name_in_words(self.summary.target)


def target_columns(runs: Sequence[Run]) -> tuple[TargetColumn, ...]:
    """Return a column for each target of each run, run by run."""
    return tuple(
        TargetColumn(
            run, number, each.target, replace(each.summary, target=name_target(each.target, number, len(runs))), each
        )
        for number, run in enumerate(runs, start=1)
        for each in target_figures(run)
    )


# Rows


class ReplyPlace(NamedTuple):
    """The place of a reply in the table of its run, and whether it is one. Its texts are read only if it is shown."""

    place: int
    answered: bool


GridCell = Mapping[int, ReplyPlace]
"""One column's replies to a turn, by repeat; repeats that were not sent are absent."""

Replies = Sequence[Mapping[int, Row]]
"""For each column whole rows of its run, texts included, by their place in the table."""


@dataclass(frozen=True, slots=True)
class GridTurn:
    """One turn of one case, and a cell for each column."""

    case: str
    turn: int
    prompt: str
    cells: tuple[GridCell, ...]
    steps: Steps = NO_STEPS
    """The steps of the case's conversation."""

    @property
    def label(self) -> str:
        """The case and, from the second on, the turn and the step."""
        return name_question(self.case, self.turn, self.steps)

    @property
    def repeats(self) -> list[int]:
        """The repeats that any column has, ascending."""
        return sorted({repeat for cell in self.cells for repeat in cell})

    @property
    def first(self) -> int:
        """The repeat to show first: the earliest of those in which most targets answered."""
        return max(self.repeats, key=lambda repeat: (self._count_answers(repeat), -repeat))

    def only_repeats(self, *repeats: int) -> Self:
        """Return the turn with these repeats only."""
        cells = ({repeat: reply for repeat, reply in cell.items() if repeat in repeats} for cell in self.cells)
        return replace(self, cells=tuple(cells))

    def _count_answers(self, repeat: int) -> int:
        return sum(repeat in cell and cell[repeat].answered for cell in self.cells)


def has_failed(row: Row) -> bool:
    """Return whether a request failed, or its reply failed a check."""
    return row["outcome"] not in TIMED or bool(row["checks_failed"])


def grid_turns(columns: Sequence[TargetColumn]) -> tuple[GridTurn, ...]:
    """Return the grid's rows, cases in the order of their suites; equal cases with different prompts have own rows."""
    cells: dict[tuple[str, int, str], tuple[dict[int, ReplyPlace], ...]] = {}
    for at, column in enumerate(columns):
        table = column.run.measured
        own = table.loc[targets_of(table) == column.target, _COLUMNS_READ]
        for place, row in zip(own.index.tolist(), rows_of(own), strict=True):
            key = (str(row["case"]), int(row["turn"] or 0), str(row["prompt"] or ""))
            of_key = cells.setdefault(key, tuple({} for _ in columns))
            of_key[at].setdefault(int(row["repeat"] or 0), ReplyPlace(place, row["outcome"] in TIMED))
    order = _order_of_cases(columns)
    keys = sorted(cells, key=lambda key: (order.get(key[0], len(order)), *key))
    return tuple(GridTurn(*key, cells[key], _steps_of(key[0], columns)) for key in keys)


def _steps_of(case: str, columns: Sequence[TargetColumn]) -> Steps:
    """Return the steps of a case in the first run that has any of it."""
    found = (steps_in(column.run.header.checks, case) for column in columns)
    return next((steps for steps in found if steps.max_steps > 1), NO_STEPS)


def _order_of_cases(columns: Sequence[TargetColumn]) -> dict[str, int]:
    names = dict.fromkeys(case for column in columns for case in column.run.header.cases)
    return {case: at for at, case in enumerate(names)}


def read_replies(turns: Iterable[GridTurn], columns: Sequence[TargetColumn]) -> Replies:
    """Return the rows of these turns' replies; each run is read once, however many columns it has."""
    places: dict[Run, set[int]] = {column.run: set() for column in columns}
    for turn in turns:
        for column, cell in zip(columns, turn.cells, strict=True):
            places[column.run].update(reply.place for reply in cell.values())
    rows = {run: _with_failed_checks(run, run.rows_at(of_run)) for run, of_run in places.items()}
    return [rows[column.run] for column in columns]


def _with_failed_checks(run: Run, rows: Mapping[int, Row]) -> dict[int, Row]:
    """Return rows with the names of the checks that each failed, in a cell of their own."""
    failing = sorted(place for place, row in rows.items() if row["checks_failed"])
    records = run.source.records_at(frozenset(failing)) if failing else ()
    named = {
        place: [name for name, found in findings.items() if found.verdict is CheckVerdict.FAILED]
        for place, record in zip(failing, records, strict=True)
        if (findings := check_record(run.header, record))
    }
    return {place: {**row, FAILED_CHECKS: ", ".join(named.get(place, ())) or None} for place, row in rows.items()}
