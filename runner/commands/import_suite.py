"""A file of another tool, turned into a suite file with a list of what was not taken."""

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
class Imported:
    """A suite's text, how many cases it has, and what was not taken."""

    text: str
    cases: int
    left: tuple[str, ...]


def check_suite_file(path: Path) -> None:
    """Raise if a new suite cannot be written there; one that is there already is somebody's work."""
    check_outputs([path], SUITES)
    if path.exists():
        raise CompareError(f"-o {path}: there is such a file already. Name another, or remove it first.")


def import_file(path: Path, output: Path | None) -> Imported:
    """Turn a file into a suite, and write it where that is wanted.

    Raises:
        CompareError: it is no file that can be read, or nothing in it becomes a case.

    """
    if output is not None:
        check_suite_file(output)
    place = output or path.with_suffix(".yaml")
    draft = _draft(path)
    left = tuple(_gathered(draft.skipped))
    if not draft.cases:
        raise CompareError("\n".join([*left, f"nothing in {path} becomes a case, so there is no suite"]))
    text = _suite_text(path, draft, left)
    _check(text, place)
    if output is not None:
        write_atomically(output, text)
    return Imported(text, len(draft.cases), left)


def _draft(path: Path) -> Draft:
    suffix, text = path.suffix.lower(), read_text(path, MAX_BYTES)
    match suffix:
        case ".csv":
            return draft_of_table(text, path)
        case ".json" if not _is_config(text, path):
            return draft_of_json(text, path)
        case ".jsonl":
            return draft_of_json(text, path)
        case ".json" | ".yaml" | ".yml":
            return _draft_of_config(text, path)
    raise CompareError(f"{path}: files called {suffix or 'nothing'} are not read. Known: .yaml, .csv, .jsonl, .json.")


def _is_config(text: str, path: Path) -> bool:
    """Tell whether a JSON file is a configuration of promptfoo: an object with one of its keys."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        data = parse(text, str(path)).data
    except InvalidFile:
        return False
    return isinstance(data, dict) and not TYPICAL_KEYS.isdisjoint(data)


def _draft_of_config(text: str, path: Path) -> Draft:
    document = parse(text, str(path))
    if isinstance(document.data, dict) and {"cases", "cases_from"} & document.data.keys():
        raise CompareError(f"{path} is a suite already: compare run {path}")
    return draft_of_config(document, path.parent)


def _gathered(left: Sequence[Problem]) -> Iterator[str]:
    """Say each thing once, with the first of its places."""
    places: dict[tuple[str, str], list[Problem]] = {}
    for problem in sorted(left, key=lambda each: (each.path, each.line, each.column)):
        places.setdefault((problem.what, problem.hint), []).append(problem)
    for alike in places.values():
        more = f" ({len(alike) - 1:,} more like it)" if len(alike) > 1 else ""
        yield f"{alike[0]}{more}"


def _suite_text(path: Path, draft: Draft, left: Sequence[str]) -> str:
    notes = ["", "Not taken:", *(f"  {line}" for each in left for line in each.splitlines())] if left else []
    comment = [f"Made of {path.name} by `compare import`.", *notes]
    return "".join(f"# {line}".rstrip() + "\n" for line in comment) + "\n" + write(draft.suite())


def _check(text: str, place: Path) -> None:
    """Refuse to give out a suite that `compare run` would refuse."""
    try:
        load_document(parse(text, str(place)), place, builtin().names)
    except InvalidFile as error:
        first = error.problems[0]
        raise CompareError(
            f"the suite would not be accepted: {first.what}. Split the file, or name it in a suite's `cases_from`"
        ) from None
