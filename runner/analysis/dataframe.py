"""Records as a tidy DataFrame: one row per record, the columns of `result_columns.py`, NA for absent cells.

Columns are built in segments, so that building a long table takes hardly more memory than the table itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.measured_targets import UNKNOWN, MeasuredTarget, TargetSplit
from runner.analysis.result_columns import COLUMNS, SENT, Cell, Kind, ResultColumn, Row, row, target_of_row
from runner.core.events import TIMED, UNTRIED
from runner.core.record import Record
from runner.storage.journal import Header

TEXT = pd.StringDtype("python")
"""Type of text columns. It is explicit so that it is the same with pandas 2 and 3, with and without pyarrow, and can
hold lone surrogates, which pyarrow rejects."""

SEGMENT = 65_536
"""Number of cells to allocate at once. Pages of a segment that are never written take no memory."""

BATCH = 1024
"""Number of rows held as Python objects at once, which take several times their size in a table."""

UNIQUE_TEXTS = frozenset({"started_at", "request_id", "reply", "reasoning"})
"""Text columns whose cells differ in nearly every row; in all others, equal texts are stored once."""

_NOT_IN_FIGURES = UNIQUE_TEXTS | {
    *("run_id", "suite", "queue_s", "backoff_s", "reused", "upload_s", "headers_s", "ttfc_s", "tool_calls"),
    *("gap_p50_s", "gap_p99_s", "gap_max_s", "clock", "reasoning_tokens", "tokens_source"),
    "checks_passed",
}
"""Columns that no summary, chart or comparison reads. Remove a name from here when it is needed."""

TABLE_COLUMNS = tuple(column for column in COLUMNS if column.name not in _NOT_IN_FIGURES)
"""Result columns of a run that are kept in memory, in which a million rows take a few hundred megabytes."""

FIGURE_COLUMNS = (*TABLE_COLUMNS, SENT)

REPLY_COLUMNS = tuple(column for column in COLUMNS if column.name in {"reply", "tool_calls"})

FILLING = "filling"
"""Flag of a row sent before a closed loop reached its steady state; see `steady_state.py`."""

DRAINING = "draining"
"""Flag of a row that may have ended after the steady state."""

REPEATED = "repeated"
"""Flag of a row that a cache probe sent again; only the table of prompt caches shows its latency."""

LEFT_OUT = (FILLING, DRAINING, REPEATED)
"""Flags of rows that are left out of latencies."""

PLACE = "place"
"""Column of a table whose targets are split by place. It is derived from `node` and is not a result column."""

ANSWERED_BY = "answered_by"
"""Column of a table whose targets are split by who answered, a copy of the column that names it."""


def frame_of_records(
    header: Header, records: Iterable[Record], columns: Sequence[ResultColumn] = COLUMNS
) -> pd.DataFrame:
    """Return a run's records as a table, in the order given."""
    return frame_of_rows((row(header, record, columns) for record in records), columns)


def frame_of_rows(rows: Iterable[Row], columns: Sequence[ResultColumn] = COLUMNS) -> pd.DataFrame:
    """Return rows with these columns as a table."""
    growing = {column.name: _new_column(column.kind, unique=column.name in UNIQUE_TEXTS) for column in columns}
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        for name, cells in growing.items():
            cells.extend([each[name] for each in batch])
    # Copying the columns into blocks would double the memory of a long table.
    return pd.DataFrame({name: cells.series() for name, cells in growing.items()}, copy=False)


def rows_of(table: pd.DataFrame, columns: Sequence[ResultColumn] | None = None) -> Iterator[Row]:
    """Yield the rows of a table, with all or some of its columns, as plain Python values, None for absent cells."""
    names = list(map(str, table.columns)) if columns is None else [column.name for column in columns]
    for start in range(0, len(table), BATCH):
        batch = table.iloc[start : start + BATCH]
        cells_of = [plain_cells(batch[name]) for name in names]
        yield from (dict(zip(names, cells, strict=True)) for cells in zip(*cells_of, strict=True))


def plain_cells(column: "pd.Series[Any]") -> list[Cell]:
    """Return a column as plain Python values, None for absent cells."""
    cells: list[Cell]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        cells = [None if cell != cell else cell for cell in column.tolist()]  # noqa: PLR0124 -- NaN
    elif isinstance(column.dtype, np.dtype):
        cells = column.astype(object).where(column.notna(), None).tolist()
    else:
        absent: Any = None  # the stubs do not allow None as a value for absent cells
        cells = column.to_numpy(dtype=object, na_value=absent).tolist()
    return cells


def targets_of(table: pd.DataFrame) -> "pd.Series[Any]":
    """Return the target of each row, split by place and by who answered if the table has these columns.

    Returns:
        a categorical column of `MeasuredTarget`, of the table's length and with its index.

    """
    variants = plain_cells(table["variant"]) if "variant" in table else [None] * len(table)
    columns = [table["provider"].tolist(), table["model"].tolist(), variants]
    columns += [table[name].tolist() if name in table else [None] * len(table) for name in (PLACE, ANSWERED_BY)]
    codes: dict[tuple[Cell, ...], int] = {}
    each = (codes.setdefault(key, len(codes)) for key in zip(*columns, strict=True))
    of_row = np.fromiter(each, dtype=np.intp, count=len(table))
    targets = pd.Index([_target_of(*cells) for cells in codes], dtype=object)
    return pd.Series(pd.Categorical.from_codes(of_row, categories=targets), index=table.index)


def positions_by_target(table: pd.DataFrame) -> dict[MeasuredTarget, NDArray[np.intp]]:
    """Return the positions of each target's rows in a table, as `targets_of` splits it.

    Returns:
        positions from 0, ascending; shape (rows of the target,) each.

    """
    of_row = targets_of(table)
    codes, targets = of_row.cat.codes.to_numpy(), of_row.cat.categories
    return {target: np.flatnonzero(codes == code) for code, target in enumerate(targets)}


def _target_of(provider: Cell, model: Cell, variant: Cell, place: Cell, answered_by: Cell) -> MeasuredTarget:
    name = target_of_row({"provider": provider, "model": model, "variant": variant})
    place, answered_by = (None if cell is None else str(cell) for cell in (place, answered_by))
    return MeasuredTarget(str(name), place, answered_by=answered_by)


def take_cells(table: pd.DataFrame, positions: NDArray[np.intp], columns: Iterable[str]) -> pd.DataFrame:
    """Return some rows and columns of a table, which is faster than taking the rows of all columns.

    Args:
        table: any table.
        positions: positions of the rows, from 0; shape (rows to return,).
        columns: names of the columns.

    """
    of_columns = {name: table[name].array[positions] for name in columns}
    return pd.DataFrame(of_columns, index=table.index[positions], copy=False)


def split_table(table: pd.DataFrame, split: TargetSplit) -> pd.DataFrame:
    """Return a table with the columns by which `targets_of` splits targets.

    A cell is None if the node has no place, or if no reply of the target tells who answered.
    """
    if split.places:
        places = [split.places.get(node) for node in table["node"]]
        table = table.assign(**{PLACE: pd.Series(places, table.index, dtype=object)})
    if split.column is not None:
        targets, names = targets_of(table).tolist(), plain_cells(table[split.column])
        named = {target for target, name in zip(targets, names, strict=True) if name is not None}
        who = [
            UNKNOWN if name is None and target in named else name for target, name in zip(targets, names, strict=True)
        ]
        table = table.assign(**{ANSWERED_BY: pd.Series(who, table.index, dtype=object)})
    return table


NO_ROWS = np.empty(0, dtype=np.intp)
"""An empty array of row positions."""


def without_warmups(table: pd.DataFrame) -> pd.DataFrame:
    """Return all rows except warm-ups."""
    return _without_flags(table, "warmup")


def steady_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the steady state, without repeats of a cache probe."""
    return _without_flags(table, *LEFT_OUT)


def is_timed(table: pd.DataFrame) -> "pd.Series[bool]":
    """Return a mask of the rows with an outcome that enters timing statistics."""
    return table["outcome"].isin([outcome.value for outcome in TIMED])


def is_tried(table: pd.DataFrame) -> "pd.Series[bool]":
    """Return a mask of the rows that are a success or a failure of the target."""
    return ~table["outcome"].isin([outcome.value for outcome in UNTRIED])


def is_failed(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask of the rows that the target failed: neither timed, nor never tried; shape (rows,)."""
    return (is_tried(table) & ~is_timed(table)).to_numpy(dtype=bool)


def is_timed_once(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask of the timed rows that are not repeats of a cache probe; shape (rows,)."""
    return is_timed(table).to_numpy(dtype=bool) & has_none_of(table, REPEATED)


def is_in_latencies(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask of the rows that enter latencies: timed ones of the steady state; shape (rows,).

    Tables and comparisons use it; `stored_summary` applies the same rule record by record.
    """
    return is_timed(table).to_numpy(dtype=bool) & has_none_of(table, *LEFT_OUT)


def _without_flags(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    kept = has_none_of(table, *names)
    return table if kept.all() else table[kept]


def has_none_of(table: pd.DataFrame, *names: str) -> NDArray[np.bool_]:
    """Return a mask of the rows that have none of these flags; shape (rows,)."""
    codes, flags = pd.factorize(table["flags"].to_numpy(dtype=object))
    lacking = [set(str(each).split(";")).isdisjoint(names) for each in flags]
    return np.array([*lacking, True])[codes]  # rows without any flag have the code -1


# Growing columns: `extend` appends cells, None for absent ones; `series` returns the column and releases its segments


class _GrowingArray:
    """An array that grows by whole segments, so that values are never moved, which would fragment memory."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._segments: list[NDArray[Any]] = []
        self._length = 0

    def extend(self, values: Sequence[object]) -> None:
        while values:
            at = self._length % SEGMENT
            if at == 0:
                self._segments.append(np.empty(SEGMENT, dtype=self._kind))
            fitting = values[: SEGMENT - at]
            self._segments[-1][at : at + len(fitting)] = fitting
            self._length += len(fitting)
            values = values[len(fitting) :]

    def join(self) -> NDArray[Any]:
        """Return all values as one array and release the segments."""
        segments, self._segments = self._segments, []
        if not segments:
            return np.empty(0, dtype=self._kind)
        segments[-1] = segments[-1][: self._length - SEGMENT * (len(segments) - 1)]
        return np.concatenate(segments)


class _Numbers:
    """Floating-point numbers; absent cells are NaN."""

    def __init__(self) -> None:
        self._values = _GrowingArray(np.float64)

    def extend(self, cells: Sequence[Cell]) -> None:
        self._values.extend([nan if cell is None else cell for cell in cells])

    def series(self) -> "pd.Series[float]":
        return pd.Series(self._values.join(), copy=False)


class _Masked:
    """Counts or truth values, with a mask of the absent cells."""

    def __init__(self, kind: type, finished: type[pd.arrays.IntegerArray | pd.arrays.BooleanArray]) -> None:
        self._finished = finished
        self._values, self._absent = _GrowingArray(kind), _GrowingArray(np.bool_)

    def extend(self, cells: Sequence[Cell]) -> None:
        self._values.extend([0 if cell is None else cell for cell in cells])
        self._absent.extend([cell is None for cell in cells])

    def series(self) -> "pd.Series[Any]":
        return pd.Series(self._finished(self._values.join(), self._absent.join()), copy=False)


class _Texts:
    """Texts; equal ones are stored once, unless the column is unique."""

    def __init__(self, *, unique: bool) -> None:
        self._values = _GrowingArray(object)
        self._known: dict[Cell, Cell] | None = None if unique else {}

    def extend(self, cells: Sequence[Cell]) -> None:
        known = self._known
        self._values.extend(cells if known is None else [known.setdefault(cell, cell) for cell in cells])

    def series(self) -> "pd.Series[str]":
        return pd.Series(self._values.join(), dtype=TEXT, copy=False)


def _new_column(kind: Kind, *, unique: bool) -> _Numbers | _Masked | _Texts:
    match kind:
        case Kind.NUMBER:
            return _Numbers()
        case Kind.COUNT:
            return _Masked(np.int64, pd.arrays.IntegerArray)
        case Kind.TRUTH:
            return _Masked(np.bool_, pd.arrays.BooleanArray)
        case Kind.TEXT:
            return _Texts(unique=unique)
