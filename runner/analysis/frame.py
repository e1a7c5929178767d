"""Records as a tidy DataFrame: one row a record, the columns of `columns.py`, what is absent NA."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pandas as pd

from runner.analysis.cells import TEXT, gather
from runner.analysis.columns import COLUMNS, Cell, ResultColumn, Row, row
from runner.core.record import Record
from runner.storage.journal import Header

INDIVIDUAL = frozenset({"started_at", "request_id", "reply", "reasoning"})
"""Texts of which every row has its own."""

_ONLY_SHOWN = INDIVIDUAL | {
    *("run_id", "suite", "in_flight", "planned_s", "queue_s", "backoff_s", "reused", "headers_s", "ttfc_s"),
    *("gap_p50_s", "gap_p99_s", "gap_max_s", "clock", "reasoning_tokens", "cached_tokens", "tokens_source"),
    *("chunks", "checks_passed"),
}
"""Columns that no figure, picture or comparison rests on; whoever comes to need one takes it out of here."""

FIGURE_COLUMNS = tuple(column for column in COLUMNS if column.name not in _ONLY_SHOWN)
"""What of a long run is held in memory: a million rows take a few hundred megabytes."""

REPLY_COLUMN = tuple(column for column in COLUMNS if column.name == "reply")

BATCH = 1024
"""Rows that are in memory as Python objects at once, which take several times what they take in a table."""


def frame(header: Header, records: Iterable[Record], columns: Sequence[ResultColumn] = COLUMNS) -> pd.DataFrame:
    """Tabulate a run's records in the order given."""
    return frame_of((row(header, record, columns) for record in records), columns)


def frame_of(rows: Iterable[Row], columns: Sequence[ResultColumn] = COLUMNS) -> pd.DataFrame:
    """Tabulate rows that have these columns."""
    growing = {column.name: gather(column.kind, shared=column.name not in INDIVIDUAL) for column in columns}
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        for name, cells in growing.items():
            cells.extend([each[name] for each in batch])
    # Not copied into blocks: a long table would then take twice its room.
    return pd.DataFrame({name: cells.series() for name, cells in growing.items()}, copy=False)


def rows_of(table: pd.DataFrame) -> Iterator[Row]:
    """Give the rows back as plain Python values, None where a cell is absent."""
    names = [str(name) for name in table.columns]
    for start in range(0, len(table), BATCH):
        batch = table.iloc[start : start + BATCH]
        columns = [_plain(batch[name]) for name in batch.columns]
        yield from (dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True))


def _plain(column: "pd.Series[Any]") -> list[Cell]:
    cells: list[Cell] = column.astype(object).where(column.notna(), None).tolist()
    return cells


def targets_of(table: pd.DataFrame) -> "pd.Series[str]":
    """Return each row's target as it is written everywhere: provider/model."""
    names = _Targets()
    cells = [names[place] for place in zip(table["provider"].tolist(), table["model"].tolist(), strict=True)]
    targets: pd.Series[str] = pd.Series(cells, index=table.index, dtype=TEXT)
    return targets


class _Targets(dict[tuple[str, str], str]):
    """Names that are made once, however many rows have them."""

    def __missing__(self, place: tuple[str, str]) -> str:
        self[place] = "/".join(place)
        return self[place]


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that count: all but warm-ups."""
    warm = [flags for flags in table["flags"].dropna().unique() if "warmup" in flags.split(";")]
    return table[~table["flags"].isin(warm)] if warm else table
