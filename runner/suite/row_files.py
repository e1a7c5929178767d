"""Read files with a case in each row: tables, JSON lines, JSON and YAML lists.

A file may have any size: it is read row by row, except for .json, which is one value.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.document import Document, Json, document_of, parse_json, read_items, read_lines, read_text, strict_json
from runner.errors import InvalidFile, Problem, counted, did_you_mean
from runner.suite.errors import NotImportable, UnusableFile
from runner.suite.openai_rows import batch_case, is_batch, refuse_other_parameters
from runner.suite.read_named_file import holds_private_key, locate
from runner.suite.recognise_columns import (
    ColumnNames,
    RecognisedCase,
    is_own_form,
    missing_column_error,
    no_prompt_column_error,
    recognise,
    says_what_to_ask,
)
from runner.suite.schema import DefaultsSchema

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

MAX_ROWS_BYTES = 64 << 20
"""Limit on one row, and on a .json file."""

TOO_LARGE = "Write it as .jsonl, one object a line: such a file may have any size"
ROW_FILES = (*DELIMITERS, ".json", ".jsonl", ".yaml", ".yml")
_ITEM = re.compile(r"[^\s,]")


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file as a document; `columns` are those of a table's first row."""

    document: Document
    columns: tuple[str, ...] | None = None

    @property
    def line(self) -> int:
        """The line that the row begins on."""
        return self.document.root.position.line

    @property
    def column(self) -> int:
        """The column that the row begins at."""
        return self.document.root.position.column

    def problem(self, fault: NotImportable) -> Problem:
        """Return a fault as a problem with this row."""
        return self.document.problem((), fault.what, fault.hint)


def read_rows(path: Path) -> Iterator[FileRow | Problem]:
    """Yield each row of a file, in order, or its problem; the first row of a table only names its columns.

    For a file that cannot be read to its end, the last item is the problem.
    """
    name, suffix = str(path), path.suffix.lower()
    try:
        if suffix in DELIMITERS:
            yield from _table_rows(path, name, DELIMITERS[suffix])
        elif suffix == ".jsonl":
            yield from _json_lines(path, name)
        elif suffix == ".json":
            yield from _json_items(read_text(path, MAX_ROWS_BYTES, if_too_large=TOO_LARGE), name)
        else:
            for item in read_items(path, "cases"):
                yield item if isinstance(item, Problem) else FileRow(item)
    except InvalidFile as error:
        yield from error.problems


def read_case_documents(
    folder: Path, name: str, names: ColumnNames, defaults: DefaultsSchema
) -> Iterator[Document | Problem]:
    """Yield the case in each row of a file that a suite names, as a document, or the row's problem.

    `defaults` are the suite's; the requests of a batch must have the same parameters.

    Raises:
        UnusableFile: the file is outside the folder, missing, or of an unknown kind.

    """
    if Path(name).suffix.lower() not in ROW_FILES:
        known = f"{', '.join(ROW_FILES[:-1])} or {ROW_FILES[-1]}"
        raise UnusableFile(f"`{name}` is not a {known} file", "Rename it after what it is, or export it as .csv")
    if not locate(folder, name).exists():
        raise UnusableFile(f"`{name}`: there is no such file", "Check the path")
    return _CaseFile(folder / name, names, defaults).documents()


@dataclass(slots=True)
class _CaseFile:
    """A file of cases, and how its rows are read."""

    path: Path
    names: ColumnNames
    defaults: DefaultsSchema
    has_ids: bool = False
    """Whether a table has a column of ids, so that a row without one is a mistake."""
    _last: tuple[int, int] = (0, 0)
    """Line of the last row without an id, and the number of such rows on it."""

    def documents(self) -> Iterator[Document | Problem]:
        """Yield the case in each row as a document, or the row's problem."""
        for row in read_rows(self.path):
            if isinstance(row, Problem):
                yield row
            elif holds_private_key([row.document.data, *(row.columns or ())]):
                yield Problem(
                    str(self.path), row.line, 1, "this row holds a private key", "Take it out; it would be sent"
                )
                return
            elif row.columns is None:
                yield self._document(row)
            else:
                self.has_ids = "id" in row.columns
                problems = [*column_problems(row, self.names)]
                yield from problems
                if problems:
                    return

    def _document(self, row: FileRow) -> Document | Problem:
        try:
            case = self._case(row)
        except NotImportable as fault:
            return row.problem(fault)
        if "id" not in case and not self.has_ids:
            case = {"id": self._id_of_line(row.line), **case}
        try:
            return document_of(case, row.document.path, row.line, row.column)
        except InvalidFile as error:
            return error.problems[0]

    def _id_of_line(self, line: int) -> str:
        last, count = self._last
        self._last = line, count + 1 if line == last else 1
        return f"line-{line}" if line != last else f"line-{line}-{count + 1}"

    def _case(self, row: FileRow) -> dict[str, Json]:
        data = row.document.data
        if isinstance(data, dict) and is_batch(data):
            id_, keys = data.get("custom_id"), batch_case(data)
            refuse_other_parameters(data, self.defaults)
        else:
            recognised = recognised_case(row, self.names)
            id_, keys = recognised.id, recognised.keys
            if recognised.is_own and isinstance(data, dict):  # refused by the schema, with a suggestion
                keys = keys | {column: data[column] for column in recognised.left_out}
        return keys if id_ is None else {"id": id_, **keys}


def recognised_case(row: FileRow, names: ColumnNames) -> RecognisedCase:
    """Return the case in a row.

    Raises:
        NotImportable: the row is not an object, or cannot become a case.

    """
    data = row.document.data
    if not isinstance(data, dict):
        raise NotImportable("this is not an object in braces", "Write one object for each case")
    return recognise(data, names)


def column_problems(row: FileRow, names: ColumnNames, *, is_strict: bool = True) -> Iterator[Problem]:
    """Yield the problems of a table's columns: none says what to ask, or one that the user names is missing.

    If `is_strict`, a column that a table of a suite's own form cannot have is a problem, too.
    """
    columns = row.columns or ()
    for name in filter(None, (names.prompt, names.expected, names.image, names.file, names.audio)):
        if name.lower() not in {column.lower() for column in columns}:
            yield row.problem(missing_column_error(name, columns))
    if names.prompt is None and not says_what_to_ask(columns):
        yield row.problem(no_prompt_column_error(columns, names))
    for column in columns if is_strict else ():
        is_known = column in {*COLUMNS, *CHECK_COLUMNS} or column.startswith("vars.")
        if not is_known and (column.startswith("checks.") or (names.prompt is None and is_own_form(columns))):
            yield row.problem(_unknown_column(column))


def _unknown_column(column: str) -> NotImportable:
    known = f"Known are {', '.join(COLUMNS)}, checks such as checks.contains, and vars.NAME"
    return NotImportable(f"unknown column `{column}`", did_you_mean(column, (*COLUMNS, *CHECK_COLUMNS), known))


# Tables


def _table_rows(path: Path, name: str, delimiter: str) -> Iterator[FileRow | Problem]:
    lines = read_lines(path, MAX_ROWS_BYTES, ends="")
    for number, row in enumerate(read_table(lines, name, delimiter)):
        if isinstance(row, Problem):
            yield row
            continue
        line, cells = row
        if number == 0:
            yield FileRow(document_of({}, name, line), tuple(cells))
            continue
        try:
            yield FileRow(document_of(row_of_cells(cells), name, line))
        except InvalidFile as error:
            yield from error.problems


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


# JSON


def _json_lines(path: Path, name: str) -> Iterator[FileRow | Problem]:
    for number, line in enumerate(read_lines(path, MAX_ROWS_BYTES, ends="\n"), 1):
        if line.strip():
            yield _parsed_line(line.rstrip("\n"), name, number)


def _parsed_line(line: str, name: str, number: int) -> FileRow | Problem:
    try:
        return FileRow(document_of(strict_json(line), name, number))
    except json.JSONDecodeError as error:
        return Problem(name, number, error.colno, f"this line is not JSON: {error.msg}", "Write one object a line")
    except (ValueError, RecursionError) as error:
        return Problem(name, number, 1, f"this line is not a case: {error}", "Correct it")
    except InvalidFile as error:
        return error.problems[0]


def _json_items(text: str, name: str) -> Iterator[FileRow | Problem]:
    """Yield the items of a list, each with the place it starts at; any other value is one item."""
    items = parse_json(text, name, if_several="Name it .jsonl, if each line is an object")
    if not isinstance(items, list):
        yield FileRow(document_of(items, name, 1))
        return
    at, decoder = text.index("[") + 1, json.JSONDecoder()
    line, line_start = 1 + text.count("\n", 0, at), text.rfind("\n", 0, at) + 1
    for item in items:
        found = _ITEM.search(text, at)
        assert found is not None
        start = found.start()
        line += text.count("\n", at, start)
        line_start = text.rfind("\n", at, start) + 1 or line_start
        try:
            yield FileRow(document_of(item, name, line, start - line_start + 1))
        except InvalidFile as error:
            yield from error.problems
        _, at = decoder.raw_decode(text, start)
        line += text.count("\n", start, at)
        line_start = text.rfind("\n", start, at) + 1 or line_start
