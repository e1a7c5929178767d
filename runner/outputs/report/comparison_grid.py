"""The board: a row for each case and turn, a cell for each column, in it where each repeat's reply is to be found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from runner.analysis.columns import Row
from runner.analysis.frame import rows_of, targets_of
from runner.analysis.run import Run
from runner.core.events import TIMED
from runner.outputs.report.target_header import TargetColumn

_READ = ["case", "turn", "repeat", "prompt", "outcome", "checks_failed"]


class GridAnswer(NamedTuple):
    """Where in the table of its run a reply is, and whether it failed: the reply itself may never be shown."""

    place: int
    failed: bool


Cell = Mapping[int, GridAnswer]
"""What one column made of a turn, by repeat; without what was not asked."""

Replies = Sequence[Mapping[int, Row]]
"""For each column the whole rows of its run, texts and all, by their place in the table."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of one case, and a cell for each column."""

    case: str
    turn: int
    prompt: str
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        """The case, and which turn of it from the second on."""
        return self.case if self.turn == 1 else f"{self.case} · turn {self.turn}"

    @property
    def repeats(self) -> list[int]:
        """The repeats that any column has, ascending."""
        return sorted({repeat for cell in self.cells for repeat in cell})

    @property
    def first(self) -> int:
        """The repeat to show first: the earliest of those in which most columns answered as they should."""
        return max(self.repeats, key=lambda repeat: (self._good_in(repeat), -repeat))

    def at(self, *repeats: int) -> Self:
        """Return the turn with these repeats only."""
        cells = ({repeat: answer for repeat, answer in cell.items() if repeat in repeats} for cell in self.cells)
        return replace(self, cells=tuple(cells))

    def _good_in(self, repeat: int) -> int:
        return sum(repeat in cell and not cell[repeat].failed for cell in self.cells)


def has_failed(row: Row) -> bool:
    """Tell whether a reply did not end as it should, or does not say what the suite demands."""
    return row["outcome"] not in TIMED or bool(row["checks_failed"])


def lay_out(columns: Sequence[TargetColumn]) -> tuple[Turn, ...]:
    """Lay replies side by side; the cases in their suites' order, and one that was asked otherwise apart."""
    cells: dict[tuple[str, int, str], tuple[dict[int, GridAnswer], ...]] = {}
    for at, column in enumerate(columns):
        table = column.run.measured
        own = table.loc[targets_of(table) == column.target, _READ]
        for place, row in zip(own.index.tolist(), rows_of(own), strict=True):
            key = (str(row["case"]), int(row["turn"] or 0), str(row["prompt"] or ""))
            of_key = cells.setdefault(key, tuple({} for _ in columns))
            of_key[at].setdefault(int(row["repeat"] or 0), GridAnswer(place, has_failed(row)))
    order = _order_of_cases(columns)
    keys = sorted(cells, key=lambda key: (order.get(key[0], len(order)), *key))
    return tuple(Turn(*key, cells[key]) for key in keys)


def _order_of_cases(columns: Sequence[TargetColumn]) -> dict[str, int]:
    names = dict.fromkeys(case for column in columns for case in column.run.header.cases)
    return {case: at for at, case in enumerate(names)}


def read_replies(turns: Iterable[Turn], columns: Sequence[TargetColumn]) -> Replies:
    """Read what is shown of these turns; each run is read once, whatever number of columns it has."""
    places: dict[Run, set[int]] = {column.run: set() for column in columns}
    for turn in turns:
        for column, cell in zip(columns, turn.cells, strict=True):
            places[column.run].update(answer.place for answer in cell.values())
    rows = {run: run.rows_at(of_run) for run, of_run in places.items()}
    return [rows[column.run] for column in columns]
