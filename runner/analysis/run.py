"""A run as the outputs see it: how it was made, its table, and what follows from the table."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import pandas as pd

from runner.analysis.connections import Setup, summarize_connections
from runner.analysis.estimate import Estimate, estimate_rates
from runner.analysis.failures import Failure, gather_failures
from runner.analysis.frame import frame, measured
from runner.analysis.grid import GridRow, lay_out
from runner.analysis.summary import TargetSummary, summarize
from runner.journal import Header, Journal
from runner.record import Record


@dataclass(frozen=True, eq=False)
class Run:
    """A header with the table of its records; everything else is derived on demand, once."""

    header: Header
    frame: pd.DataFrame
    ended: bool = True
    setups: tuple[Setup, ...] = ()
    wants_estimates: bool = False
    """Whether somebody asked for token rates to be estimated where nobody counted."""

    @classmethod
    def of(cls, header: Header, records: Iterable[Record], *, ended: bool = True) -> Self:
        """Tabulate records under the header of the run they belong to."""
        return cls(header, frame(header, records), ended)

    @classmethod
    def of_journal(cls, journal: Journal) -> Self:
        """Tabulate what a journal holds, be the run finished or not."""
        table = frame(journal.header, journal.records)
        return cls(journal.header, table, journal.ended, summarize_connections(journal.lines("connection")))

    @property
    def simulated(self) -> bool:
        """Whether any figure here comes from the simulator."""
        return self.header.simulated or bool(self.frame["simulated"].any())

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows that count: all but warm-ups."""
        return measured(self.frame)

    @cached_property
    def summary(self) -> tuple[TargetSummary, ...]:
        """A row for each target, in the suite's order."""
        return summarize(self.frame, self.header.targets)

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """Estimated rates, if they are wanted."""
        return estimate_rates(self.frame) if self.wants_estimates else ()

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """What went wrong, gathered by what was said about it."""
        return gather_failures(self.frame)

    @cached_property
    def grid(self) -> tuple[GridRow, ...]:
        """Replies side by side, in the suite's order of cases."""
        return lay_out(self.frame, self.header.cases)
