"""Import another tool's file as a suite file, with a list of what was not imported."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.document import Json, parse, read_lines, read_text, write
from runner.errors import CompareError, InvalidFile, Problem
from runner.providers.registry import builtin
from runner.storage.atomic_write import write_atomically
from runner.storage.run_folder import check_outputs
from runner.suite.imports.data_set import draft_of_rows, rows_of_draft
from runner.suite.imports.draft_suite import Draft
from runner.suite.imports.promptfoo.config import TYPICAL_KEYS, draft_of_config
from runner.suite.load import load_document
from runner.suite.recognise_columns import ColumnNames
from runner.suite.row_files import ROW_FILES

MAX_IMPORT_BYTES = 64 << 20
"""Size limit of a configuration; a file of rows may have any size."""

MAX_CASES_INSIDE = 5_000
MAX_CHARACTERS_INSIDE = 700_000
"""Limits on cases written into the suite itself; beyond them, all cases go into a file beside it."""

MAX_NOTES = 1_000
SUITES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ImportedSuite:
    """The text of an imported suite, its number of cases, and a sentence on each part that was not imported."""

    text: str
    cases: int
    not_imported: tuple[str, ...]
    case_file: Path | None = None
    """File that holds the cases if they are too many for the suite itself."""


def check_suite_file(path: Path) -> None:
    """Raise CompareError if a new suite cannot be written to this path; existing files are never overwritten."""
    check_outputs([path], SUITES)
    if path.exists():
        raise CompareError(f"-o {path}: there is such a file already. Name another, or remove it first.")


def import_file(path: Path, output: Path | None, names: ColumnNames | None = None) -> ImportedSuite:
    """Return a file as a suite, and write it to `output` if that is given.

    `names` gives the columns of the prompt and of the reference answer if they do not have the usual names.

    Raises:
        CompareError: the file cannot be read, or has nothing that can become a case.

    """
    if output is not None:
        check_suite_file(output)
    draft = _read_draft(path, names or ColumnNames())
    not_imported = tuple(_describe_problems(draft.skipped))
    if not draft.cases:
        raise CompareError("\n".join([*not_imported, f"nothing in {path} becomes a case, so there is no suite"]))
    if _fits_inside(draft):
        text = _suite_text(path, draft.suite(), not_imported)
        _check_suite(text, output or path.with_suffix(".yaml"))
        if output is not None:
            write_atomically(output, text)
        return ImportedSuite(text, len(draft.cases), not_imported)
    return _write_with_case_file(path, output, draft, not_imported)


def _fits_inside(draft: Draft) -> bool:
    size = 0
    for case in draft.cases:
        size += len(json.dumps(case, ensure_ascii=False))
        if size > MAX_CHARACTERS_INSIDE:
            return False
    return len(draft.cases) <= MAX_CASES_INSIDE


def _write_with_case_file(
    path: Path, output: Path | None, draft: Draft, not_imported: tuple[str, ...]
) -> ImportedSuite:
    """Write a suite with its cases in a file beside it, which is read row by row."""
    if output is None:
        raise CompareError(
            f"{path} becomes {len(draft.cases):,} cases, more than a suite holds itself. "
            "Name the suite with -o; the cases are written into a .jsonl file beside it."
        )
    case_file = output.with_suffix(".cases.jsonl")
    if case_file.exists():
        raise CompareError(f"{case_file}, where the cases belong, is there already. Name another suite, or remove it.")
    data: dict[str, Json] = {"version": 1, **draft.head, "cases_from": case_file.name}
    text = _suite_text(path, data, not_imported)
    write_atomically(case_file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of_draft(draft)))
    try:
        _check_suite(text, output)
    except CompareError:
        case_file.unlink()
        raise
    write_atomically(output, text)
    return ImportedSuite(text, len(draft.cases), not_imported, case_file)


def _read_draft(path: Path, names: ColumnNames) -> Draft:
    suffix = path.suffix.lower()
    if suffix not in ROW_FILES:
        known = ".yaml, .csv, .tsv, .jsonl, .json"
        raise CompareError(f"{path}: files called {suffix or 'nothing'} are not read. Known: {known}.")
    if suffix in {".json", ".yaml", ".yml"} and not _is_list(path):
        text = read_text(path, MAX_IMPORT_BYTES)
        if suffix != ".json" or _is_config(text, path):
            return _read_config(text, path)
    return draft_of_rows(path, names)


def _is_list(path: Path) -> bool:
    """Return whether a YAML or JSON file begins with a list."""
    for line in read_lines(path, MAX_IMPORT_BYTES, ends="\n"):
        start = line.strip()
        if start and not start.startswith(("#", "---", "%")):
            return start.startswith(("- ", "[")) or start == "-"
    return False


def _is_config(text: str, path: Path) -> bool:
    """Return whether a JSON file is a promptfoo configuration: an object with one of its keys."""
    try:
        data = parse(text, str(path), foreign=True).data
    except InvalidFile:
        return False
    return isinstance(data, dict) and not TYPICAL_KEYS.isdisjoint(data)


def _read_config(text: str, path: Path) -> Draft:
    document = parse(text, str(path), foreign=True)
    if isinstance(document.data, dict) and {"cases", "cases_from"} & document.data.keys():
        raise CompareError(f"{path} is a suite already: compare run {path}")
    return draft_of_config(document, path.parent)


def _describe_problems(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield each kind of problem once, with its first place and the number of further ones."""
    places: dict[tuple[str, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda each: (each.path, each.line, each.column)):
        places.setdefault((problem.what, problem.hint), []).append(problem)
    for alike in places.values():
        more = f" ({len(alike) - 1:,} more like it)" if len(alike) > 1 else ""
        yield f"{alike[0]}{more}"


def _suite_text(path: Path, data: dict[str, Json], not_imported: Sequence[str]) -> str:
    lines = [f"  {line}" for each in not_imported[:MAX_NOTES] for line in each.splitlines()]
    if len(not_imported) > MAX_NOTES:
        lines.append(f"  ... and {len(not_imported) - MAX_NOTES:,} more, which the import listed")
    notes = ["", "Not imported:", *lines] if lines else []
    comment = [f"Made of {path.name} by `compare import`.", *notes]
    return "".join(f"# {line}".rstrip() + "\n" for line in comment) + "\n" + write(data)


def _check_suite(text: str, path: Path) -> None:
    """Raise CompareError for a suite that `compare run` would refuse."""
    try:
        load_document(parse(text, str(path)), path, builtin().names)
    except InvalidFile as error:
        raise CompareError(f"the suite would not be accepted: {error.problems[0]}") from None
