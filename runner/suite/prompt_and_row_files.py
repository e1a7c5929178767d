"""Files that a suite names: prompt files, and files with a case in each row.

All must lie in the suite's folder or below it, so that a foreign suite cannot send your own files to a provider.
A file of rows may have any size: it is read row by row, except for .json, which is one value.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from runner.document import Document, Json, document_of, read_items, read_lines, read_text
from runner.errors import InvalidFile, Problem, did_you_mean
from runner.suite.csv_tables import CHECK_COLUMNS, COLUMNS, DELIMITERS, read_table, row_of_cells
from runner.suite.openai_batch import batch_case, is_batch, refuse_other_parameters
from runner.suite.openai_messages import NotImportable
from runner.suite.recognise_case import (
    ColumnNames,
    RecognisedCase,
    is_own_form,
    no_such_column,
    nothing_says,
    recognise,
    says_what_to_ask,
)
from runner.suite.schema import DefaultsSchema

MAX_TEXT_BYTES = 1 << 20
MAX_ROWS_BYTES = 64 << 20
"""Limit on one row, and on a .json file."""

TOO_LARGE = "Write it as .jsonl, one object a line: such a file may have any size"
ROW_FILES = (*DELIMITERS, ".json", ".jsonl", ".yaml", ".yml")
_ITEM = re.compile(r"[^\s,]")


SECRET_FILES = (
    *(".env", ".env.*", ".env-*", "*.env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd"),
    *(".git-credentials", "credentials", "credentials.json", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "*.ppk", "*.asc", "*.gpg"),
)
"""Names of files that are there to hold secrets; none of them is a prompt."""

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-\d")


def holds_private_key(value: Json) -> bool:
    """Return whether a text, or a text anywhere in a value, holds a private key."""
    if isinstance(value, str):
        return _PRIVATE_KEY.search(value) is not None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(holds_private_key, inner))


class UnusableFile(Exception):
    """A file that a suite names cannot be used; `what` is wrong, `hint` is what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file as a document; `columns` are those of a table's first row."""

    document: Document
    columns: tuple[str, ...] | None = None

    @property
    def line(self) -> int:
        """The line that the row begins on."""
        return self.document.root.place.line

    @property
    def column(self) -> int:
        """The column that the row begins at."""
        return self.document.root.place.column

    def problem(self, fault: NotImportable) -> Problem:
        """Return a fault as a problem with this row."""
        return self.document.problem((), fault.what, fault.hint)


def read_named_text(folder: Path, name: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file that a suite in `folder` names.

    Raises:
        UnusableFile: the file is missing, unreadable, too large, or outside the folder.

    """
    path = locate(folder, name)
    try:
        text = read_text(path, max_bytes)
    except InvalidFile as error:
        problem = error.problems[0]
        where = f", line {problem.line}" if problem.line > 1 else ""
        raise UnusableFile(f"`{name}`{where}: {problem.what}", problem.hint) from None
    if holds_private_key(text):
        raise UnusableFile(f"`{name}` holds a private key", "Take it out; the file's text would be sent")
    return text


def holds_secrets(name: str) -> bool:
    """Return whether a file, or a folder on the way to it, is there to hold secrets, by its name in any case."""
    parts = Path(name).parts
    folders = {".ssh", ".aws", ".gnupg", ".kube", ".docker"}
    return any(part.lower() in folders for part in parts) or any(
        fnmatchcase(part.lower(), pattern) for part in parts[-1:] for pattern in SECRET_FILES
    )


def locate(folder: Path, name: str) -> Path:
    """Return the path of a file that a suite in `folder` names.

    Raises:
        UnusableFile: it lies outside the folder, is no file, or is there to hold secrets.

    """
    try:
        home, path = folder.resolve(), (folder / name).resolve()
    except (OSError, RuntimeError, ValueError):
        raise UnusableFile("this is not a file name", "Correct it") from None
    if not path.is_relative_to(home):
        raise UnusableFile(
            f"`{name}` lies outside the suite's folder", "Move it beside the suite, or into a folder there"
        )
    if holds_secrets(name) or holds_secrets(str(path.relative_to(home))):
        raise UnusableFile(f"`{name}` is a file that holds keys, by its name", "Name another; its text would be sent")
    if path.exists() and not path.is_file():
        raise UnusableFile(f"`{name}` is not a file", "Name a file")
    return path


def read_rows(path: Path) -> Iterator[FileRow | Problem]:
    """Yield each row of a file, in order, or its problem; the first row of a table only names its columns.

    A file that cannot be read ends in its problem.
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

    `defaults` are the suite's, to which the requests of a batch must keep.

    Raises:
        UnusableFile: the file is outside the folder, missing, or of an unknown kind.

    """
    if Path(name).suffix.lower() not in ROW_FILES:
        known = f"{', '.join(ROW_FILES[:-1])} or {ROW_FILES[-1]}"
        raise UnusableFile(f"`{name}` is not a {known} file", "Rename it after what it is, or export it as .csv")
    if not locate(folder, name).exists():
        raise UnusableFile(f"`{name}`: there is no such file", "Check the path")
    hint = f"name the column: `cases_from: {{file: {name}, prompt: COLUMN}}`"
    return _CaseFile(folder / name, names, defaults, hint).documents()


@dataclass(slots=True)
class _CaseFile:
    """A file of cases, and how its rows are read."""

    path: Path
    names: ColumnNames
    defaults: DefaultsSchema
    hint: str
    has_ids: bool = False
    """Whether a table has a column of ids, so that a row without one is a mistake."""
    _last: tuple[int, int] = (0, 0)
    """The line of the last row without an id, and how many there were on it."""

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
                problems = [*column_problems(row, self.names, self.hint)]
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
            recognised = recognised_case(row, self.names, self.hint)
            id_, keys = recognised.id, recognised.keys
            if recognised.is_own and isinstance(data, dict):  # refused by the schema, with a suggestion
                keys = keys | {column: data[column] for column in recognised.left_out}
        return keys if id_ is None else {"id": id_, **keys}


def recognised_case(row: FileRow, names: ColumnNames, hint: str) -> RecognisedCase:
    """Return the case in a row.

    Raises:
        NotImportable: the row is no object, or cannot be asked.

    """
    data = row.document.data
    if not isinstance(data, dict):
        raise NotImportable("this is not an object in braces", "Write one object for each case")
    return recognise(data, names, hint)


def column_problems(row: FileRow, names: ColumnNames, hint: str, *, is_strict: bool = True) -> Iterator[Problem]:
    """Yield the problems of a table's columns: none says what to ask, or one that the user names is missing.

    Strictly, a column that a table of a suite's own form cannot have is a problem, too.
    """
    columns = row.columns or ()
    for name in filter(None, (names.prompt, names.expected, names.image, names.file, names.audio)):
        if name.lower() not in {column.lower() for column in columns}:
            yield row.problem(no_such_column(name, columns))
    if names.prompt is None and not says_what_to_ask(columns):
        yield row.problem(nothing_says(columns, hint))
    for column in columns if is_strict else ():
        is_known = column in {*COLUMNS, *CHECK_COLUMNS} or column.startswith("vars.")
        if not is_known and (column.startswith("checks.") or (names.prompt is None and is_own_form(columns))):
            yield row.problem(_unknown_column(column))


def _unknown_column(column: str) -> NotImportable:
    near = did_you_mean(column, (*COLUMNS, *CHECK_COLUMNS))
    known = f"Known are {', '.join(COLUMNS)}, checks such as checks.contains, and vars.NAME"
    return NotImportable(f"unknown column `{column}`", f"Perhaps `{near}` was meant" if near else known)


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
    try:
        items = strict_json(text)
    except json.JSONDecodeError as error:
        yield Problem(name, error.lineno, error.colno, f"this is not JSON: {error.msg}", _json_hint(error))
        return
    except (ValueError, RecursionError) as error:
        yield Problem(name, 1, 1, f"this cannot be read: {error}", "Correct it")
        return
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


def _json_hint(error: json.JSONDecodeError) -> str:
    return "Name it .jsonl, if each line is an object" if error.msg == "Extra data" else "Correct it"


def strict_json(text: str) -> Json:
    """Return parsed JSON; raise ValueError where it is invalid, NaN and repeated keys included."""
    value: Json = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    return value


def _unique(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key is repeated in it")
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
