"""A run as the outputs see it: how it was made, its table, and what follows from the table."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import pandas as pd

from runner.analysis.calibration import ClockError
from runner.analysis.checks import CheckedCell, check_cells
from runner.analysis.columns import Row, row
from runner.analysis.connections import Setup, summarize_connections
from runner.analysis.estimate import Estimate, estimate_rates
from runner.analysis.failures import Failure, gather_failures
from runner.analysis.frame import FIGURE_COLUMNS, REPLY_COLUMN, frame, measured
from runner.analysis.grid import GridRow, arrange, choose
from runner.analysis.source import HeldRecords, PartOfRecords, RecordSource
from runner.analysis.summary import TargetSummary, summarize
from runner.analysis.sweep import LoadPoint, PacedPoint, measure_levels, measure_pace
from runner.analysis.vantages import Seen, models_from, name_places, split_header
from runner.analysis.workers import Workforce, summarize_workers
from runner.core.percentiles import PERCENTILES
from runner.core.record import Record
from runner.storage.journal import Header, Journal


@dataclass(frozen=True, eq=False)
class Run:
    """A header with the table of its records; everything else is derived on demand, once."""

    header: Header
    source: RecordSource
    """Where the records are, for those who need what the table leaves out."""
    table: pd.DataFrame
    """A row for each record with the columns that figures rest on, and no others: a million rows fit into memory."""
    ended: bool = True
    stop_reason: str | None = None
    """Why the run was ended before its plan was; None if it was not."""
    setups: tuple[Setup, ...] = ()
    workforce: Workforce = field(default_factory=Workforce)
    """Who heard it, if a cluster's workers did."""
    percents: tuple[float, ...] = PERCENTILES
    """Percentiles to show beside the median."""
    wants_estimates: bool = False
    """Whether somebody asked for token rates to be estimated where nobody counted."""
    checked: tuple[CheckedCell, ...] = ()
    """What became of the suite's checks, for each case and target that has some."""

    @classmethod
    def of(cls, header: Header, records: Iterable[Record], *, ended: bool = True) -> Self:
        """Tabulate records under the header of the run they belong to."""
        source = HeldRecords(tuple(records))
        return cls(header, source, _tabulate(header, source), ended, checked=check_cells(header, source.records))

    @classmethod
    def of_journal(cls, journal: Journal) -> Self:
        """Tabulate what a journal holds, be the run finished or not."""
        end = journal.end
        return cls(
            header=journal.header,
            source=journal,
            table=_tabulate(journal.header, journal),
            ended=end is not None,
            stop_reason=str(end["reason"]) if end and "reason" in end else None,
            setups=summarize_connections(journal.lines("connection")),
            workforce=summarize_workers(journal.lines("worker", "worker_lost", "attempt")),
            checked=check_cells(journal.header, journal.records),
        )

    def only(self, holds: Callable[[Record], bool]) -> Self:
        """Return the run as if no other requests had been sent."""
        part = PartOfRecords(self.source, holds)
        return replace(
            self, source=part, table=_tabulate(self.header, part), checked=check_cells(self.header, part.records)
        )

    @property
    def by_place(self) -> Self:
        """The run with a target for each of its targets and places; itself, if it was asked from one place."""
        return self._split if len({*name_places(self.header.vantages).values()}) > 1 else self

    @cached_property
    def _split(self) -> Self:
        places = name_places(self.header.vantages)
        header, source = split_header(self.header, places), Seen(self.source, places)
        table = self.table.assign(model=models_from(self.table, places))
        return replace(self, header=header, source=source, table=table, checked=check_cells(header, source.records))

    @property
    def records(self) -> Iterable[Record]:
        """The records anew, one by one."""
        return self.source.records

    @property
    def rows(self) -> Iterator[Row]:
        """Whole rows anew, one by one."""
        return (row(self.header, record) for record in self.records)

    def rows_at(self, places: Collection[int]) -> dict[int, Row]:
        """Return whole rows by their place in the table: their label in its index."""
        chosen = frozenset(places)
        rows = (row(self.header, record) for record in self.source.records_at(chosen))
        return dict(zip(sorted(chosen), rows, strict=True))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Whole rows, all of them, as a table: what Python users get. It takes as much memory as the texts do."""
        return frame(self.header, self.records)

    @cached_property
    def told(self) -> pd.DataFrame:
        """The table with what was replied, for those who compare texts."""
        return self.table.assign(reply=frame(self.header, self.records, REPLY_COLUMN)["reply"])

    @property
    def simulated(self) -> bool:
        """Whether any figure here comes from the simulator."""
        return self.header.simulated or bool(self.table["simulated"].any())

    @property
    def clock_error(self) -> ClockError | None:
        """How far off this machine stamped when it was last calibrated, if it heard the run and ever was."""
        return ClockError.of(self.header.calibration or {})

    @property
    def clock_errors(self) -> Iterator[ClockError]:
        """The same of whoever heard it: this machine, or each of a cluster's workers."""
        found = (self.clock_error, *(worker.error for worker in self.workforce.workers))
        return (error for error in found if error is not None)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows of the table that count: all but warm-ups."""
        return measured(self.table)

    @cached_property
    def summary(self) -> tuple[TargetSummary, ...]:
        """A row for each target, in the suite's order."""
        return summarize(self.table, self.header.targets, self.percents)

    @cached_property
    def sweep(self) -> tuple[LoadPoint, ...]:
        """A point for each target and level, if the run was a sweep."""
        return measure_levels(self.header, self.records)

    @cached_property
    def pace(self) -> tuple[PacedPoint, ...]:
        """A point for each target, if the run was an open loop."""
        return measure_pace(self.header, self.records)

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """Estimated rates, if they are wanted."""
        return estimate_rates(self.records) if self.wants_estimates else ()

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """What went wrong, gathered by what was said about it."""
        return gather_failures(self.table)

    @cached_property
    def chosen(self) -> pd.DataFrame:
        """The rows of the table that speak for their target in a turn, in the suite's order of cases."""
        return choose(self.table, self.header.cases)

    @cached_property
    def grid(self) -> tuple[GridRow, ...]:
        """Replies side by side, in the suite's order of cases."""
        return self.lay_out(self.chosen)

    def lay_out(self, chosen: pd.DataFrame) -> tuple[GridRow, ...]:
        """Lay some of the chosen replies side by side, in their order."""
        rows = self.rows_at(chosen.index.tolist())
        return arrange(rows[place] for place in chosen.index)


def _tabulate(header: Header, source: RecordSource) -> pd.DataFrame:
    return frame(header, source.records, FIGURE_COLUMNS)
