"""Parquet of a run's rows: the columns of `results.csv` in their types. What is absent is null.

The key `compare` of the file's metadata holds the run's header as JSON. Half a surrogate pair, which UTF-8 cannot
encode, becomes a replacement character.
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
"""Rows of a row group; no more are in memory at a time."""


def write(run: Run) -> bytes:
    """Return one Parquet file, compressed with zstd."""
    # pandas' own metadata: without it, pandas reads a count column with absent values as floats.
    pandas_metadata = pa.Schema.from_pandas(frame_of([]), preserve_index=False).metadata
    metadata = {**pandas_metadata, "compare": json.dumps(asdict(run.header))}
    schema = pa.schema([(column.name, TYPES[column.kind]) for column in COLUMNS], metadata=metadata)
    file, rows = BytesIO(), run.rows
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := [{name: _replace_surrogates(cell) for name, cell in row.items()} for row in islice(rows, BATCH)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return file.getvalue()


def _replace_surrogates(cell: Cell) -> Cell:
    return cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(cell, str) else cell
