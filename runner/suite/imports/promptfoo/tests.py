"""Import promptfoo's tests: find them, and convert what a case can express."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from runner.document import Json, document_of, parse
from runner.errors import InvalidFile
from runner.suite.imports.csv_table import rows_of_table
from runner.suite.imports.draft import Draft, ImportSource, short_name, text_of
from runner.suite.imports.json_rows import sources_of_json
from runner.suite.imports.promptfoo.assertions import Checks, checks_of, merge, parse_assertion
from runner.suite.imports.promptfoo.prompts import named_text
from runner.suite.openai_messages import NotImportable

WITHOUT_EFFECT = MappingProxyType(
    {
        "metadata": "Write `tags`, if cases are to be grouped by it",
        "metric": "Leave it out: a check goes by its own name",
        "threshold": "Leave it out: here every check must pass",
    }
)
"""Keys of a test that change neither the request nor the verdict on one answer -> what to do about them."""

OPTIONS_WITHOUT_EFFECT = frozenset({"provider", "rubricPrompt", "runSerially"})

Values = str | list[str]


@dataclass(frozen=True, slots=True)
class Test:
    """A test: its name, its variables and its checks."""

    name: str = ""
    values: dict[str, Values] = field(default_factory=dict)
    checks: Checks = field(default_factory=dict)


def find_tests(draft: Draft, config: ImportSource) -> Iterator[ImportSource]:
    """Yield the tests in a configuration and in the files it names; one empty test if it has none."""
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
            yield from _tests_in_file(source.data.removeprefix("file://"), draft)
        except NotImportable as reason:
            draft.skip(source, reason)


def _tests_in_file(name: str, draft: Draft) -> Iterator[ImportSource]:
    suffix, path = PurePosixPath(name).suffix.lower(), Path(draft.folder, name)
    if suffix not in {".csv", ".json", ".jsonl", ".yaml", ".yml"} or "*" in name or ":/" in name:
        raise NotImportable(f"tests from `{name}` are not read", "Name single files of CSV, JSON, JSONL or YAML")
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
        draft.skipped += error.problems


def _test_of_cells(cells: dict[str, str]) -> Json:
    """Return the test in a row of a table: `__expected` columns are assertions, other `__` columns are keys."""
    test: dict[str, Json] = {"vars": {name: cell for name, cell in cells.items() if not name.startswith("__")}}
    assertions: list[Json] = []
    for name, cell in cells.items():
        key = name.removeprefix("__").partition(":")[0]
        if not name.startswith("__") or not cell:
            continue
        if key.startswith("expected"):
            assertions.append(parse_assertion(cell))
        elif key in {"prefix", "suffix"}:
            test["options"] = {key: cell}
        else:
            test[key] = cell
    return {**test, "assert": assertions}


def read_test(draft: Draft, source: ImportSource, default: Test) -> Test:
    """Return a test merged with the default one; note the assertions that cannot be imported.

    Raises:
        NotImportable: the test has a part without counterpart that changes its meaning.

    """
    data = source.data
    if not isinstance(data, dict):
        raise NotImportable("this is no test", "Write its vars and its assertions")
    _refuse_altering_keys(data)
    for key in data.keys() & WITHOUT_EFFECT.keys():
        draft.skip(source.at(key), NotImportable(f"`{key}` has no counterpart", WITHOUT_EFFECT[key]))
    values = {**default.values, **_values_of(source, data.get("vars"))}
    return Test(short_name(str(data.get("description") or "")), values, _checks_of(draft, source, default.checks))


def _refuse_altering_keys(data: dict[str, Json]) -> None:
    known = {"description", "vars", "assert", "options", *WITHOUT_EFFECT}
    written = data.get("options")
    options = written if isinstance(written, dict) else {}
    altering = {*(data.keys() - known), *(f"options.{name}" for name in options.keys() - OPTIONS_WITHOUT_EFFECT)}
    if altering:
        hint = "Write the case by hand: docs/suite.md has all its keys"
        raise NotImportable(f"a test with `{min(altering)}` is not taken", hint)
    if "vars" in data and not isinstance(data["vars"], dict):
        raise NotImportable("this test's variables are in a file", "Write them here")


def _values_of(source: ImportSource, written: Json) -> dict[str, Values]:
    names = written if isinstance(written, dict) else {}
    return {name: _value(source.at("vars", name), name) for name in names}


def _value(source: ImportSource, name: str) -> Values:
    texts = [_text(item, name) for item in source.items()]
    if not texts:
        raise NotImportable(f"the variable `{name}` is an empty list", "Write a text in it")
    return texts if isinstance(source.data, list) else texts[0]


def _text(source: ImportSource, name: str) -> str:
    text = text_of(source)
    if text is None:
        raise NotImportable(f"the variable `{name}` is no text", "Write a text, or a list of texts for several cases")
    if text.startswith("file://") or "{{" in text:
        raise NotImportable(f"the variable `{name}` stands for a file or holds a template itself", "Write its text out")
    return text


def _checks_of(draft: Draft, source: ImportSource, default: Checks) -> Checks:
    data, checks = source.data, default
    assertions = data.get("assert") if isinstance(data, dict) else None
    for index in range(len(assertions) if isinstance(assertions, list) else 0):
        assertion = source.at("assert", index)
        try:
            checks = merge(checks, checks_of(assertion))
        except NotImportable as reason:
            draft.skip(assertion, reason)
    return checks
