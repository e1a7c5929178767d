"""Records as a tidy DataFrame: one row a record, the columns of `columns.py`, what is absent NA."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
from pandas.api.extensions import ExtensionDtype

from runner.analysis.columns import COLUMNS, Cell, Kind, Row, row
from runner.journal import Header
from runner.record import Record

# The text type is spelled out so that it is the same with pandas 2 and 3, with and without pyarrow,
# and holds half an emoji, which pyarrow refuses.
DTYPES: dict[Kind, ExtensionDtype | str] = {
    Kind.TEXT: pd.StringDtype("python"),
    Kind.COUNT: "Int64",
    Kind.NUMBER: "float64",
    Kind.TRUTH: "boolean",
}

WARMUP = r"(?:^|;)warmup(?:;|$)"


def frame(header: Header, records: Iterable[Record]) -> pd.DataFrame:
    """Tabulate a run's records in the order given."""
    return frame_of(row(header, record) for record in records)


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Tabulate rows that have every column."""
    cells: dict[str, list[Cell]] = {column.name: [] for column in COLUMNS}
    for each in rows:
        for name, column in cells.items():
            column.append(each[name])
    return pd.DataFrame({column.name: series_of(cells[column.name], column.kind) for column in COLUMNS})


def series_of(cells: list[Cell], kind: Kind) -> "pd.Series[Any]":
    """Return a column's cells in the type of its kind."""
    series: pd.Series[Any] = pd.Series(cells, dtype=DTYPES[kind])
    return series


def rows_of(table: pd.DataFrame) -> Iterator[Row]:
    """Give the rows back as plain Python values, None where a cell is absent."""
    names = [str(name) for name in table.columns]
    columns = [_plain(table[name]) for name in table.columns]
    return (dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True))


def _plain(column: "pd.Series[Any]") -> list[Cell]:
    cells: list[Cell] = column.astype(object).where(column.notna(), None).tolist()
    return cells


def targets_of(table: pd.DataFrame) -> "pd.Series[str]":
    """Return each row's target as it is written everywhere: provider/model."""
    targets: pd.Series[str] = table["provider"] + "/" + table["model"]
    return targets


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that count: all but warm-ups."""
    return table[~table["flags"].str.contains(WARMUP, na=False).astype(bool)]
