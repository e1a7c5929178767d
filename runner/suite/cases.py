"""Expand the cases of a suite file: fill their templates, multiply their matrices and size their inputs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import product
from math import prod
from pathlib import Path

from runner.core.sized_input import SizedInput
from runner.core.suite import Case, Message
from runner.core.think_time import ThinkTime, parse_think_time
from runner.core.turns_and_steps import results_prompt
from runner.document import Document, Route
from runner.errors import InvalidFile, Problem
from runner.suite.errors import UnusableFile
from runner.suite.expectations import check_texts, expectations_of, function_problems
from runner.suite.fill_templates import EXPECTED, Texts, fill
from runner.suite.messages import Content, ContentReader, content_texts, last_results, message_faults, request_messages
from runner.suite.read_named_file import read_named_text
from runner.suite.schema import WAYS_TO_ASK, CaseSchema, DefaultsSchema
from runner.suite.schema_parts import DEFAULT_STEPS, OVERRIDES, Prompt, plain_value, tools_of
from runner.suite.suite_files import SuiteFiles

MAX_COMBINATIONS = 10_000
MAX_SUFFIX = 80

AXIS = "input.tokens"
"""Name of the list of sizes among a case's lists of values; no variable can have this name."""

MAX_TOKENS = 10_000_000
BUILT_IN_NAME = "Alice's Adventures in Wonderland"
_BUILT_IN = "filler_text.txt"
_SIZE = re.compile(r"([0-9]{1,3}(?:[_,]?[0-9]{3})*|[0-9]+)(k|M|)")
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}


@dataclass(frozen=True, slots=True)
class CaseLocation:
    """The place of a case: its document, the route to it, and the files that it names."""

    document: Document
    route: Route
    files: SuiteFiles
    in_suite: bool
    """False for a row of a case file, whose texts are templates only if the case has variables."""

    @property
    def folder(self) -> Path:
        """The folder of the files that the case names."""
        return self.files.folder

    def problem(self, route: Route, what: str, hint: str) -> Problem:
        """Return a problem at a place within the case."""
        return self.document.problem((*self.route, *route), what, hint)


def expand_case(case: CaseSchema, location: CaseLocation, line: int, defaults: DefaultsSchema) -> list[Case]:
    """Return the cases that one case of a file stands for, one for each combination of its matrix.

    `line` is the line of the suite file that names the case.

    Raises:
        InvalidFile: the case has problems; the error lists all of them.

    """
    case, results = _read_files(case, location, defaults)
    matrix = {**(case.matrix or {}), **sizes_axis(case)}
    chosen = [(case.id + suffix, {**(case.vars or {}), **values}) for suffix, values in combinations(matrix)]
    sizes = [values.pop(AXIS, None) for _, values in chosen]
    filled = _fill_texts(case, location, [values for _, values in chosen])
    _refuse_blank(filled, location)
    steps = (case.max_steps or defaults.max_steps or DEFAULT_STEPS) if results else 1
    reader = ContentReader(location.document, location.files.attachments)
    cases = [
        replace(
            _case(case, texts, _read_contents(case, location.route, reader, texts), defaults),
            id=id_,
            line=line,
            input=sized,
            tool_results={**results, **_filled_results(texts)},
            max_steps=steps,
        )
        for (id_, _), texts, sized in zip(chosen, filled, _inputs(case, location, sizes, filled), strict=True)
    ]
    if reader.problems:
        raise InvalidFile(list(dict.fromkeys(reader.problems)))
    return cases


def _read_files(
    case: CaseSchema, location: CaseLocation, defaults: DefaultsSchema
) -> tuple[CaseSchema, Mapping[str, str]]:
    """Return a case with the contents of its files, and its tool results; raise InvalidFile if it has problems."""
    case, in_files = location.files.fill_in(case, location.document, location.route)
    results, of_results = _tool_results(case, location, defaults)
    problems = [
        *_shape_problems(case, location),
        *function_problems(case.checks, location.document, location.route, location.folder),
        *in_files,
        *of_results,
    ]
    if problems:
        raise InvalidFile(problems)
    return case, results


def _inputs(
    case: CaseSchema, location: CaseLocation, sizes: Sequence[str | None], filled: Sequence[Texts]
) -> list[SizedInput | None]:
    """Return the text before the first prompt of each combination; None for each if the case has none."""
    if case.input is None:
        return [None] * len(filled)
    route = (*location.route, "input", "tokens")
    try:
        text = read_input_text(case, location.folder)
        written = [size or texts[route] for size, texts in zip(sizes, filled, strict=True)]
        return [SizedInput.of(parse_tokens(size), *text) for size in written]
    except UnusableFile as error:
        raise InvalidFile([location.problem(("input", "text"), error.what, error.hint)]) from None
    except ValueError as error:
        raise InvalidFile([location.problem(("input", "tokens"), str(error), "Write 10000 or 10k")]) from None


def combinations(matrix: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
    """Return each combination's suffix for the case's id, such as `-paris-2`, and its values by name.

    Suffixes consist of the values' words, or of their numbers where the words are long or not unique.
    """
    values = [dict(zip(matrix, chosen, strict=True)) for chosen in product(*matrix.values())]
    suffixes = _join_labels([[_label(value) for value in column] for column in matrix.values()])
    if matrix and (
        len(set(suffixes)) < len(suffixes) or not all(2 <= len(suffix) <= MAX_SUFFIX for suffix in suffixes)
    ):
        suffixes = _join_labels([[str(number) for number in range(1, len(column) + 1)] for column in matrix.values()])
    return list(zip(suffixes, values, strict=True))


def _join_labels(columns: Sequence[Sequence[str]]) -> list[str]:
    return ["".join(f"-{label}" for label in chosen) for chosen in product(*columns)]


def _label(value: str) -> str:
    return re.sub(r"[^\w.]+", "-", value).strip("-")


def _shape_problems(case: CaseSchema, location: CaseLocation) -> Iterator[Problem]:
    ways = [way for way in WAYS_TO_ASK if getattr(case, way) is not None]
    if not ways and case.input is None:
        yield location.problem((), f"the case `{case.id}` asks nothing", f"Give it one of {', '.join(WAYS_TO_ASK)}")
    for way in ways[1:]:
        hint = "Keep one of them; split the case if both are to be asked"
        yield location.problem((way,), f"the case `{case.id}` has `{ways[0]}` and `{way}`", hint)
    if case.messages:
        yield from _conversation_problems(case, location)
    if case.think_time is not None and len(case.turns or ()) < 2:
        what = f"the case `{case.id}` has a think time and no second turn to wait for"
        yield location.problem(("think_time",), what, "Write `turns`, or remove it")
    for name in (case.vars or {}).keys() & (case.matrix or {}).keys():
        yield location.problem(("matrix", name), f"`{name}` is in `vars` too", "Keep one of them")
    count = prod(map(len, {**(case.matrix or {}), **sizes_axis(case)}.values()))
    if count > MAX_COMBINATIONS:
        what = f"the matrix makes {count} cases of one, more than {MAX_COMBINATIONS}"
        yield location.problem(("matrix",), what, "Make it smaller")


def _conversation_problems(case: CaseSchema, location: CaseLocation) -> Iterator[Problem]:
    messages = case.messages or ()
    for at, fault in message_faults(messages):
        yield location.problem(("messages", at), fault.what, fault.hint)
    if messages[0].role == "system" and case.system is not None:
        what = "the case has a `system` beside this system message"
        yield location.problem(("messages", 0), what, "Keep one of them")


def _fill_texts(case: CaseSchema, location: CaseLocation, values: list[Mapping[str, str]]) -> list[Texts]:
    """Return the texts for each combination of values; without variables, a file's text is not a template."""
    texts = {(*location.route, *route): text for route, text in _texts_of(case, location)}
    variables = {name: (*location.route, "vars", name) for name in case.vars or {}}
    variables |= {name: (*location.route, "matrix", name) for name in case.matrix or {}}
    from_file = {(*location.route, "prompt_file")} if location.in_suite else set(texts)
    if variables.keys() == {EXPECTED}:  # it is for the checks
        from_file = {route for route in from_file if "checks" not in route}
    is_verbatim = variables.keys() <= {EXPECTED}
    verbatim = {route: text for route, text in texts.items() if route in from_file} if is_verbatim else {}
    templates = {route: text for route, text in texts.items() if route not in verbatim}
    return [{**verbatim, **filled} for filled in fill(templates, variables, values, location.document)]


def _texts_of(case: CaseSchema, location: CaseLocation) -> Iterator[tuple[Route, str]]:
    for route, content in _contents_of(case):
        yield from content_texts(route, content)
    if case.prompt_file is not None:
        yield ("prompt_file",), _read_prompt_file(case.prompt_file, location)
    if case.system is not None:
        yield ("system",), case.system
    for name, result in (case.tool_results or {}).items():
        if isinstance(result, str):
            yield ("tool_results", name), result
    yield from size_text(case)
    yield from check_texts(case.checks)


def _contents_of(case: CaseSchema) -> Iterator[tuple[Route, Prompt]]:
    """Yield the content of each message as it is written, with the route to it."""
    if case.prompt is not None:
        yield ("prompt",), case.prompt
    for index, turn in enumerate(case.turns or ()):
        yield ("turns", index), turn
    for index, message in enumerate(case.messages or ()):
        if message.content:
            yield ("messages", index, "content"), message.content


def _read_contents(case: CaseSchema, route: Route, reader: ContentReader, texts: Texts) -> dict[Route, Content]:
    """Return the content of each message, with templates filled, by the route to it."""
    contents = {at: reader.read((*route, *at), content, texts) for at, content in _contents_of(case)}
    reader.check_size(route, contents.values())
    if case.prompt_file is not None:
        contents["prompt_file",] = texts[*route, "prompt_file"], ()
    return contents


def _read_prompt_file(name: str, location: CaseLocation) -> str:
    try:
        return location.files.text(name)
    except UnusableFile as error:
        raise InvalidFile([location.problem(("prompt_file",), error.what, error.hint)]) from None


def _refuse_blank(filled: list[Texts], location: CaseLocation) -> None:
    blank = dict.fromkeys(route for texts in filled for route, text in texts.items() if not text.strip())
    if blank:
        raise InvalidFile(
            [location.document.problem(route, f"{_name(route)} is empty", "Write some text") for route in blank]
        )


def _name(route: Route) -> str:
    last = route[-1]
    of = next(step for step in reversed(route) if isinstance(step, str))
    return f"`{last}`" if isinstance(last, str) else f"item {last + 1} of `{of}`"


def _case(case: CaseSchema, texts: Texts, contents: Mapping[Route, Content], defaults: DefaultsSchema) -> Case:
    of_checks = {route: text for route, text in texts.items() if "checks" in route}
    system = next((text for route, text in texts.items() if route[-1] == "system" and route not in of_checks), None)
    history: tuple[Message, ...] = ()
    asks_with_results = False
    asked: list[Content] = list(contents.values())
    if case.messages is not None:
        by_index = {int(at[1]): content for at, content in contents.items()}
        history = request_messages(case.messages, by_index)
        asks_with_results = history[-1].role == "tool"
        asked = [(results_prompt(last_results(history)), ()) if asks_with_results else by_index[len(history) - 1]]
        history = history if asks_with_results else history[:-1]
    if history and history[0].role == "system":
        system, history = history[0].content, history[1:]
    parts = tuple(parts for _, parts in asked)
    return Case(
        id=case.id,
        turns=tuple(text for text, _ in asked) or ("",),
        history=history,
        system=system,
        tags=case.tags,
        expectations=expectations_of(case, defaults, of_checks),
        think_time=_think_time(case, defaults),
        overrides=_overrides(case),
        asks_with_results=asks_with_results,
        parts=parts if any(parts) else (),
    )


def _think_time(case: CaseSchema, defaults: DefaultsSchema) -> ThinkTime | None:
    """Return a case's own think time, else that of the defaults; None for a case of one turn."""
    text = case.think_time if "think_time" in case.model_fields_set else defaults.think_time
    return None if text is None or len(case.turns or ()) < 2 else parse_think_time(text)


def _overrides(case: CaseSchema) -> dict[str, object]:
    """Return the parameters that a case sets itself."""
    names = set(OVERRIDES) & case.model_fields_set
    overrides = {name: getattr(case, name) for name in sorted(names)}
    if "tools" in overrides:
        overrides["tools"] = tools_of(case.tools)
        if not overrides["tools"]:  # no choice without tools
            overrides.setdefault("tool_choice", None)
    return overrides


def _tool_results(
    case: CaseSchema, location: CaseLocation, defaults: DefaultsSchema
) -> tuple[dict[str, str], list[Problem]]:
    """Return a case's tool results, or those of the defaults, and the problems with their files.

    A case with its own tools has only the default results of these tools.
    """
    results: dict[str, str] = {}
    problems: list[Problem] = []
    own = "tool_results" in case.model_fields_set
    offered = {tool.name for tool in tools_of(case.tools)} if "tools" in case.model_fields_set else None
    for name, written in ((case if own else defaults).tool_results or {}).items():
        if not own and offered is not None and name not in offered:
            continue
        try:
            results[name] = location.files.result(plain_value(written))
        except UnusableFile as error:
            route = ("tool_results", name) if own else ()
            problems.append(location.problem(route, error.what, error.hint))
    return results, problems


def _filled_results(texts: Texts) -> dict[str, str]:
    return {str(route[-1]): text for route, text in texts.items() if "tool_results" in route}


# The `input` of a case: a text that is cut to a number of tokens, or to each of several numbers


def parse_tokens(text: str) -> int:
    """Parse a number of tokens, such as `10000`, `10_000` or `10k`.

    Raises:
        ValueError: the text is not a number of tokens, or the number is out of range.

    """
    found = _SIZE.fullmatch(text.strip())
    tokens = int(re.sub("[_,]", "", found[1])) * _UNITS[found[2]] if found else 0
    if not 1 <= tokens <= MAX_TOKENS:
        raise ValueError(f"`{text[:40]}` is no number of tokens from 1 to {MAX_TOKENS:,}")
    return tokens


def sizes_axis(case: CaseSchema) -> Mapping[str, tuple[str, ...]]:
    """Return the list of sizes of a case's input as an axis of its matrix; empty if it has one size or no input."""
    tokens = case.input.tokens if case.input else None
    return {AXIS: tokens} if isinstance(tokens, tuple) else {}


def size_text(case: CaseSchema) -> Iterator[tuple[Route, str]]:
    """Yield the text of a single size, which may be a template."""
    if case.input is not None and isinstance(case.input.tokens, str):
        yield ("input", "tokens"), case.input.tokens


def read_input_text(case: CaseSchema, folder: Path) -> tuple[str, str]:
    """Return the text of a case's input and its name in results.

    Raises:
        UnusableFile: its file cannot be used.

    """
    assert case.input is not None
    if case.input.text is None:
        return files("runner.suite").joinpath(_BUILT_IN).read_text(encoding="utf-8"), BUILT_IN_NAME
    text = read_named_text(folder, case.input.text)
    if not text.strip():
        raise UnusableFile(f"`{case.input.text}` is empty", "Name a file with some text")
    return text, case.input.text
