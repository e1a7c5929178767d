"""Import promptfoo's tests and their variables: find them, and convert what a case can express."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import MappingProxyType

from runner.document import Json, document_of
from runner.document.document_tree import ScalarNode
from runner.errors import InvalidFile, Problem
from runner.suite.errors import NotImportable
from runner.suite.fill_templates import is_template
from runner.suite.imports.draft_suite import Draft, ImportSource, short_name
from runner.suite.imports.promptfoo.assertions import Checks, checks_of, merge, parse_assertion
from runner.suite.imports.promptfoo.files import SCHEME, TABLES, ending_of, named_document, named_files, named_text
from runner.suite.imports.promptfoo.json_refs import REFERENCE, resolve_references
from runner.suite.row_files import read_rows, table_rows

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
"""Options that change or store the text that assertions see; the request stays the same."""

_SETTING = re.compile(r"__config:__expected(?P<number>\d*):(?P<key>\w+)")
"""A column of a table that sets a key of the assertion in another one."""

TRANSFORMED = NotImportable(
    "the assertions are about what a transform makes of the reply", "Write checks of the reply as it comes"
)

TEXT_ENDINGS = frozenset(
    {"", ".css", ".diff", ".htm", ".html", ".log", ".markdown", ".md", ".rst", ".sql", ".tex", ".txt", ".xml"}
)
"""Endings of files whose text is a variable's value; promptfoo converts or runs files with other endings."""

WORDS = frozenset({"n", "no", "off", "on", "y", "yes"})
"""Words that promptfoo reads as texts, although some YAML parsers read them as truth values."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: its text, its texts for several cases, or why the cases that use it cannot be imported."""

    texts: tuple[str, ...] = ()
    is_list: bool = False
    is_text: bool = True
    """Whether it is written as a text; promptfoo computes with numbers and truth values."""
    fault: NotImportable | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """A test: its name, its variables and its checks."""

    name: str = ""
    variables: dict[str, Variable] = field(default_factory=dict)
    checks: Checks = field(default_factory=dict)
    transformed: bool = False
    """Whether assertions see something other than the reply."""
    prompts: tuple[str, ...] = ()
    """Labels or ids of the prompts that it is for; empty for all prompts."""


def find_tests(draft: Draft, config: ImportSource) -> Iterator[ImportSource]:
    """Yield the tests in a configuration and in the files it names; one empty test if it has none."""
    if config.get("tests"):
        yield from _named_or_written(config.at("tests"), draft)
    elif not config.get("scenarios"):
        yield ImportSource(document_of({}, config.document.path, 1))


def find_scenarios(draft: Draft, config: ImportSource) -> Iterator[tuple[ImportSource, list[ImportSource]]]:
    """Yield each part of the `config` of a configuration's scenarios, with the tests that it applies to."""
    if not config.get("scenarios"):
        return
    for scenario in _named_or_written(config.at("scenarios"), draft):
        written = scenario.data
        if not isinstance(written, dict) or not scenario.get("config"):
            draft.skip(scenario, NotImportable("this is not a scenario", "Write its `config` and its `tests`"))
            continue
        draft.skip_keys(scenario, ("config", "tests", "description"), "Leave it out")
        tests = [*_named_or_written(scenario.at("tests"), draft)] if written.get("tests") else []
        for part in _named_or_written(scenario.at("config"), draft):
            yield part, tests or [ImportSource(document_of({}, scenario.document.path, 1))]


def _named_or_written(listed: ImportSource, draft: Draft) -> Iterator[ImportSource]:
    """Yield the items of a list, or of the file that a name stands for."""
    for source in listed.items():
        written = source.data
        if isinstance(written, dict) and isinstance(source.get("path"), str):
            draft.skip_keys(source, ("path",), "Write the tests out")
            written = source.get("path")
        if not isinstance(written, str):
            yield source
            continue
        with draft.skipping(source):
            for name in named_files(written, draft):
                yield from _tests_in_file(name, draft)


def _tests_in_file(name: str, draft: Draft) -> Iterator[ImportSource]:
    ending, path = ending_of(name), Path(draft.folder, name)
    if ending not in TABLES:
        raise NotImportable(f"tests from `{name}` are not read", "Name files of CSV, JSON, JSONL or YAML")
    if ending in {".yaml", ".yml"}:
        yield from _with_references_resolved(ImportSource(named_document(name, draft))).items()
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
            yield _with_references_resolved(ImportSource(row.document))


def _with_references_resolved(source: ImportSource) -> ImportSource:
    return ImportSource(resolve_references(source.document)[0])


def read_default_test(draft: Draft, source: ImportSource) -> Test:
    """Return the test with the defaults of all others; it is written in the configuration, or in a file.

    Raises:
        NotImportable: as for `read_test`.

    """
    if isinstance(source.data, str):
        names = named_files(source.data, draft)
        source = _with_references_resolved(ImportSource(named_document(names[0], draft)))
    return read_test(draft, source, Test())


def _test_of_cells(cells: dict[str, str]) -> Json:
    """Return the test in a row of a table: `__expected` columns are assertions, other `__` columns are keys."""
    test: dict[str, Json] = {"vars": {name: cell for name, cell in cells.items() if not name.startswith("__")}}
    assertions: list[Json] = []
    for name, cell in cells.items():
        key = name.removeprefix("__").partition(":")[0]
        if not name.startswith("__") or not cell or _SETTING.fullmatch(name):
            continue
        if key.startswith("expected"):
            assertions.append(parse_assertion(cell) | _settings_of(name, cells))
        elif key in {"prefix", "suffix"}:
            test["options"] = {key: cell}
        else:
            test[key] = cell
    return {**test, "assert": assertions}


def _settings_of(column: str, cells: Mapping[str, str]) -> dict[str, Json]:
    """Return what `__config:__expectedN:KEY` columns add to the assertion in a column; `__expected` is the first."""
    settings: dict[str, Json] = {}
    for name, cell in cells.items():
        found = _SETTING.fullmatch(name)
        if found and cell and (found["number"] or "1") == (column.removeprefix("__expected") or "1"):
            settings[found["key"]] = float(cell) if re.fullmatch(r"\d*\.?\d+", cell) else cell
    return settings


def read_test(draft: Draft, source: ImportSource, default: Test) -> Test:
    """Return a test merged with the default one; note the assertions that cannot be imported.

    Raises:
        NotImportable: the test has a part that changes its meaning and cannot be imported.

    """
    data = source.data
    if not isinstance(data, dict):
        raise NotImportable("this is not a test", "Write its vars and its assertions")
    _refuse_altering_keys(data)
    for key in data.keys() & WITHOUT_EFFECT.keys():
        draft.skip(source.at(key), NotImportable(f"`{key}` has no counterpart", WITHOUT_EFFECT[key]))
    variables = {**default.variables, **read_variables(draft, source)}
    transformed = _skip_transforms(draft, source) or default.transformed
    checks = _checks_of(draft, source, default.checks)
    if transformed and checks.keys() - {"max_total_s"}:
        draft.skip(source, TRANSFORMED)
        checks = {name: wanted for name, wanted in checks.items() if name == "max_total_s"}
    prompts = _prompts_of(data.get("prompts")) or default.prompts
    return Test(short_name(str(data.get("description") or "")), variables, checks, transformed, prompts)


def _prompts_of(written: Json) -> tuple[str, ...]:
    """Return the labels or ids of the prompts that a test is for; empty for all prompts."""
    if written is None:
        return ()
    listed = [written] if isinstance(written, str) else written
    if not isinstance(listed, list) or not listed or not all(isinstance(each, str) for each in listed):
        raise NotImportable("`prompts` of a test is not a list of labels", "Write the labels of its prompts")
    return tuple(map(str, listed))


def _skip_transforms(draft: Draft, source: ImportSource) -> bool:
    """Note the options that change what assertions see; return whether there are any."""
    options = source.get("options")
    found = [name for name in TRANSFORMS if isinstance(options, dict) and options.get(name) is not None]
    for name in found:
        hint = "A check sees the reply as it comes; write one for it, or a function for the check `python`"
        draft.skip(source.at("options", name), NotImportable(f"`{name}` has no counterpart", hint))
    return any(name != "storeOutputAs" for name in found)


def _refuse_altering_keys(data: dict[str, Json]) -> None:
    if REFERENCE in data:
        raise NotImportable(f"`{data[REFERENCE]}` names nothing in this file", "Write out what it stands for")
    known = {"description", "vars", "assert", "options", "prompts", *WITHOUT_EFFECT}
    written = data.get("options")
    options = written if isinstance(written, dict) else {}
    unknown = options.keys() - OPTIONS_WITHOUT_EFFECT - {*TRANSFORMS}
    altering = {*(data.keys() - known), *(f"options.{name}" for name in unknown)}
    if altering:
        hint = "Write the case by hand: docs/suite.md has all its keys"
        raise NotImportable(f"a test with `{min(altering)}` is not taken", hint)


def _checks_of(draft: Draft, source: ImportSource, default: Checks) -> Checks:
    checks, assertions = default, source.get("assert")
    if assertions is not None and not isinstance(assertions, list):
        draft.skip(source.at("assert"), NotImportable("`assert` is not a list", "Write a list of assertions"))
    for assertion in source.at("assert").items() if isinstance(assertions, list) else ():
        with draft.skipping(assertion):
            checks = merge(checks, checks_of(assertion))
    return checks


# Variables


def read_variables(draft: Draft, source: ImportSource) -> dict[str, Variable]:
    """Return a test's variables: those written there, or in the files that it names.

    Raises:
        NotImportable: they are not a mapping, or a file of them cannot be used.

    """
    written = source.get("vars")
    if isinstance(written, dict):
        return {name: _read_variable(draft, source.at("vars", name), name) for name in written}
    if written is None:
        return {}
    variables: dict[str, Variable] = {}
    for item in source.at("vars").items():
        if not isinstance(item.data, str):
            raise NotImportable("this test's variables are not a mapping", "Write each with its name and its text")
        folder = Path(source.document.path).parent
        for name in named_files(item.data, draft, folder):
            whole = ImportSource(named_document(name, draft))
            if not isinstance(whole.data, dict):
                raise NotImportable(f"`{name}` holds no variables", "Write each with its name and its text")
            variables |= {key: _read_variable(draft, whole.at(key), key) for key in whole.data}
    return variables


def _read_variable(draft: Draft, source: ImportSource, name: str) -> Variable:
    items = source.items()
    is_list = isinstance(source.data, list)
    if fault := _fault_of_list(items, name):
        return Variable(fault=fault)
    try:
        texts = tuple(text for item in items for text in _values_of_variable(draft, item, name))
    except NotImportable as reason:
        return Variable(fault=reason)
    return Variable(texts, is_list or len(texts) > 1, all(map(_is_text, items)))


def _fault_of_list(items: list[ImportSource], name: str) -> NotImportable | None:
    if not items:
        return NotImportable(f"the variable `{name}` is an empty list", "Write a text in it")
    if isinstance(items[0].route[-1], int) and not _is_text(items[0]):
        return NotImportable(
            f"the variable `{name}` is a list that promptfoo fills in as a whole, as its first item is no text",
            "Put its items in quotes for several cases",
        )
    return None


def _is_text(source: ImportSource) -> bool:
    node = source.document.node(source.route)
    return isinstance(node, ScalarNode) and (isinstance(node.value, str) or str(node.written).lower() in WORDS)


def _printed(source: ImportSource) -> str | None:
    """Return a number or truth value as promptfoo fills it in: 1.10 as 1.1, True as true."""
    value = source.data
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value) if isinstance(value, int | float) and "e" not in repr(value) else source.text


def _values_of_variable(draft: Draft, source: ImportSource, name: str) -> list[str]:
    text = source.text if _is_text(source) else _printed(source)
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
