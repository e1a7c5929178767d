"""CSV of a run's rows for viewing in Excel; it cannot be loaded again.

The text begins with a byte order mark, without which Excel does not read it as UTF-8, and lines end with CR LF. A cell
that Excel would evaluate, or convert to a number or a date, gets a `'` in front. A cell longer than Excel's limit is
cut, with a note at its end.
"""

import re
from collections.abc import Iterator
from itertools import islice

from runner.analysis.result_columns import COLUMNS, Cell, Row, target_of_row
from runner.analysis.run_results import Run
from runner.errors import counted
from runner.outputs import Export
from runner.outputs.text.escape import escape_formulas, printable

MAX_CHARACTERS = 32_767
"""Maximum length of a cell in UTF-16 code units, from Microsoft's list of limits."""

MAX_ROWS = 1_048_576
"""Maximum number of rows of a sheet, headings included."""

_LONGEST_NUMBER = 40
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NUMBER = re.compile(rf"[\d.,:/%$€£¥ -]+|[\d.,]+e[+-]?\d+|[\d ,./-]*{_MONTH}[\d ,./-]*|true|false", re.IGNORECASE)
"""Pattern of text that Excel converts to a number, date, time or Boolean. It is approximate, since Excel's rules depend
on its language."""


def write(run: Run) -> Export:
    """Return the rows that fit a sheet, with notes on the cells cut and the rows left out."""
    lines, cut = [",".join(column.name for column in COLUMNS)], list[str]()
    fitting = min(len(run.table), MAX_ROWS - 1)
    for row in islice(run.rows, fitting):
        cut += _cut_cells(row)
        lines.append(",".join(_encode(row[column.name]) for column in COLUMNS))
    return Export("\ufeff" + "\r\n".join([*lines, ""]), tuple(_notes(cut, len(run.table) - fitting)))


def _notes(cut: list[str], missing_rows: int) -> Iterator[str]:
    if cut:
        cells = counted(len(cut), "cell was", "cells were")
        more = f", and {len(cut) - 3:,} more" if len(cut) > 3 else ""
        yield f"{cells} cut to the {MAX_CHARACTERS:,} characters that Excel holds: {'; '.join(cut[:3])}{more}"
    if missing_rows:
        yield f"left out: {counted(missing_rows, 'row')} beyond the {MAX_ROWS:,} of a sheet"


def _cut_cells(cells: Row) -> Iterator[str]:
    """Yield a name for each cell of a row that is too long."""
    for name, cell in cells.items():
        if isinstance(cell, str) and _utf16_units(_quote_risky(cell)) > MAX_CHARACTERS:
            yield f"{name} of {target_of_row(cells)}, {cells['case']}, repeat {cells['repeat']}"


def _encode(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            return '"' + _cut_to_limit(_quote_risky(cell)).replace('"', '""') + '"'
        case bool():
            return "TRUE" if cell else "FALSE"
        case _:
            return repr(cell)


def _quote_risky(text: str) -> str:
    """Put a `'` in front of text that Excel would evaluate or convert."""
    shown = printable(text)
    looks_like_number = len(shown) <= _LONGEST_NUMBER and _NUMBER.fullmatch(shown)
    escaped = escape_formulas(shown)
    return f"'{escaped}" if looks_like_number and escaped == shown else escaped


def _cut_to_limit(text: str) -> str:
    if _utf16_units(text) <= MAX_CHARACTERS:
        return text
    ending = f" … [cut: {len(text):,} characters]"
    # A unit is two bytes. If the cut divides a surrogate pair, neither half is kept.
    kept = text.encode("utf-16-le")[: 2 * (MAX_CHARACTERS - len(ending))]
    return kept.decode("utf-16-le", "ignore") + ending


def _utf16_units(text: str) -> int:
    """Return the length in UTF-16 code units, or the number of characters if that is at most half the limit."""
    return len(text) + sum(character > "\uffff" for character in text) if len(text) > MAX_CHARACTERS // 2 else len(text)
