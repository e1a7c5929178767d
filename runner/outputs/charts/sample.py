"""What pictures are drawn from: the timed requests of a run, by target, and fewer of them where they are too many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from runner.analysis.columns import Cell, Row
from runner.analysis.frame import rows_of, targets_of
from runner.analysis.run import Run
from runner.core.events import TIMED

if TYPE_CHECKING:
    import pandas as pd

MOST_OF_ONE, MOST_OF_ALL, FEWEST_OF_ONE = 300, 6000, 20
"""Points that are drawn of one target, of all targets together, and of one target however many there are."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ChartSample:
    """One target's timed requests; `place`, from 0, is the target's in the suite's order, which gives it its colour."""

    target: str
    place: int
    table: "pd.DataFrame"

    @property
    def rows(self) -> Iterator[Row]:
        """Each request's cells, one by one."""
        return rows_of(self.table)

    def numbers(self, column: str) -> list[float]:
        """Return a column's numbers where there are any, in the order of the requests."""
        values: list[float] = self.table[column].dropna().astype(float).tolist()
        return values


def as_number(cell: Cell) -> float | None:
    """Return a cell as a number; None where it is absent."""
    return float(cell) if isinstance(cell, int | float) else None


def timed_samples(run: Run, *columns: str) -> list[ChartSample]:
    """Return these columns of each target's timed requests, in the suite's order, of the targets that have any."""
    counted = run.measured
    timed = counted["outcome"].isin([outcome.value for outcome in TIMED])
    of_row = targets_of(counted)
    samples = (
        ChartSample(str(each.target), place, counted.loc[timed & (of_row == each.target), list(columns)])
        for place, each in enumerate(run.summary)
    )
    return [sample for sample in samples if len(sample.table)]


def most_of_each(targets: int) -> int:
    """Return how many points may be drawn of each of so many targets."""
    return max(FEWEST_OF_ONE, min(MOST_OF_ONE, MOST_OF_ALL // targets))


def thin(items: Sequence[Item], most: int) -> Sequence[Item]:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[at * (len(items) - 1) // (most - 1)] for at in range(most)]


class Spaced(Generic[Item]):
    """At most so many items of a stream, evenly spaced, without holding the others: it may be a million records."""

    def __init__(self, most: int) -> None:
        self.items: list[Item] = []
        self.seen = 0
        self._most = most
        self._stride = 1

    def add(self, item: Item) -> None:
        """Take the next item, or let it pass."""
        if self.seen % self._stride == 0:
            if len(self.items) == self._most:
                self.items = self.items[::2]
                self._stride *= 2
            if self.seen % self._stride == 0:
                self.items.append(item)
        self.seen += 1
