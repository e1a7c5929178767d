"""promptfoo's tests: where they are written, and what of one test can be said in a case."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from runner.document import Json, document_of, parse
from runner.errors import InvalidFile
from runner.suite.conversation import NotTaken
from runner.suite.imports.draft import Draft, ImportSource, short_name, text_of
from runner.suite.imports.promptfoo.assertions import Checks, assertion_in_words, checks_of, merge
from runner.suite.imports.promptfoo.prompts import named_text
from runner.suite.imports.rows import sources_of_json
from runner.suite.imports.table import rows_of_table

WITHOUT_EFFECT = MappingProxyType(
    {
        "metadata": "Write `tags`, if cases are to be grouped by it",
        "metric": "Leave it out: a check goes by its own name",
        "threshold": "Leave it out: here every check must pass",
    }
)
"""Keys of a test that change neither what is asked nor how one answer is judged -> what to do about them."""

OPTIONS_WITHOUT_EFFECT = frozenset({"provider", "rubricPrompt", "runSerially"})

Values = str | list[str]


@dataclass(frozen=True, slots=True)
class Test:
    """A test: its name, its variables, and what it demands of an answer."""

    name: str = ""
    values: dict[str, Values] = field(default_factory=dict)
    checks: Checks = field(default_factory=dict)


def find_tests(draft: Draft, config: ImportSource) -> Iterator[ImportSource]:
    """Yield a configuration's tests, be they written in it or in files that it names; one without tests has one."""
    data = config.data
    assert isinstance(data, dict)
    if data.get("tests") is None:
        yield ImportSource(document_of({}, config.document.path, 1))
        return
    for source in config.at("tests").items():
        if not isinstance(source.data, str):
            yield source
            continue
        try:
            yield from _from_file(source.data.removeprefix("file://"), draft)
        except NotTaken as fault:
            draft.leave(source, fault)


def _from_file(name: str, draft: Draft) -> Iterator[ImportSource]:
    suffix, path = PurePosixPath(name).suffix.lower(), Path(draft.folder, name)
    if suffix not in {".csv", ".json", ".jsonl", ".yaml", ".yml"} or "*" in name or ":/" in name:
        raise NotTaken(f"tests from `{name}` are not read", "Name single files of CSV, JSON, JSONL or YAML")
    text = named_text(name, draft)
    try:
        if suffix == ".csv":
            for line, cells in rows_of_table(text, path):
                yield ImportSource(document_of(_test_of_cells(cells), str(path), line))
        elif suffix in {".json", ".jsonl"}:
            yield from sources_of_json(text, path)
        else:
            yield from ImportSource(parse(text, str(path))).items()
    except InvalidFile as error:
        draft.left += error.problems


def _test_of_cells(cells: dict[str, str]) -> Json:
    """Return the test that a row of a table stands for: `__expected` demands, other columns with `__` are keys."""
    test: dict[str, Json] = {"vars": {name: cell for name, cell in cells.items() if not name.startswith("__")}}
    demands: list[Json] = []
    for name, cell in cells.items():
        key = name.removeprefix("__").partition(":")[0]
        if not name.startswith("__") or not cell:
            continue
        if key.startswith("expected"):
            demands.append(assertion_in_words(cell))
        elif key in {"prefix", "suffix"}:
            test["options"] = {key: cell}
        else:
            test[key] = cell
    return {**test, "assert": demands}


def read_test(draft: Draft, source: ImportSource, below: Test) -> Test:
    """Return what a test says, laid over the default one; assertions that are not taken are noted.

    Raises:
        NotTaken: without a part of it this test would ask or judge something else.

    """
    data = source.data
    if not isinstance(data, dict):
        raise NotTaken("this is no test", "Write its vars and its assertions")
    _refuse_what_alters(data)
    for key in data.keys() & WITHOUT_EFFECT.keys():
        draft.leave(source.at(key), NotTaken(f"`{key}` has no counterpart", WITHOUT_EFFECT[key]))
    values = {**below.values, **_values(source, data.get("vars"))}
    return Test(short_name(str(data.get("description") or "")), values, _checks(draft, source, below.checks))


def _refuse_what_alters(data: dict[str, Json]) -> None:
    taken = {"description", "vars", "assert", "options", *WITHOUT_EFFECT}
    options = data.get("options")
    given = options if isinstance(options, dict) else {}
    altering = {*(data.keys() - taken), *(f"options.{name}" for name in given.keys() - OPTIONS_WITHOUT_EFFECT)}
    if altering:
        hint = "Write the case by hand: docs/suite.md has all its keys"
        raise NotTaken(f"a test with `{min(altering)}` is not taken", hint)
    if "vars" in data and not isinstance(data["vars"], dict):
        raise NotTaken("this test's variables are in a file", "Write them here")


def _values(source: ImportSource, written: Json) -> dict[str, Values]:
    names = written if isinstance(written, dict) else {}
    return {name: _value(source.at("vars", name), name) for name in names}


def _value(source: ImportSource, name: str) -> Values:
    texts = [_text(item, name) for item in source.items()]
    if not texts:
        raise NotTaken(f"the variable `{name}` is an empty list", "Write a text in it")
    return texts if isinstance(source.data, list) else texts[0]


def _text(source: ImportSource, name: str) -> str:
    text = text_of(source)
    if text is None:
        raise NotTaken(f"the variable `{name}` is no text", "Write a text, or a list of texts for several cases")
    if text.startswith("file://") or "{{" in text:
        raise NotTaken(f"the variable `{name}` stands for a file or holds a template itself", "Write its text out")
    return text


def _checks(draft: Draft, source: ImportSource, below: Checks) -> Checks:
    data, checks = source.data, below
    demands = data.get("assert") if isinstance(data, dict) else None
    for index in range(len(demands) if isinstance(demands, list) else 0):
        assertion = source.at("assert", index)
        try:
            checks = merge(checks, checks_of(assertion))
        except NotTaken as fault:
            draft.leave(assertion, fault)
    return checks
