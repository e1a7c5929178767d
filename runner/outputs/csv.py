r"""CSV of a run's rows that is safe to open in a spreadsheet, and a loader that restores the values.

Text is always quoted; numbers, `true` and `false` are not; an empty cell is null. `load` reverses these escapes:

- Text that begins with `=`, `+`, `-`, `@`, tab, CR or `'`, with or without spaces before it, gets one `'` in front.
  Otherwise a spreadsheet would evaluate it as a formula.
- Inside a text, a `'` is inserted after each semicolon, comma, tab or line end before such a character. A spreadsheet
  that splits at semicolons starts a cell there.
- The empty string is written `'`.
- Text with a NUL, which no spreadsheet can hold, or a lone surrogate, which UTF-8 cannot encode, is written as `'` and
  a JSON string: `'"a\u0000b"`.

Column names are quoted, too. In files of earlier versions they are bare, and only the start of a cell is escaped.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from runner.analysis.dataframe import frame_of_rows
from runner.analysis.result_columns import ADDED_COLUMNS, COLUMNS, Cell, Kind, Row
from runner.analysis.run_results import Run
from runner.errors import JournalError
from runner.outputs.text.escape import escape_formulas, unescape_formulas
from runner.storage.run_folder import TABLE

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def stream(run: Run) -> Iterator[str]:
    """Yield the CSV line by line, since the rows of a long run may not fit into memory.

    Encode it as `utf-8-sig` if Excel is to read Chinese.
    """
    return write_rows(run.rows)


def write_rows(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a line of CSV for the headings and for each row; write them as UTF-8 with `newline=""`."""
    yield ",".join(f'"{column.name}"' for column in COLUMNS) + "\n"
    for row in rows:
        yield ",".join([_encode(row[column.name]) for column in COLUMNS]) + "\n"


def _encode(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            return '"' + escape(cell).replace('"', '""') + '"'
        case bool():
            return "true" if cell else "false"
        case _:
            return repr(cell)


def escape(text: str) -> str:
    """Escape text so that no spreadsheet evaluates it and UTF-8 can encode it."""
    if _UNWRITABLE.search(text):
        return escape_formulas("'" + json.dumps(text)).removeprefix("'")
    return escape_formulas(text) or "'"


def unescape(cell: str, *, start_only: bool = False) -> str | None:
    """Return the text of a cell that `escape` wrote; None for an empty cell.

    With `start_only`, only the start of the cell is unescaped, as in files of earlier versions.

    Raises:
        ValueError: the cell begins like a JSON string and is not one.

    """
    if not cell:
        return None
    text = cell.removeprefix("'") if start_only else unescape_formulas(cell)
    return str(json.loads(text)) if cell.startswith("'\"") else text


def load(path: str | Path) -> pd.DataFrame:
    """Read a `results.csv` into a table with the values and types that were written.

    Raises:
        JournalError: the file cannot be read, is not a table of results, or was changed after it was written.

    """
    file = Path(path)
    cells = _read_cells(file)
    cells = cells.assign(**dict.fromkeys(ADDED_COLUMNS - {*cells.columns}, ""))
    missing = [column.name for column in COLUMNS if column.name not in cells]
    if missing:
        raise JournalError(f"{file} is not a table of results: it has no column {missing[0]}; name a {TABLE} or a run")
    try:
        return frame_of_rows(_decode_rows(cells, start_only=_is_old(file)))
    except ValueError as error:
        raise JournalError(f"{file} was changed since it was written: {error}; name another copy") from error


def _read_cells(file: Path) -> pd.DataFrame:
    # The csv module refuses cells over 128 KiB unless a process-wide limit is raised.
    try:
        return pd.read_csv(file, dtype=object, na_filter=False, encoding="utf-8-sig")
    except OSError as error:
        raise JournalError(f"{file} cannot be read: {error.strerror}; name a {TABLE} or a run's folder") from error
    except ValueError as error:
        raise JournalError(f"{file} is not a table of results: {error}; name a {TABLE} or a run's folder") from error


def _is_old(file: Path) -> bool:
    """Return whether an earlier version wrote the file, which then has unquoted column names."""
    names = pd.read_csv(file, nrows=0, quoting=csv.QUOTE_NONE, encoding="utf-8-sig").columns
    return not str(names[0]).startswith('"')


def _decode_rows(cells: pd.DataFrame, *, start_only: bool) -> Iterator[Row]:
    columns = [[_decode(cell, column.kind, start_only=start_only) for cell in cells[column.name]] for column in COLUMNS]
    names = [column.name for column in COLUMNS]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _decode(cell: str, kind: Kind, *, start_only: bool) -> Cell:
    if kind is Kind.TEXT:
        return unescape(cell, start_only=start_only)
    if cell == "":
        return None
    match kind:
        case Kind.COUNT:
            return int(cell)
        case Kind.NUMBER:
            return float(cell)
        case Kind.TRUTH:
            return _decode_truth(cell)


def _decode_truth(cell: str) -> bool:
    match cell.lower():  # spreadsheets write TRUE
        case "true":
            return True
        case "false":
            return False
    raise ValueError(f"{cell!r} is neither true nor false")
