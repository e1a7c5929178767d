"""Import a whole promptfooconfig.yaml: a case for every test with every prompt."""

from collections.abc import Iterator
from pathlib import Path

from runner.document import Document, Json
from runner.errors import InvalidFile
from runner.suite.expectations import TEMPLATES
from runner.suite.fill_templates import is_template
from runner.suite.imports.draft import Draft, ImportSource
from runner.suite.imports.parameters import parameter_fault
from runner.suite.imports.promptfoo.assertions import Checks
from runner.suite.imports.promptfoo.prompts import Prompt, read_prompts
from runner.suite.imports.promptfoo.references import resolve_references
from runner.suite.imports.promptfoo.targets import read_targets
from runner.suite.imports.promptfoo.tests import Test, find_tests, read_default_test, read_test
from runner.suite.openai_messages import NotImportable

KNOWN_KEYS = frozenset({"description", "prompts", "providers", "targets", "tests", "defaultTest", "evaluateOptions"})
TYPICAL_KEYS = frozenset({"prompts", "providers", "tests", "scenarios", "defaultTest", "redteam"})
"""Keys by which a promptfoo configuration is recognised."""


def draft_of_config(document: Document, folder: Path) -> Draft:
    """Return the draft of a configuration.

    Raises:
        InvalidFile: the document is no configuration.

    """
    if document.problems:
        raise InvalidFile(document.problems)
    document, referenced = resolve_references(document)
    config, draft = ImportSource(document), Draft(folder)
    if not isinstance(document.data, dict):
        raise InvalidFile([document.problem((), "this is not a configuration", "Name a promptfooconfig.yaml")])
    draft.skip_keys(config, document.data, KNOWN_KEYS | referenced, "Leave it out, or keep promptfoo for it")
    _read_head(draft, config, document.data)
    prompts, default = read_prompts(draft, config), _read_default_test(draft, config)
    for number, source in enumerate(find_tests(draft, config), 1):
        try:
            test = read_test(draft, source, default)
        except NotImportable as reason:
            draft.skip(source, reason)
            continue
        for prompt in prompts:
            words = [test.name or f"test-{number}", *([prompt.name] if len(prompts) > 1 else [])]
            draft.add(_case(prompt, test), "-".join(words), _place(source, prompt))
    return draft


def _place(source: ImportSource, prompt: Prompt) -> ImportSource:
    """Return the place of a case: its test, or its prompt where there is no test."""
    return source if source.data else prompt.source


def _read_head(draft: Draft, config: ImportSource, data: dict[str, Json]) -> None:
    if isinstance(data.get("description"), str) and data["description"]:
        draft.head["description"] = data["description"]
    targets, rows = read_targets(draft, config)
    if targets:
        draft.head["targets"] = [*targets]
    if rows:
        draft.head["providers"] = {**rows}
    options = data.get("evaluateOptions")
    if isinstance(options, dict):
        draft.skip_keys(config.at("evaluateOptions"), options, ("repeat",), "See the options of `compare run`")
        fault = parameter_fault("repeat", options.get("repeat", 1))
        if fault is not None:
            draft.skip(config.at("evaluateOptions", "repeat"), fault)
        elif "repeat" in options:
            draft.head["defaults"] = {"repeat": options["repeat"]}


def _read_default_test(draft: Draft, config: ImportSource) -> Test:
    data = config.data
    if not isinstance(data, dict) or data.get("defaultTest") is None:
        return Test()
    source = config.at("defaultTest")
    try:
        return read_default_test(draft, source)
    except NotImportable as error:
        # Without it, every test would mean something else.
        raise InvalidFile([source.problem(error.what, error.hint)]) from None


def _case(prompt: Prompt, test: Test) -> dict[str, Json]:
    """Return the case of a prompt and a test, with those of the test's variables that are used."""
    checks: Checks = {name: _without_list(wanted) for name, wanted in test.checks.items()}
    used = {name for text in _templates_in(prompt.keys, checks) for name in _names_in(text)}
    values = {name: value for name, value in test.values.items() if name in used}
    lists: dict[str, Json] = {name: [*value] for name, value in values.items() if isinstance(value, list)}
    single: dict[str, Json] = {name: value for name, value in values.items() if isinstance(value, str)}
    parts: dict[str, Json] = {"vars": single, "matrix": lists, "checks": checks}
    return prompt.keys | {key: part for key, part in parts.items() if part}


def _without_list(wanted: Json) -> Json:
    return wanted[0] if isinstance(wanted, list) and len(wanted) == 1 else wanted


def _templates_in(keys: Json, checks: Checks) -> Iterator[str]:
    wanted = [checks[name] for name in TEMPLATES if name in checks]
    yield from filter(is_template, _texts_in([keys, *wanted]))


def _texts_in(data: Json) -> Iterator[str]:
    match data:
        case str():
            yield data
        case list():
            for item in data:
                yield from _texts_in(item)
        case dict():
            yield from _texts_in([*data.values()])


def _names_in(text: str) -> tuple[str, ...]:
    from runner.suite.templating import BadTemplate, read_template  # noqa: PLC0415 -- brings jinja2

    try:
        return read_template(text).names
    except BadTemplate:
        return ()  # reported when the case is added
