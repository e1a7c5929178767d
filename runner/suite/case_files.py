"""Files that a suite names: prompt files, and CSV or JSONL files with a case in each row.

All must lie in the suite's folder or below it, so that a foreign suite cannot send your own files to a provider.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path

from runner.document import Document, Json, document_of, read_text
from runner.errors import InvalidFile, Problem, did_you_mean
from runner.suite.openai_messages import NotImportable, read_conversation

MAX_TEXT_BYTES = 1 << 20
MAX_ROWS_BYTES = 64 << 20
COLUMNS = ("id", "prompt", "prompt_file", "system", "tags")
"""Columns of a CSV file, beside `vars.NAME` and the checks below."""

TEXT_CHECKS = ("equals", "contains", "not_contains", "starts_with", "regex", "language", "finish_reason", "python")
CHECK_COLUMNS = tuple(f"checks.{name}" for name in TEXT_CHECKS)
"""Checks that take one text, as a cell holds it."""


SECRET_FILES = (
    *(".env", ".env.*", ".env-*", "*.env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd"),
    *(".git-credentials", "credentials", "credentials.json", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "*.ppk", "*.asc", "*.gpg"),
)
"""Names of files that are there to hold secrets; none of them is a prompt."""

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-\d")


class UnusableFile(Exception):
    """A file that a suite names cannot be used; `what` is wrong, `hint` is what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def read_named_text(folder: Path, name: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file that a suite in `folder` names.

    Raises:
        UnusableFile: the file is missing, unreadable, too large, or outside the folder.

    """
    path = _locate(folder, name)
    if holds_secrets(name) or holds_secrets(str(path.relative_to(folder.resolve()))):
        raise UnusableFile(f"`{name}` is a file that holds keys, by its name", "Name another; its text would be sent")
    try:
        text = read_text(path, max_bytes)
    except InvalidFile as error:
        problem = error.problems[0]
        where = f", line {problem.line}" if problem.line > 1 else ""
        raise UnusableFile(f"`{name}`{where}: {problem.what}", problem.hint) from None
    if _PRIVATE_KEY.search(text):
        raise UnusableFile(f"`{name}` holds a private key", "Take it out; the file's text would be sent")
    return text


def holds_secrets(name: str) -> bool:
    """Return whether a file, or a folder on the way to it, is there to hold secrets, by its name in any case."""
    parts = Path(name).parts
    folders = {".ssh", ".aws", ".gnupg", ".kube", ".docker"}
    return any(part.lower() in folders for part in parts) or any(
        fnmatchcase(part.lower(), pattern) for part in parts[-1:] for pattern in SECRET_FILES
    )


def _locate(folder: Path, name: str) -> Path:
    try:
        home, path = folder.resolve(), (folder / name).resolve()
    except (OSError, RuntimeError, ValueError):
        raise UnusableFile("this is no name of a file", "Correct it") from None
    if not path.is_relative_to(home):
        raise UnusableFile(
            f"`{name}` lies outside the suite's folder", "Move it beside the suite, or into a folder there"
        )
    if path.exists() and not path.is_file():
        raise UnusableFile(f"`{name}` is not a file", "Name a file")
    return path


def read_rows(folder: Path, name: str) -> Iterator[Document | Problem]:
    """Yield each row of a case file, in order, as a document of one line or as its problem.

    Raises:
        UnusableFile: the file cannot be read, or is neither CSV nor JSONL.

    """
    path = str(folder / name)
    suffix = Path(name).suffix.lower()
    if suffix not in {".csv", ".jsonl"}:
        raise UnusableFile(f"`{name}` is neither a .csv nor a .jsonl file", "Rename it after what it is")
    text = read_named_text(folder, name, MAX_ROWS_BYTES)
    return _csv_rows(text, path) if suffix == ".csv" else _json_rows(text, path)


def _json_rows(text: str, path: str) -> Iterator[Document | Problem]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield document_of(_json_case(line, number), path, number)
        except NotImportable as fault:
            yield Problem(path, number, 1, fault.what, fault.hint)
        except json.JSONDecodeError as error:
            yield Problem(path, number, error.colno, f"this line is not JSON: {error.msg}", "Write one object a line")
        except (ValueError, RecursionError) as error:
            yield Problem(path, number, 1, f"this line is no case: {error}", "Correct it")
        except InvalidFile as error:
            yield error.problems[0]


def _json_case(line: str, number: int) -> dict[str, Json]:
    """Return the case on a line: one with the keys of a suite, or an OpenAI example, which has only `messages`."""
    row = _json_row(line)
    if "body" in row:
        raise NotImportable("this is a request of a batch", "Make a suite of the file: compare import")
    return {"id": f"line-{number}", **read_conversation(row["messages"])} if row.keys() == {"messages"} else row


def _json_row(line: str) -> dict[str, Json]:
    row = strict_json(line)
    if not isinstance(row, dict):
        raise ValueError("it is not an object in braces")  # noqa: TRY004 - the file is wrong, not the program
    return row


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
    raise ValueError(f"{name} is no JSON")


def _csv_rows(text: str, path: str) -> Iterator[Document | Problem]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        yield from (problems := _check_header(header, path))
        if problems:
            return
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _csv_row(header, cells, path, line)
            line = reader.line_num + 1
    except csv.Error as error:
        hint = "Quote cells as spreadsheets do; put texts beyond 128 KiB into a .jsonl file"
        yield Problem(path, line, 1, f"this row is not CSV: {error}", hint)


def _check_header(header: Sequence[str], path: str) -> list[Problem]:
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        return [Problem(path, 1, 1, "the columns are separated by something else than commas", "Save it with commas")]
    problems = []
    for number, column in enumerate(header, 1):
        if column in header[: number - 1]:
            problems.append(Problem(path, 1, 1, f"the column `{column}` is repeated", "Keep one of them"))
        elif column not in (*COLUMNS, *CHECK_COLUMNS) and not column.startswith("vars."):
            near = did_you_mean(column, (*COLUMNS, *CHECK_COLUMNS))
            known = f"Known are {', '.join(COLUMNS)}, checks such as checks.contains, and vars.NAME"
            hint = f"Perhaps `{near}` was meant" if near else known
            problems.append(Problem(path, 1, 1, f"unknown column `{column}`", hint))
    if not problems and "id" not in header:
        problems.append(Problem(path, 1, 1, "the first row names no column `id`", "Name the columns in the first row"))
    return problems


def _csv_row(header: Sequence[str], cells: Sequence[str], path: str, line: int) -> Document | Problem:
    if len(cells) != len(header):
        what = f"this row has {len(cells)} cells, and the first row {len(header)}"
        return Problem(path, line, 1, what, "Quote cells that hold a comma or a line's end")
    filled = {column: cell for column, cell in zip(header, cells, strict=True) if cell}
    return document_of(case_of_cells(filled), path, line)


def case_of_cells(filled: Mapping[str, str]) -> dict[str, Json]:
    """Return the case in a row of a table; `filled` maps each column to its cell, without the empty ones."""
    row: dict[str, Json] = {column: cell for column, cell in filled.items() if column in COLUMNS}
    if "tags" in filled:
        row["tags"] = [tag.strip() for tag in filled["tags"].split(";") if tag.strip()]
    under = {prefix.removesuffix("."): _under(prefix, filled) for prefix in ("vars.", "checks.")}
    return row | {key: below for key, below in under.items() if below}


def _under(prefix: str, filled: Mapping[str, str]) -> dict[str, Json]:
    return {column.removeprefix(prefix): cell for column, cell in filled.items() if column.startswith(prefix)}
