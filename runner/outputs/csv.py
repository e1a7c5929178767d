r"""`results.csv`: every row, safe to open in a spreadsheet, and the loader that undoes what made it safe.

Text is always quoted; numbers, `true` and `false` are bare; an empty cell is null. Escapes, all undone by `load`:

- text that begins with `=`, `+`, `-`, `@`, tab, CR or `'` gets one `'` in front, or a spreadsheet would run it;
- the empty string is written `'`;
- text with a NUL or half a surrogate pair, which no spreadsheet or no UTF-8 can hold, is written as `'` and
  then a JSON string: `'"a\u0000b"`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import pandas as pd

from runner.analysis.columns import COLUMNS, Cell, Kind, Row
from runner.analysis.frame import frame, frame_of
from runner.analysis.run import Run
from runner.errors import JournalError
from runner.storage import journal

FILE_NAME = "results.csv"

_RISKY_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def write(run: Run) -> str:
    """Write a run's rows; encode them as `utf-8-sig` where Excel is to read Chinese as it was written."""
    return "".join(stream(run))


def stream(run: Run) -> Iterator[str]:
    """Write line by line: a long run's rows do not fit into memory."""
    return _lines(run.rows)


def write_rows(rows: Iterable[Row], file: TextIO) -> None:
    """Write rows one by one; open the file as UTF-8 with `newline=""`."""
    file.writelines(_lines(rows))


def _lines(rows: Iterable[Row]) -> Iterator[str]:
    yield ",".join(column.name for column in COLUMNS) + "\n"
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
    """Make text safe to stand in a cell."""
    if _UNWRITABLE.search(text):
        return "'" + json.dumps(text)
    return "'" + text if text == "" or text.startswith(_RISKY_STARTS) else text


def unescape(cell: str) -> str | None:
    """Undo `escape`; an empty cell is null."""
    if cell.startswith("'\""):
        return str(json.loads(cell[1:]))
    return cell.removeprefix("'") if cell else None


def load(path: str | Path) -> pd.DataFrame:
    """Read a `results.csv`, or the folder of a run, into the very values and types that were written.

    A folder without one, as a killed run leaves it, is read from its journal.

    Raises:
        JournalError: there is nothing to read, or it is not what was written.

    """
    place = Path(path)
    file = place / FILE_NAME if place.is_dir() else place
    if place.is_dir() and not file.exists():
        log = journal.read(place)
        return frame(log.header, log.records)
    cells = _read_cells(file)
    missing = [column.name for column in COLUMNS if column.name not in cells]
    if missing:
        raise JournalError(f"{file} is no table of results: it has no column {missing[0]}; name a {FILE_NAME} or a run")
    try:
        return frame_of(_decode_rows(cells))
    except ValueError as error:
        raise JournalError(f"{file} was changed since it was written: {error}; name another copy") from error


def _read_cells(file: Path) -> pd.DataFrame:
    # The csv module refuses a cell over 128 KiB unless a limit of the whole process is raised.
    try:
        return pd.read_csv(file, dtype=object, na_filter=False, encoding="utf-8-sig")
    except OSError as error:
        raise JournalError(f"{file} cannot be read: {error.strerror}; name a {FILE_NAME} or a run's folder") from error
    except ValueError as error:
        raise JournalError(f"{file} is no table of results: {error}; name a {FILE_NAME} or a run's folder") from error


def _decode_rows(cells: pd.DataFrame) -> Iterator[Row]:
    columns = [[_decode(cell, column.kind) for cell in cells[column.name]] for column in COLUMNS]
    names = [column.name for column in COLUMNS]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _decode(cell: str, kind: Kind) -> Cell:
    if kind is Kind.TEXT:
        return unescape(cell)
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
    match cell.lower():  # a spreadsheet saves TRUE
        case "true":
            return True
        case "false":
            return False
    raise ValueError(f"{cell!r} is neither true nor false")
