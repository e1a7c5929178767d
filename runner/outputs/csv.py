r"""CSV of a run's rows, safe to open in a spreadsheet, and the loader that reads the same values back.

Text is always quoted; numbers, `true` and `false` are bare; an empty cell is null. `load` undoes the escapes:

- text that begins with `=`, `+`, `-`, `@`, tab, CR or `'`, spaces before it or not, gets one `'` in front, or a
  spreadsheet would run it;
- inside a text, a semicolon, comma, tab or line end that stands before one of these gets a `'` behind it, since a
  spreadsheet that splits at semicolons starts a cell there;
- the empty string is written `'`;
- text with a NUL, which no spreadsheet can hold, or with half a surrogate pair, which UTF-8 cannot encode, is written
  as `'` and a JSON string: `'"a\u0000b"`.

The column names are quoted, too. In files of earlier versions they are bare, and only the start of a cell is escaped.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from runner.analysis.dataframe import frame, frame_of
from runner.analysis.result_columns import ADDED_COLUMNS, COLUMNS, Cell, Kind, Row
from runner.analysis.run_results import Run
from runner.errors import JournalError
from runner.outputs.text.escape import escape_formulas, unescape_formulas
from runner.storage import journal

FILE_NAME = "results.csv"

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def stream(run: Run) -> Iterator[str]:
    """Yield the CSV line by line: a long run's rows do not fit into memory.

    Encode it as `utf-8-sig` if Excel is to read Chinese.
    """
    return write_rows(run.rows)


def write_rows(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the headings and each row as a line of CSV; write them as UTF-8 with `newline=""`."""
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
    """Escape text so that no spreadsheet runs it, and UTF-8 can encode it."""
    if _UNWRITABLE.search(text):
        return escape_formulas("'" + json.dumps(text)).removeprefix("'")
    return escape_formulas(text) or "'"


def unescape(cell: str, *, start_only: bool = False) -> str | None:
    """Return the text that `escape` made a cell of; None for an empty cell.

    With `start_only`, as in files of earlier versions, only the start was escaped.
    """
    if not cell:
        return None
    text = cell.removeprefix("'") if start_only else unescape_formulas(cell)
    return str(json.loads(text)) if cell.startswith("'\"") else text


def load(path: str | Path) -> pd.DataFrame:
    """Read a `results.csv`, or a run's folder, with the values and types that were written.

    A folder without a `results.csv`, as a killed run leaves it, is read from its journal.

    Raises:
        JournalError: there is nothing to read, or it was changed since it was written.

    """
    place = Path(path)
    file = place / FILE_NAME if place.is_dir() else place
    if place.is_dir() and not file.exists():
        log = journal.read(place)
        return frame(log.header, log.records)
    cells = _read_cells(file)
    cells = cells.assign(**dict.fromkeys(ADDED_COLUMNS - {*cells.columns}, ""))
    missing = [column.name for column in COLUMNS if column.name not in cells]
    if missing:
        raise JournalError(
            f"{file} is not a table of results: it has no column {missing[0]}; name a {FILE_NAME} or a run"
        )
    try:
        return frame_of(_decode_rows(cells, start_only=_is_old(file)))
    except ValueError as error:
        raise JournalError(f"{file} was changed since it was written: {error}; name another copy") from error


def _read_cells(file: Path) -> pd.DataFrame:
    # The csv module refuses a cell over 128 KiB unless a limit of the whole process is raised.
    try:
        return pd.read_csv(file, dtype=object, na_filter=False, encoding="utf-8-sig")
    except OSError as error:
        raise JournalError(f"{file} cannot be read: {error.strerror}; name a {FILE_NAME} or a run's folder") from error
    except ValueError as error:
        raise JournalError(
            f"{file} is not a table of results: {error}; name a {FILE_NAME} or a run's folder"
        ) from error


def _is_old(file: Path) -> bool:
    """Return whether an earlier version wrote a file: its column names are bare."""
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
    match cell.lower():  # spreadsheets save TRUE
        case "true":
            return True
        case "false":
            return False
    raise ValueError(f"{cell!r} is neither true nor false")
