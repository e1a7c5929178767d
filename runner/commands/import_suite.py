"""Import a file of another tool as a suite file, with a list of what was not imported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.document import parse, write
from runner.document.files import read_text
from runner.errors import CompareError, InvalidFile, Problem
from runner.providers.registry import builtin
from runner.storage.run_folder import check_outputs, write_atomically
from runner.suite.imports.csv_table import draft_of_table
from runner.suite.imports.draft import Draft
from runner.suite.imports.json_rows import draft_of_json
from runner.suite.imports.promptfoo.config import TYPICAL_KEYS, draft_of_config
from runner.suite.load import load_document

MAX_BYTES = 64 << 20
SUITES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ImportedSuite:
    """A suite's text, how many cases it has, and a sentence on each thing that was not imported."""

    text: str
    cases: int
    not_imported: tuple[str, ...]


def check_suite_file(path: Path) -> None:
    """Raise CompareError if a new suite cannot be written there; an existing file is never overwritten."""
    check_outputs([path], SUITES)
    if path.exists():
        raise CompareError(f"-o {path}: there is such a file already. Name another, or remove it first.")


def import_file(path: Path, output: Path | None) -> ImportedSuite:
    """Return a file as a suite; write it to `output`, if that is given.

    Raises:
        CompareError: the file cannot be read, or nothing in it becomes a case.

    """
    if output is not None:
        check_suite_file(output)
    suite_path = output or path.with_suffix(".yaml")
    draft = _read_draft(path)
    not_imported = tuple(_describe_problems(draft.skipped))
    if not draft.cases:
        raise CompareError("\n".join([*not_imported, f"nothing in {path} becomes a case, so there is no suite"]))
    text = _suite_text(path, draft, not_imported)
    _check_suite(text, suite_path)
    if output is not None:
        write_atomically(output, text)
    return ImportedSuite(text, len(draft.cases), not_imported)


def _read_draft(path: Path) -> Draft:
    suffix, text = path.suffix.lower(), read_text(path, MAX_BYTES)
    match suffix:
        case ".csv":
            return draft_of_table(text, path)
        case ".json" if not _is_config(text, path):
            return draft_of_json(text, path)
        case ".jsonl":
            return draft_of_json(text, path)
        case ".json" | ".yaml" | ".yml":
            return _read_config(text, path)
    raise CompareError(f"{path}: files called {suffix or 'nothing'} are not read. Known: .yaml, .csv, .jsonl, .json.")


def _is_config(text: str, path: Path) -> bool:
    """Return whether a JSON file is a configuration of promptfoo: an object with one of its keys."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        data = parse(text, str(path)).data
    except InvalidFile:
        return False
    return isinstance(data, dict) and not TYPICAL_KEYS.isdisjoint(data)


def _read_config(text: str, path: Path) -> Draft:
    document = parse(text, str(path))
    if isinstance(document.data, dict) and {"cases", "cases_from"} & document.data.keys():
        raise CompareError(f"{path} is a suite already: compare run {path}")
    return draft_of_config(document, path.parent)


def _describe_problems(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield each problem once, with the first of its places."""
    places: dict[tuple[str, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda each: (each.path, each.line, each.column)):
        places.setdefault((problem.what, problem.hint), []).append(problem)
    for alike in places.values():
        more = f" ({len(alike) - 1:,} more like it)" if len(alike) > 1 else ""
        yield f"{alike[0]}{more}"


def _suite_text(path: Path, draft: Draft, not_imported: Sequence[str]) -> str:
    notes = (
        ["", "Not taken:", *(f"  {line}" for each in not_imported for line in each.splitlines())]
        if not_imported
        else []
    )
    comment = [f"Made of {path.name} by `compare import`.", *notes]
    return "".join(f"# {line}".rstrip() + "\n" for line in comment) + "\n" + write(draft.suite())


def _check_suite(text: str, path: Path) -> None:
    """Raise CompareError for a suite that `compare run` would refuse."""
    try:
        load_document(parse(text, str(path)), path, builtin().names)
    except InvalidFile as error:
        first = error.problems[0]
        raise CompareError(
            f"the suite would not be accepted: {first.what}. Split the file, or name it in a suite's `cases_from`"
        ) from None
