"""A run and its results: header, records, table, and everything derived from them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, Self, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from runner.analysis.check_results import CheckedCell, check_cells
from runner.analysis.cluster_workers import ClusterSummary, summarize_workers
from runner.analysis.cost import TargetCost, summarize_costs
from runner.analysis.damaged_journal_header import without_damage
from runner.analysis.dataframe import (
    FIGURE_COLUMNS,
    NO_ROWS,
    REPLY_COLUMNS,
    TABLE_COLUMNS,
    frame_of_records,
    is_timed_once,
    positions_by_target,
    rows_of,
    split_table,
    targets_of,
    without_warmups,
)
from runner.analysis.judge import JUDGED, JudgedPairs, judged_pairs, write_rubric_verdicts
from runner.analysis.judge_costs import JudgeCost, rubric_costs
from runner.analysis.measured_targets import WHOLE, MeasuredTarget, TargetSplit, list_answered_by
from runner.analysis.mixed_vendors import MixedAnswers, find_mixed_answers
from runner.analysis.pass_rate import PassRate, measure_pass_rate
from runner.analysis.result_columns import Row, whole_row
from runner.analysis.side_by_side import GridRow, choose_rows, grid_of_rows
from runner.analysis.speed_under_load import LoadPoint, OpenLoopPoint, measure_levels, measure_open_loop
from runner.analysis.steady_state import LevelEntry, has_steady_state, mark_left_out, read_level_entries
from runner.analysis.summary import (
    ConnectionSummary,
    EstimatedRate,
    Failure,
    TargetSummary,
    estimate_rates,
    summarize,
    summarize_connections,
    summarize_failures,
    with_goodput,
)
from runner.analysis.time_to_tokens import with_time_to_tokens
from runner.analysis.timestamp_errors import ClockError
from runner.core.answered_by import AnsweredByColumn
from runner.core.load_profile import LoadProfile
from runner.core.percentiles import PERCENTILES
from runner.core.record import Record
from runner.core.slo import Slo
from runner.storage.attachment_files import Thumbnail, read_thumbnails
from runner.storage.journal import Header, Journal

KEPT_BYTES = 4 * 1024**2
"""Size of the largest journal whose records are kept in memory, where they take up to four times as much, because each
output reads them at least once."""


class RecordSource(Protocol):
    """Records that can be read repeatedly in the same order: a journal, or one of the two classes below."""

    @property
    def records(self) -> Iterable[Record]:
        """All records."""

    def records_at(self, positions: AbstractSet[int]) -> Iterable[Record]:
        """Return the records at these positions, from 0, in their order."""


@dataclass(frozen=True, slots=True)
class RecordsInMemory:
    """Records held in memory."""

    records: tuple[Record, ...]

    def records_at(self, positions: AbstractSet[int]) -> Iterator[Record]:
        """Return the records at these positions, from 0, in their order."""
        return (self.records[position] for position in sorted(positions))


@dataclass(frozen=True, slots=True)
class FilteredRecords:
    """The records of another source that meet a condition."""

    source: RecordSource
    holds: Callable[[Record], bool]

    @property
    def records(self) -> Iterator[Record]:
        """All records that meet the condition."""
        return (record for record in self.source.records if self.holds(record))

    def records_at(self, positions: AbstractSet[int]) -> Iterator[Record]:
        """Return the records at these positions among those that meet the condition, from 0, in their order."""
        return (record for position, record in enumerate(self.records) if position in positions)


@dataclass(frozen=True, eq=False)
class Run:
    """A header and the table of its records; everything else is derived on first use."""

    header: Header
    source: RecordSource
    """Records, for the columns that the table leaves out."""
    table: pd.DataFrame
    """A row per record with FIGURE_COLUMNS, and the columns by which targets are split, if they are."""
    ended: bool = True
    stop_reason: str | None = None
    """Reason why the run ended before its plan; None if it did not."""
    connections: tuple[ConnectionSummary, ...] = ()
    cluster: ClusterSummary = field(default_factory=ClusterSummary)
    entries: tuple[LevelEntry, ...] = ()
    """Times at which lanes reached their load levels; empty unless the run is a closed loop with a steady state."""
    percents: tuple[float, ...] = PERCENTILES
    """Percentiles to show besides the median."""
    wants_estimates: bool = False
    """Whether to estimate token rates where no tokens were counted."""
    checked: tuple[CheckedCell, ...] = ()
    """Result of the suite's checks for each case and target that has any."""
    by: AnsweredByColumn | None = None
    """Column by which `split_by_place` splits targets, in addition to places."""
    split: TargetSplit = WHOLE
    """Rule by which targets are split; see `split_by_place`."""
    left_out: str | None = None
    """Description of the lines of a damaged journal that are left out of all results; None if there are none."""
    judged: tuple[JudgedPairs, ...] = ()
    """Judged pairs of the run's replies."""
    judge_costs: tuple[JudgeCost, ...] = ()
    """Cost of each judge of the suite's rubrics."""
    missing: int = 0
    """Number of planned requests without a record in the journal of a completed run, because lines were lost."""
    folder: Path | None = None
    """Folder of the run; None for a run in memory."""

    @classmethod
    def of(
        cls, header: Header, records: Iterable[Record], *, ended: bool = True, entries: Sequence[LevelEntry] = ()
    ) -> Self:
        """Return the run of a header and its records."""
        source = RecordsInMemory(tuple(records))
        table, checked = _tabulate(header, source, entries), check_cells(header, source.records)
        return cls(header, source, table, ended, checked=checked, entries=tuple(entries))

    @classmethod
    def of_journal(cls, journal: Journal) -> Self:
        """Return the run of a journal, finished or not.

        Raises:
            JournalError: the journal cannot be read.

        """
        header, damage = without_damage(journal.header)
        if damage is not None:
            journal.damage.add(1, damage)
        entries = read_level_entries(journal.lines("level")) if has_steady_state(header) else ()
        source = RecordsInMemory(tuple(journal.records)) if journal.size <= KEPT_BYTES else journal
        end, table = journal.end, _tabulate(header, source, entries)
        missing = journal.count_missing(end, len(without_warmups(table)))
        return cls(
            header=header,
            source=source,
            table=table,
            ended=end is not None and not missing,
            stop_reason=str(end["reason"]) if end and "reason" in end else None,
            connections=summarize_connections(journal.lines("connection")),
            cluster=summarize_workers(journal.lines("worker", "worker_lost", "attempt")),
            checked=check_cells(header, source.records),
            judged=judged_pairs(journal),
            judge_costs=rubric_costs(journal),
            entries=entries,
            left_out=journal.left_out,  # known now that all records have been read
            missing=missing,
            folder=journal.path.parent,
        )

    def only(self, holds: Callable[[Record], bool]) -> Self:
        """Return the run with the records that meet a condition, as if no other requests had been sent."""
        part = FilteredRecords(self.source, holds)
        checked = check_cells(self.header, part.records)
        table = _tabulate(self.header, part, self.entries)
        return replace(self, source=part, table=table, checked=checked, split=WHOLE)

    @cached_property
    def split_by_place(self) -> Self:
        """The run with targets split by place and by the column `by`; the run itself if it has neither."""
        split = TargetSplit.by_place(self.header.vantages, self.by)
        if self.split != WHOLE or split == WHOLE:
            return self
        table = split_table(self.table, split)
        split = replace(split, answered_by=list_answered_by(targets_of(table).unique())) if self.by else split
        return replace(self, split=split, table=table, checked=check_cells(self.header, self.records, split))

    @property
    def targets(self) -> tuple[MeasuredTarget, ...]:
        """The targets of the header, split as the run is."""
        return self.split.list_targets(self.header.targets)

    @cached_property
    def thumbnails(self) -> Mapping[str, Thumbnail]:
        """The thumbnails of the images that were sent, by the SHA-256 of each."""
        return {} if self.folder is None or not self.header.attachments else read_thumbnails(self.folder)

    @property
    def records(self) -> Iterable[Record]:
        """The records; those of a long run are read from the journal on each use."""
        return self.source.records

    @property
    def rows(self) -> Iterator[Row]:
        """The rows with all result columns: cells of the table, and other cells read from the records on each use."""
        return (row for _, row in self.records_with_rows)

    @property
    def records_with_rows(self) -> Iterator[tuple[Record, Row]]:
        """The records, each with its row of `rows`."""
        known = rows_of(self.table, TABLE_COLUMNS)
        return (
            (record, whole_row(self.header, record, cells)) for record, cells in zip(self.records, known, strict=True)
        )

    def rows_at(self, positions: Collection[int]) -> dict[int, Row]:
        """Return rows with all result columns by their positions, which are their labels in the table's index."""
        chosen = sorted({*positions})
        known = rows_of(self.table.loc[chosen], TABLE_COLUMNS)
        records = self.source.records_at(frozenset(chosen))
        rows = (_with_verdicts(self.header, *each) for each in zip(records, known, strict=True))
        return dict(zip(chosen, rows, strict=True))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table with all result columns, as Python users get it. It holds all texts in memory."""
        return frame_of_records(self.header, self.records).assign(flags=self.table["flags"])

    @cached_property
    def table_with_tokens(self) -> pd.DataFrame:
        """The table with the time to the first 100 tokens, which requires reading all records."""
        return with_time_to_tokens(self.table, self.records)

    @cached_property
    def table_with_replies(self) -> pd.DataFrame:
        """The table with the columns `reply` and `tool_calls`, to compare replies."""
        replies = frame_of_records(self.header, self.records, REPLY_COLUMNS)
        return self.table.assign(reply=replies["reply"], tool_calls=replies["tool_calls"])

    @property
    def simulated(self) -> bool:
        """Whether any reply comes from the simulator."""
        return self.header.simulated or bool(self.table["simulated"].any())

    @property
    def clock_error(self) -> ClockError | None:
        """The latest calibration of this machine at the time of the run; None if there was none."""
        return ClockError.from_plain(self.header.calibration or {})

    @property
    def clock_errors(self) -> Iterator[ClockError]:
        """The calibrations of the machines that measured the run: this machine, and the workers of a cluster."""
        found = (self.clock_error, *(worker.error for worker in self.cluster.workers))
        return (error for error in found if error is not None)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows of the table without warm-ups."""
        return without_warmups(self.table)

    @cached_property
    def timed(self) -> dict[MeasuredTarget, "pd.Index[int]"]:
        """The labels in the table's index of the timed rows of each target, without repeats of a cache probe."""
        table = self.measured
        timed = is_timed_once(table)
        rows = {target: rows[timed[rows]] for target, rows in positions_by_target(table).items()}
        return {each.target: table.index[of] for each in self.summary if len(of := rows.get(each.target, NO_ROWS))}

    @property
    def slo(self) -> Slo | None:
        """The SLO by which requests are judged; None without one."""
        return Slo.from_plain(self.header.slo)

    def with_slo(self, slo: Slo | None) -> Self:
        """Return the run with another SLO; None keeps its own."""
        return self if slo is None else replace(self, header=replace(self.header, slo=slo.to_plain()))

    @cached_property
    def summary(self) -> tuple[TargetSummary, ...]:
        """The summary of each target, in the suite's order."""
        found = summarize(self.table, self.targets, self.percents)
        if self.slo is None:
            return found
        has_levels = bool(LoadProfile.from_plain(self.header.load).levels)
        return with_goodput(found, self.table, self.slo, with_rates=not has_levels)

    def pass_rate(self, target: MeasuredTarget) -> PassRate | None:
        """Return the pass rate of a target's cases; None if no repeat was decided."""
        return measure_pass_rate([cell for cell in self.checked if cell.target == target])

    @cached_property
    def costs(self) -> tuple[TargetCost, ...]:
        """The known costs of each target and currency."""
        return summarize_costs(self.table, targets_of(self.table))

    @cached_property
    def sweep(self) -> tuple[LoadPoint, ...]:
        """A point for each target and level; empty if the run is not a sweep."""
        return measure_levels(self.header, self.measured, self.split)

    @cached_property
    def open_loop(self) -> tuple[OpenLoopPoint, ...]:
        """A point for each target; empty if the run is not an open loop."""
        goodput = {each.target: each.goodput for each in self.summary}
        points = measure_open_loop(self.header, self.measured, self.split)
        return tuple(replace(point, goodput=goodput.get(point.target)) for point in points)

    @cached_property
    def estimates(self) -> tuple[EstimatedRate, ...]:
        """Estimated token rates; empty unless they are wanted."""
        return estimate_rates(self.records, self.split) if self.wants_estimates else ()

    @cached_property
    def mixed_answers(self) -> tuple[MixedAnswers, ...]:
        """The targets that several vendors, fingerprints or service tiers answered."""
        return find_mixed_answers(self.table)

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """The failed requests, with equal ones counted together."""
        return summarize_failures(self.table)

    @cached_property
    def chosen(self) -> pd.DataFrame:
        """The rows of the table that represent targets in a grid of replies, in the suite's order of cases."""
        return choose_rows(self.table, self.header.cases)

    @cached_property
    def grid(self) -> tuple[GridRow, ...]:
        """Replies side by side, in the suite's order of cases."""
        return self.grid_of(self.chosen)

    def grid_of(self, chosen: pd.DataFrame) -> tuple[GridRow, ...]:
        """Return some of the chosen rows side by side, in their order."""
        rows = self.rows_at(chosen.index.tolist())
        return grid_of_rows(
            (rows[position] for position in chosen.index), self.split, self.header.checks, self.header.cache_probe
        )


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def cache_latest(
    read: Callable[Concatenate[Run, Arguments], Result],
) -> Callable[Concatenate[Run, Arguments], Result]:
    """Return a function that caches its latest result for each run as long as the run exists.

    The formats need the same results, and a page draws a chart for several widths and scales in succession.
    """
    latest: WeakKeyDictionary[Run, tuple[object, Result]] = WeakKeyDictionary()

    def kept(run: Run, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        cached, key = latest.get(run), (arguments, named)
        if cached is None or cached[0] != key:
            latest[run] = cached = key, read(run, *arguments, **named)
        return cached[1]

    update_wrapper(kept, read)
    return kept


def _with_verdicts(header: Header, record: Record, known: Row) -> Row:
    """Return a whole row, with a judge's verdicts on the rubrics, if any, in a cell that is not a result column."""
    cells = whole_row(header, record, known)
    return cells if record.judgements is None else {**cells, JUDGED: write_rubric_verdicts(header, record)}


def _tabulate(header: Header, source: RecordSource, entries: Sequence[LevelEntry] = ()) -> pd.DataFrame:
    table = frame_of_records(header, source.records, FIGURE_COLUMNS)
    table.columns = table.columns.astype(object)  # with pyarrow's strings, access to a column takes a third longer
    return mark_left_out(header, table, entries)
