"""Read tables, CSV or separated by tabs, row by row."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.document import Json
from runner.errors import InvalidFile, Problem, counted

COLUMNS = ("id", "prompt", "prompt_file", "system", "tags", "image", "file", "audio", "tools", "tool_choice")
"""Columns of a suite's own form, in addition to `vars.NAME` and the checks below."""

TEXT_CHECKS = ("equals", "contains", "not_contains", "starts_with", "regex", "language", "finish_reason", "python")
CHECK_COLUMNS = tuple(f"checks.{name}" for name in TEXT_CHECKS)
"""Checks that take one text, as a cell holds it."""

_NESTED = ("vars.", "checks.")

MAX_CELL = 1 << 26
"""The most characters of a cell."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}

TableRow = tuple[int, dict[str, str]]
"""The line a row begins on, and its cells by column."""


def read_table(lines: Iterable[str], path: str, delimiter: str = ",") -> Iterator[TableRow | Problem]:
    """Yield the header as a row of empty cells, then each row, in order, or its problem.

    Nothing follows a faulty header, or a row whose end cannot be found.
    """
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    line = 1
    try:
        header = next(reader, [])
        problems = [*_header_problems(header, path, delimiter)]
        yield from problems
        if len(header) > 1 or not problems:
            yield line, dict.fromkeys(header, "")
        if problems:
            return
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _row(header, cells, path, line)
            line = reader.line_num + 1
    except csv.Error as error:
        yield Problem(path, line, 1, f"this row is not CSV: {error}", "Quote cells as spreadsheets do")


def table_rows(lines: Iterable[str], path: str) -> Iterator[TableRow]:
    """Yield each row of a CSV table without its header.

    Raises:
        InvalidFile: the table has a problem.

    """
    for number, row in enumerate(read_table(lines, path)):
        if isinstance(row, Problem):
            raise InvalidFile([row])
        if number:
            yield row


def _header_problems(header: Sequence[str], path: str, delimiter: str) -> Iterator[Problem]:
    if len(header) == 1 and (found := re.search(r"[;\t,]", header[0])) and found[0] != delimiter:
        wanted = "commas" if delimiter == "," else "tabs"
        yield Problem(
            path, 1, 1, f"the columns are separated by something else than {wanted}", f"Save it with {wanted}"
        )
        return
    for number, column in enumerate(header):
        if column in header[:number]:
            yield Problem(path, 1, 1, f"the column `{column}` is repeated", "Keep one of them")


def _row(header: Sequence[str], cells: Sequence[str], path: str, line: int) -> TableRow | Problem:
    if len(cells) != len(header):
        what = f"this row has {counted(len(cells), 'cell')}, and the first row {len(header)}"
        return Problem(path, line, 1, what, "Quote cells that hold a comma or a line's end")
    return line, dict(zip(header, cells, strict=True))


def row_of_cells(cells: Mapping[str, str]) -> dict[str, Json]:
    """Return cells as the data of a row, with `tags`, `vars.NAME` and `checks.NAME` as a case has them."""
    filled = {column: cell for column, cell in cells.items() if cell}
    row: dict[str, Json] = {column: cell for column, cell in cells.items() if not column.startswith(_NESTED)}
    if "tags" in cells:
        row["tags"] = [tag.strip() for tag in cells["tags"].split(";") if tag.strip()]
    under = {prefix.removesuffix("."): _cells_under(prefix, filled) for prefix in _NESTED}
    return row | {key: below for key, below in under.items() if below}


def _cells_under(prefix: str, filled: Mapping[str, str]) -> dict[str, Json]:
    return {column.removeprefix(prefix): cell for column, cell in filled.items() if column.startswith(prefix)}
