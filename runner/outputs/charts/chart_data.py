"""The data of charts: each target's timed requests, the durations that compare them, and samples of many points."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Generic, TypeVar

from runner.analysis.dataframe import plain_cells, take_cells
from runner.analysis.intervals import Statistic
from runner.analysis.result_columns import Cell
from runner.analysis.run_results import Run
from runner.analysis.summary import TargetSummary
from runner.core.record import Record
from runner.outputs.text.labels import name_request

if TYPE_CHECKING:
    import pandas as pd

MAX_POINTS, MAX_POINTS_IN_ALL, MIN_POINTS = 300, 6000, 20
"""Points drawn of one target at most, of all targets together, and of one target however many targets there are."""

Item = TypeVar("Item")

PLACE_COLUMNS = ("case", "turn", "repeat")
RequestPlace = tuple[str, int, int]
"""These columns of one request, of which `name_request` makes its name with the checks of the suite."""


@dataclass(frozen=True, slots=True)
class ChartDuration:
    """A column of seconds: its short name for an axis, its description, and how to read its median."""

    column: str
    name: str
    title: str
    median: Callable[[TargetSummary], Statistic | None]


TTFT = ChartDuration("ttft_s", "TTFT", "time to first text", lambda summary: summary.ttft_p50)
TOTAL = ChartDuration("total_s", "total", "time to the end of the reply", lambda summary: summary.total_p50)


@dataclass(frozen=True, slots=True)
class ChartSample:
    """One target's timed requests; `place`, from 0, is the target's in the suite's order, which sets its colour."""

    target: str
    place: int
    table: "pd.DataFrame"

    def cells(self, column: str) -> list[Cell]:
        """Return a column's cells in the order of the requests, None for absent ones."""
        return plain_cells(self.table[column])

    @property
    def requests(self) -> list[RequestPlace]:
        """The place of each request; needs these columns."""
        places = zip(*(self.table[name].tolist() for name in PLACE_COLUMNS), strict=True)
        return [(str(case), int(turn), int(repeat)) for case, turn, repeat in places]

    def numbers(self, column: str) -> list[float]:
        """Return a column's numbers in the order of the requests, without absent ones."""
        values = self.table[column].to_numpy(dtype=float, na_value=nan)
        return [value for value in values.tolist() if not isnan(value)]


def as_number(cell: Cell) -> float | None:
    """Return a cell as a number; None where it is absent."""
    return float(cell) if isinstance(cell, int | float) else None


def target_places(run: Run) -> dict[str, int]:
    """Return the place of each target, from 0, in the suite's order, which sets its colour."""
    return {str(each.target): place for place, each in enumerate(run.summary)}


def timed_samples(run: Run, *columns: str) -> list[ChartSample]:
    """Return these columns of each target's timed requests, in the suite's order, without targets that have none."""
    # The labels of the table are its positions.
    places = target_places(run)
    return [
        ChartSample(name, places[name], take_cells(run.table, rows.to_numpy(), columns))
        for target, rows in run.timed.items()
        for name in [str(target)]
    ]


def max_points(targets: int) -> int:
    """Return how many points may be drawn of each of this many targets."""
    return max(MIN_POINTS, min(MAX_POINTS, MAX_POINTS_IN_ALL // targets))


def thin(items: Sequence[Item], most: int) -> Sequence[Item]:
    """Return at most `most` items, evenly spaced, with the first and the last."""
    if len(items) <= most:
        return items
    return [items[at * (len(items) - 1) // (most - 1)] for at in range(most)]


class SpacedSample(Generic[Item]):
    """At most `most` items of a stream, evenly spaced, kept without holding the others: there may be a million."""

    def __init__(self, most: int) -> None:
        self.items: list[Item] = []
        self.seen = 0
        self._most = most
        self._stride = 1

    def add(self, read: Callable[[], Item]) -> None:
        """Add the next item of the stream, which is read if it is kept."""
        if self.seen % self._stride == 0:
            if len(self.items) == self._most:
                self.items = self.items[::2]
                self._stride *= 2
            if self.seen % self._stride == 0:
                self.items.append(read())
        self.seen += 1


class TargetSamples(Generic[Item]):
    """A spaced sample of the records of each of a run's targets, as they are drawn."""

    def __init__(self, run: Run, most: int) -> None:
        self._run = run
        self._samples = {target: SpacedSample[Item](most) for target in target_places(run)}

    def keep(self, record: Record, read: Callable[[str], Item]) -> None:
        """Keep what `read` makes of a record and the name of its request, unless the sample of its target is full."""
        header, identity = self._run.header, record.identity
        place = identity.case, identity.turn, identity.repeat
        sample = self._samples[str(self._run.split.target_of(record))]
        sample.add(lambda: read(name_request(*place, header.checks, header.cache_probe)))

    @property
    def by_target(self) -> Mapping[str, SpacedSample[Item]]:
        """The samples of the targets that have any, in the suite's order."""
        return {target: sample for target, sample in self._samples.items() if sample.seen}
