"""Parquet of a run's rows: the columns of `results.csv` with their types. Absent values are null.

The key `compare` of the file's metadata holds the run's header as JSON. A lone surrogate, which UTF-8 cannot encode,
becomes a replacement character.
"""

import json
from dataclasses import asdict
from datetime import datetime
from io import BytesIO
from itertools import islice

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from runner.analysis.dataframe import frame_of_rows
from runner.analysis.result_columns import COLUMNS, Cell, Kind, ResultColumn
from runner.analysis.run_results import Run
from runner.core.surrogates import join_surrogates

TYPES = {Kind.TEXT: pa.string(), Kind.COUNT: pa.int64(), Kind.NUMBER: pa.float64(), Kind.TRUTH: pa.bool_()}

TIMES = frozenset({"started_at"})
"""Columns of times, which are text in `results.csv` and UTC timestamps in milliseconds here."""

BATCH = 10_000
"""Number of rows in a row group, and the maximum held in memory."""


def write(run: Run) -> bytes:
    """Return one Parquet file, compressed with zstd."""
    # Without its own metadata, pandas reads a column of counts with absent values as floats.
    empty = frame_of_rows([]).astype(dict.fromkeys(TIMES, "datetime64[ms, UTC]"))
    pandas_metadata = pa.Schema.from_pandas(empty, preserve_index=False).metadata
    metadata = {**pandas_metadata, "compare": json.dumps(asdict(run.header))}
    schema = pa.schema([(column.name, _type_of(column)) for column in COLUMNS], metadata=metadata)
    file, rows = BytesIO(), run.rows
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := [{name: _value(name, cell) for name, cell in row.items()} for row in islice(rows, BATCH)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return file.getvalue()


def _type_of(column: ResultColumn) -> pa.DataType:
    return pa.timestamp("ms", tz="UTC") if column.name in TIMES else TYPES[column.kind]


def _value(name: str, cell: Cell) -> Cell | datetime:
    """Return a cell as stored in the file: a datetime in a column of times, and text without lone surrogates."""
    if not isinstance(cell, str):
        return cell
    if name in TIMES:
        return datetime.fromisoformat(cell)
    return join_surrogates(cell)
