"""A promptfooconfig.yaml as a whole: every test asked with every prompt."""

from collections.abc import Iterator
from pathlib import Path

from runner.document import Document, Json
from runner.errors import InvalidFile
from runner.suite.conversation import NotTaken
from runner.suite.expectations import TEMPLATES
from runner.suite.imports.draft import Draft, ImportSource
from runner.suite.imports.promptfoo.assertions import Checks
from runner.suite.imports.promptfoo.prompts import Prompt, read_prompts
from runner.suite.imports.promptfoo.targets import read_targets
from runner.suite.imports.promptfoo.tests import Test, Values, find_tests, read_test
from runner.suite.imports.settings import not_a_parameter
from runner.suite.texts import is_template

TAKEN = frozenset({"description", "prompts", "providers", "targets", "tests", "defaultTest", "evaluateOptions"})
MARKS = frozenset({"prompts", "providers", "tests", "scenarios", "defaultTest", "redteam"})
"""Keys that tell a configuration of promptfoo from a suite."""


def draft_of_config(document: Document, folder: Path) -> Draft:
    """Read a configuration; raise `InvalidFile` where it is none."""
    config, draft = ImportSource(document), Draft(folder)
    if document.problems:
        raise InvalidFile(document.problems)
    if not isinstance(document.data, dict):
        raise InvalidFile([document.problem((), "this is no configuration", "Name a promptfooconfig.yaml")])
    draft.leave_keys(config, document.data, TAKEN, "Leave it out, or keep promptfoo for it")
    _read_head(draft, config, document.data)
    prompts, default = read_prompts(draft, config), _read_default(draft, config)
    for number, source in enumerate(find_tests(draft, config), 1):
        try:
            test = read_test(draft, source, default)
        except NotTaken as fault:
            draft.leave(source, fault)
            continue
        for prompt in prompts:
            words = [test.name or f"test-{number}", *([prompt.name] if len(prompts) > 1 else [])]
            draft.add(_case(prompt, test), "-".join(words), _place(source, prompt))
    return draft


def _place(source: ImportSource, prompt: Prompt) -> ImportSource:
    """Return where a case is written: at its test, or where there is none at its prompt."""
    return source if source.data else prompt.source


def _read_head(draft: Draft, config: ImportSource, data: dict[str, Json]) -> None:
    if isinstance(data.get("description"), str) and data["description"]:
        draft.head["description"] = data["description"]
    targets = read_targets(draft, config)
    if targets:
        draft.head["targets"] = targets
    options = data.get("evaluateOptions")
    if isinstance(options, dict):
        draft.leave_keys(config.at("evaluateOptions"), options, ("repeat",), "See the options of `compare run`")
        fault = not_a_parameter("repeat", options.get("repeat", 1))
        if fault is not None:
            draft.leave(config.at("evaluateOptions", "repeat"), fault)
        elif "repeat" in options:
            draft.head["defaults"] = {"repeat": options["repeat"]}


def _read_default(draft: Draft, config: ImportSource) -> Test:
    data = config.data
    if not isinstance(data, dict) or data.get("defaultTest") is None:
        return Test()
    source = config.at("defaultTest")
    try:
        return read_test(draft, source, Test())
    except NotTaken as fault:
        # Every test would be another one without it.
        raise InvalidFile([source.problem(fault.what, fault.hint)]) from None


def _case(prompt: Prompt, test: Test) -> dict[str, Json]:
    """Return a test asked with a prompt, with those of its variables that are used."""
    checks: Checks = {name: _short(wanted) for name, wanted in test.checks.items()}
    used = {name for text in _templates(prompt.asks, checks) for name in _names_in(text)}
    lists: dict[str, Json] = {name: [*value] for name, value in _used(test, used) if isinstance(value, list)}
    single: dict[str, Json] = {name: value for name, value in _used(test, used) if isinstance(value, str)}
    parts: dict[str, Json] = {"vars": single, "matrix": lists, "checks": checks}
    return prompt.asks | {key: part for key, part in parts.items() if part}


def _used(test: Test, names: set[str]) -> Iterator[tuple[str, Values]]:
    return ((name, value) for name, value in test.values.items() if name in names)


def _short(wanted: Json) -> Json:
    return wanted[0] if isinstance(wanted, list) and len(wanted) == 1 else wanted


def _templates(asks: Json, checks: Checks) -> Iterator[str]:
    demanded = [checks[name] for name in TEMPLATES if name in checks]
    yield from filter(is_template, _texts_in([asks, *demanded]))


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
        return ()  # said when the case is tried
