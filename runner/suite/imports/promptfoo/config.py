"""Import a whole promptfooconfig.yaml: a case for every test with every prompt."""

from collections.abc import Iterator
from pathlib import Path

from runner.document import Document, Json
from runner.errors import InvalidFile
from runner.suite.errors import NotImportable
from runner.suite.imports.draft_suite import Draft, ImportSource, parameter_fault
from runner.suite.imports.promptfoo.cases import case_of
from runner.suite.imports.promptfoo.json_refs import resolve_references
from runner.suite.imports.promptfoo.prompts import Prompt, read_prompts
from runner.suite.imports.promptfoo.targets import read_targets
from runner.suite.imports.promptfoo.tests import Test, find_scenarios, find_tests, read_default_test, read_test

KNOWN_KEYS = frozenset(
    {"description", "prompts", "providers", "targets", "tests", "scenarios", "defaultTest", "evaluateOptions"}
)
TYPICAL_KEYS = frozenset({"prompts", "providers", "tests", "scenarios", "defaultTest", "redteam"})
"""Keys by which a promptfoo configuration is recognised."""


def draft_of_config(document: Document, folder: Path) -> Draft:
    """Return the draft of a configuration.

    Raises:
        InvalidFile: the document is not a configuration.

    """
    document, referenced = resolve_references(document.require_valid())
    config, draft = ImportSource(document), Draft(folder)
    if not isinstance(document.data, dict):
        raise InvalidFile([document.problem((), "this is not a configuration", "Name a promptfooconfig.yaml")])
    draft.skip_keys(config, KNOWN_KEYS | referenced, "Leave it out, or keep promptfoo for it")
    _read_head(draft, config, document.data)
    prompts, default = read_prompts(draft, config), _read_default_test(draft, config)
    for number, (source, base) in enumerate(_tests(draft, config, default), 1):
        with draft.skipping(source):
            test = read_test(draft, source, base)
            for prompt in _prompts_for(test, prompts, draft, source):
                words = [test.name or f"test-{number}", *([prompt.name] if len(prompts) > 1 else [])]
                source_of_case = source if source.data else prompt.source  # without a test, it is made of its prompt
                with draft.skipping(source_of_case):
                    draft.add(case_of(prompt, test), "-".join(words), source_of_case)
    return draft


def _tests(draft: Draft, config: ImportSource, default: Test) -> Iterator[tuple[ImportSource, Test]]:
    """Yield each test, merged with its defaults; tests of scenarios are included."""
    for source in find_tests(draft, config):
        yield source, default
    for part, sources in find_scenarios(draft, config):
        with draft.skipping(part):
            base = read_test(draft, part, default)
            yield from ((source, base) for source in sources)


def _prompts_for(test: Test, prompts: list[Prompt], draft: Draft, source: ImportSource) -> list[Prompt]:
    """Return the prompts that a test is for; note names that no prompt has."""
    for name in test.prompts:
        if not any(prompt.is_called(name) for prompt in prompts):
            what = f"no prompt that was taken is called `{name}`"
            draft.skip(source, NotImportable(what, "Correct the label in the test's `prompts`"))
    return [prompt for prompt in prompts if not test.prompts or any(map(prompt.is_called, test.prompts))]


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
        draft.skip_keys(config.at("evaluateOptions"), ("repeat",), "See the options of `compare run`")
        fault = parameter_fault("repeat", options.get("repeat", 1))
        if fault is not None:
            draft.skip(config.at("evaluateOptions", "repeat"), fault)
        elif "repeat" in options:
            draft.head["defaults"] = {"repeat": options["repeat"]}


def _read_default_test(draft: Draft, config: ImportSource) -> Test:
    if config.get("defaultTest") is None:
        return Test()
    source = config.at("defaultTest")
    try:
        return read_default_test(draft, source)
    except NotImportable as error:
        # Without it, every test would have another meaning.
        raise InvalidFile([source.problem(error.what, error.hint)]) from None
