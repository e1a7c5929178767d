"""A run's rows as Parquet: the columns of `results.csv` in their types, what is absent null.

The key `compare` of the file's metadata holds the run's header as JSON. Half a surrogate pair, which Parquet's UTF-8
cannot hold, becomes a replacement character.
"""

import json
from dataclasses import asdict
from io import BytesIO
from itertools import islice

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from runner.analysis.columns import COLUMNS, Cell, Kind
from runner.analysis.frame import frame_of
from runner.analysis.run import Run

TYPES = {Kind.TEXT: pa.string(), Kind.COUNT: pa.int64(), Kind.NUMBER: pa.float64(), Kind.TRUTH: pa.bool_()}

BATCH = 10_000
"""Rows of a group, and so many as are in memory at once."""


def write(run: Run) -> bytes:
    """Write one file, compressed by zstd."""
    # pandas' own note of its types: without it a count with gaps would come back as 3.0.
    of_pandas = pa.Schema.from_pandas(frame_of([]), preserve_index=False).metadata
    metadata = {**of_pandas, "compare": json.dumps(asdict(run.header))}
    schema = pa.schema([(column.name, TYPES[column.kind]) for column in COLUMNS], metadata=metadata)
    file, rows = BytesIO(), run.rows
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := [{name: _whole(cell) for name, cell in row.items()} for row in islice(rows, BATCH)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return file.getvalue()


def _whole(cell: Cell) -> Cell:
    return cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(cell, str) else cell
