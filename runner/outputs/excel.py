"""A run's rows as a CSV that Excel opens as it is meant: for people to look at, not to be read back.

It begins with a byte order mark, without which Excel takes UTF-8 for something else, and a line ends with CR and LF.
A text that Excel would calculate, or take for a number or a date, gets a `'` in front. One that is longer than a cell
holds is cut, and says so at its end.
"""

import re
from collections.abc import Iterator
from itertools import islice

from runner.analysis.columns import COLUMNS, Cell, Row
from runner.analysis.run import Run
from runner.outputs.export import Export, counted
from runner.outputs.text.printable import printable

MAX_CHARACTERS = 32_767
"""What a cell holds, in UTF-16's units: Microsoft's own list of limits."""

MAX_ROWS = 1_048_576
"""Of a sheet, the headings included."""

_RISKY_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
_LONGEST_NUMBER = 40
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NUMBER = re.compile(rf"[\d.,:/%$€£¥ -]+|[\d.,]+e[+-]?\d+|[\d ,./-]*{_MONTH}[\d ,./-]*|true|false", re.IGNORECASE)
"""What Excel takes for a number, a date, a time or a truth value; roughly, for it depends on the language of Excel."""


def write(run: Run) -> Export:
    """Write the rows that fit a sheet; what was cut and what is missing is in the notes."""
    lines, cut = [",".join(column.name for column in COLUMNS)], list[str]()
    fitting = min(len(run.table), MAX_ROWS - 1)
    for each in islice(run.rows, fitting):
        cut += _cut_cells(each)
        lines.append(",".join(_encode(each[column.name]) for column in COLUMNS))
    return Export("\ufeff" + "\r\n".join([*lines, ""]), tuple(_notes(cut, len(run.table) - fitting)))


def _notes(cut: list[str], missing_rows: int) -> Iterator[str]:
    if cut:
        cells = counted(len(cut), "cell was", "cells were")
        more = f", and {len(cut) - 3:,} more" if len(cut) > 3 else ""
        yield f"{cells} cut to the {MAX_CHARACTERS:,} characters that Excel holds: {'; '.join(cut[:3])}{more}"
    if missing_rows:
        yield f"left out: {counted(missing_rows, 'row', 'rows')} beyond the {MAX_ROWS:,} of a sheet"


def _cut_cells(cells: Row) -> Iterator[str]:
    """Name the cells of a row that are too long."""
    for name, cell in cells.items():
        if isinstance(cell, str) and _units(_safe(cell)) > MAX_CHARACTERS:
            yield f"{name} of {cells['provider']}/{cells['model']}, {cells['case']}, repeat {cells['repeat']}"


def _encode(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            return '"' + _fit(_safe(cell)).replace('"', '""') + '"'
        case bool():
            return "TRUE" if cell else "FALSE"
        case _:
            return repr(cell)


def _safe(text: str) -> str:
    shown = printable(text)
    looks_like_number = len(shown) <= _LONGEST_NUMBER and _NUMBER.fullmatch(shown)
    return f"'{shown}" if looks_like_number or shown.startswith(_RISKY_STARTS) else shown


def _fit(text: str) -> str:
    if _units(text) <= MAX_CHARACTERS:
        return text
    ending = f" … [cut: {len(text):,} characters]"
    # Two bytes a unit; a pair that is cut in two goes with its second half.
    kept = text.encode("utf-16-le")[: 2 * (MAX_CHARACTERS - len(ending))]
    return kept.decode("utf-16-le", "ignore") + ending


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text) if len(text) > MAX_CHARACTERS // 2 else len(text)
