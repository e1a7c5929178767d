"""Import promptfoo's tests: find them, and convert what a case can express."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import MappingProxyType

from runner.document import Json, document_of
from runner.errors import InvalidFile, Problem
from runner.suite.case_files import read_rows
from runner.suite.case_tables import table_rows
from runner.suite.fill_templates import is_template
from runner.suite.imports.draft import Draft, ImportSource, short_name, text_of
from runner.suite.imports.promptfoo.assertions import Checks, checks_of, merge, parse_assertion
from runner.suite.imports.promptfoo.files import SCHEME, TABLES, ending_of, named_document, named_files, named_text
from runner.suite.imports.promptfoo.references import REFERENCE, resolve_references
from runner.suite.openai_messages import NotImportable

WITHOUT_EFFECT = MappingProxyType(
    {
        "metadata": "Write `tags`, if cases are to be grouped by it",
        "metric": "Leave it out: a check goes by its own name",
        "threshold": "Leave it out: here every check must pass",
        "assertScoringFunction": "Leave it out: here every check must pass",
    }
)
"""Keys of a test that change neither the request nor the verdict on one answer -> what to do about them."""

OPTIONS_WITHOUT_EFFECT = frozenset({"provider", "rubricPrompt", "runSerially"})

TRANSFORMS = ("transform", "postprocess", "storeOutputAs")
"""Options that change what assertions see, or keep it; what is asked stays the same."""

TRANSFORMED = NotImportable(
    "the assertions are about what a transform makes of the reply", "Write checks of the reply as it comes"
)

TEXT_ENDINGS = frozenset(
    {"", ".css", ".diff", ".htm", ".html", ".log", ".markdown", ".md", ".rst", ".sql", ".tex", ".txt", ".xml"}
)
"""Endings of files whose text is a variable's value; those of other files mean that something is made of it."""

Values = str | list[str]


@dataclass(frozen=True, slots=True)
class Test:
    """A test: its name, its variables and its checks."""

    name: str = ""
    values: dict[str, Values] = field(default_factory=dict)
    checks: Checks = field(default_factory=dict)
    transformed: bool = False
    """Whether assertions see something else than the reply."""


def find_tests(draft: Draft, config: ImportSource) -> Iterator[ImportSource]:
    """Yield the tests in a configuration and in the files it names; one empty test if it has none."""
    data = config.data
    assert isinstance(data, dict)
    if not data.get("tests"):
        if not data.get("scenarios"):
            yield ImportSource(document_of({}, config.document.path, 1))
        return
    for source in config.at("tests").items():
        written = source.data
        if isinstance(written, dict) and isinstance(written.get("path"), str):
            draft.skip_keys(source, written, ("path",), "Write the tests out")
            written = written["path"]
        if not isinstance(written, str):
            yield source
            continue
        try:
            for name in named_files(written, draft):
                yield from _tests_in_file(name, draft)
        except NotImportable as reason:
            draft.skip(source, reason)


def _tests_in_file(name: str, draft: Draft) -> Iterator[ImportSource]:
    ending, path = ending_of(name), Path(draft.folder, name)
    if ending not in TABLES:
        raise NotImportable(f"tests from `{name}` are not read", "Name files of CSV, JSON, JSONL or YAML")
    if ending in {".yaml", ".yml"}:
        yield from _resolved(ImportSource(named_document(name, draft))).items()
        return
    if ending == ".csv":
        try:
            for line, cells in table_rows(StringIO(named_text(name, draft), newline=""), str(path)):
                yield ImportSource(document_of(_test_of_cells(cells), str(path), line))
        except InvalidFile as error:
            draft.skipped += error.problems
        return
    named_text(name, draft)  # refuses a file that may not be read
    for row in read_rows(path):
        if isinstance(row, Problem):
            draft.skipped.append(row)
        else:
            yield _resolved(ImportSource(row.document))


def _resolved(source: ImportSource) -> ImportSource:
    return ImportSource(resolve_references(source.document)[0])


def read_default_test(draft: Draft, source: ImportSource) -> Test:
    """Return the test that lies below all others; it is written there, or in a file.

    Raises:
        NotImportable: as for `read_test`.

    """
    if isinstance(source.data, str):
        names = named_files(source.data, draft)
        source = _resolved(ImportSource(named_document(names[0], draft)))
    return read_test(draft, source, Test())


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
        raise NotImportable("this is not a test", "Write its vars and its assertions")
    _refuse_altering_keys(data)
    for key in data.keys() & WITHOUT_EFFECT.keys():
        draft.skip(source.at(key), NotImportable(f"`{key}` has no counterpart", WITHOUT_EFFECT[key]))
    values = {**default.values, **_values_of(draft, source)}
    transformed = _skip_transforms(draft, source) or default.transformed
    checks = _checks_of(draft, source, default.checks)
    if transformed and checks.keys() - {"max_total_s"}:
        draft.skip(source, TRANSFORMED)
        checks = {name: wanted for name, wanted in checks.items() if name == "max_total_s"}
    return Test(short_name(str(data.get("description") or "")), values, checks, transformed)


def _skip_transforms(draft: Draft, source: ImportSource) -> bool:
    """Note the options that change what assertions see; return whether there are any."""
    data = source.data
    options = data.get("options") if isinstance(data, dict) else None
    found = [name for name in TRANSFORMS if isinstance(options, dict) and options.get(name) is not None]
    for name in found:
        hint = "A check sees the reply as it comes; write one for it, or a function for the check `python`"
        draft.skip(source.at("options", name), NotImportable(f"`{name}` has no counterpart", hint))
    return any(name != "storeOutputAs" for name in found)


def _refuse_altering_keys(data: dict[str, Json]) -> None:
    if REFERENCE in data:
        raise NotImportable(f"`{data[REFERENCE]}` names nothing in this file", "Write out what it stands for")
    known = {"description", "vars", "assert", "options", *WITHOUT_EFFECT}
    written = data.get("options")
    options = written if isinstance(written, dict) else {}
    unknown = options.keys() - OPTIONS_WITHOUT_EFFECT - {*TRANSFORMS}
    altering = {*(data.keys() - known), *(f"options.{name}" for name in unknown)}
    if altering:
        hint = "Write the case by hand: docs/suite.md has all its keys"
        raise NotImportable(f"a test with `{min(altering)}` is not taken", hint)


def _values_of(draft: Draft, source: ImportSource) -> dict[str, Values]:
    """Return a test's variables: those written there, or in the files that it names."""
    data = source.data
    written = data.get("vars") if isinstance(data, dict) else None
    if isinstance(written, dict):
        return {name: _value(draft, source.at("vars", name), name) for name in written}
    if written is None:
        return {}
    values: dict[str, Values] = {}
    for place in source.at("vars").items():
        if not isinstance(place.data, str):
            raise NotImportable("this test's variables are not a mapping", "Write each with its name and its text")
        folder = Path(source.document.path).parent
        for name in named_files(place.data, draft, folder):
            whole = ImportSource(named_document(name, draft))
            if not isinstance(whole.data, dict):
                raise NotImportable(f"`{name}` holds no variables", "Write each with its name and its text")
            values |= {key: _value(draft, whole.at(key), key) for key in whole.data}
    return values


def _value(draft: Draft, source: ImportSource, name: str) -> Values:
    texts = [text for item in source.items() for text in _texts(draft, item, name)]
    if not texts:
        raise NotImportable(f"the variable `{name}` is an empty list", "Write a text in it")
    return texts if isinstance(source.data, list) or len(texts) > 1 else texts[0]


def _texts(draft: Draft, source: ImportSource, name: str) -> list[str]:
    text = text_of(source)
    if text is None:
        raise NotImportable(f"the variable `{name}` is not text", "Write a text, or a list of texts for several cases")
    texts = [text.removesuffix("\n")]
    if text.startswith(SCHEME):
        texts = [_text_in_file(file, name, draft) for file in named_files(text, draft)]
    if any(map(is_template, texts)):
        raise NotImportable(f"the variable `{name}` holds a template itself", "Write its text out")
    return texts


def _text_in_file(file: str, name: str, draft: Draft) -> str:
    if ending_of(file) not in TEXT_ENDINGS:
        what = f"the variable `{name}` stands for the file `{file}`, which is not plain text"
        raise NotImportable(what, "Write its text out, or into a .txt file")
    return named_text(file, draft).strip()


def _checks_of(draft: Draft, source: ImportSource, default: Checks) -> Checks:
    data, checks = source.data, default
    assertions = data.get("assert") if isinstance(data, dict) else None
    if assertions is not None and not isinstance(assertions, list):
        draft.skip(source.at("assert"), NotImportable("`assert` is not a list", "Write a list of assertions"))
    for index in range(len(assertions) if isinstance(assertions, list) else 0):
        assertion = source.at("assert", index)
        try:
            checks = merge(checks, checks_of(assertion))
        except NotImportable as reason:
            draft.skip(assertion, reason)
    return checks
