"""Expand the cases of a suite file: fill their templates and multiply their matrices."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

from runner.core.suite import Case, Message
from runner.core.think_time import ThinkTime, parse_think_time
from runner.document import Document, Route
from runner.errors import InvalidFile, Problem
from runner.suite.case_files import UnusableFile, read_named_text
from runner.suite.expectations import check_texts, expectations_of, function_problems
from runner.suite.fill_templates import EXPECTED, Texts, fill
from runner.suite.schema import WAYS_TO_ASK, CaseSchema, DefaultsSchema

MAX_COMBINATIONS = 10_000
MAX_SUFFIX = 80


@dataclass(frozen=True, slots=True)
class CaseLocation:
    """The place of a case: its document, the route to it, and the folder of the files that it names."""

    document: Document
    route: Route
    folder: Path
    in_suite: bool
    """False for a row of a case file, whose texts are templates only if the case has variables."""

    def problem(self, route: Route, what: str, hint: str) -> Problem:
        """Return a problem at a place within the case."""
        return self.document.problem((*self.route, *route), what, hint)


def expand_case(case: CaseSchema, location: CaseLocation, line: int, defaults: DefaultsSchema) -> list[Case]:
    """Return the cases that one case of a file stands for, one for each combination of its matrix.

    `line` is the line of the suite file that names the case.

    Raises:
        InvalidFile: the case has problems; the error lists all of them.

    """
    problems = [
        *_shape_problems(case, location),
        *function_problems(case.checks, location.document, location.route, location.folder),
    ]
    if problems:
        raise InvalidFile(problems)
    chosen = [(case.id + suffix, {**(case.vars or {}), **values}) for suffix, values in combinations(case.matrix or {})]
    filled = _fill_texts(case, location, [values for _, values in chosen])
    _refuse_blank(filled, location)
    return [_case(case, id_, texts, line, defaults) for (id_, _), texts in zip(chosen, filled, strict=True)]


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
    if not ways:
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
    count = prod(map(len, (case.matrix or {}).values()))
    if count > MAX_COMBINATIONS:
        what = f"the matrix makes {count} cases of one, more than {MAX_COMBINATIONS}"
        yield location.problem(("matrix",), what, "Make it smaller")


def _conversation_problems(case: CaseSchema, location: CaseLocation) -> Iterator[Problem]:
    messages = case.messages or ()
    last = len(messages) - 1
    if messages[last].role != "user":
        what = f"the last message is the {messages[last].role}'s, so there is nothing to answer"
        yield location.problem(("messages", last), what, "End with a message of the user")
    if messages[0].role == "system" and case.system is not None:
        what = "the case has a `system` beside this system message"
        yield location.problem(("messages", 0), what, "Keep one of them")


def _fill_texts(case: CaseSchema, location: CaseLocation, values: list[Mapping[str, str]]) -> list[Texts]:
    """Return the texts for each combination of values; a file's text is no template if the case has no variables."""
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
    if case.prompt is not None:
        yield ("prompt",), case.prompt
    for index, turn in enumerate(case.turns or ()):
        yield ("turns", index), turn
    for index, message in enumerate(case.messages or ()):
        yield ("messages", index, "content"), message.content
    if case.prompt_file is not None:
        yield ("prompt_file",), _read_prompt_file(case.prompt_file, location)
    if case.system is not None:
        yield ("system",), case.system
    yield from check_texts(case.checks)


def _read_prompt_file(name: str, location: CaseLocation) -> str:
    """Return a prompt file's text without the line end that editors put last."""
    try:
        return read_named_text(location.folder, name).removesuffix("\n").removesuffix("\r")
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
    return f"`{last}`" if isinstance(last, str) else f"item {last + 1} of `{route[-2]}`"


def _case(case: CaseSchema, id_: str, texts: Texts, line: int, defaults: DefaultsSchema) -> Case:
    of_checks = {route: text for route, text in texts.items() if "checks" in route}
    sent = {route: text for route, text in texts.items() if route not in of_checks}
    turns = [text for route, text in sent.items() if route[-1] != "system"]
    system = next((text for route, text in sent.items() if route[-1] == "system"), None)
    history: tuple[Message, ...] = ()
    if case.messages is not None:
        history = tuple(Message(message.role, text) for message, text in zip(case.messages, turns, strict=True))[:-1]
        turns = turns[-1:]
    if history and history[0].role == "system":
        system, history = history[0].content, history[1:]
    return Case(
        id=id_,
        turns=tuple(turns),
        history=history,
        system=system,
        tags=case.tags,
        line=line,
        expectations=expectations_of(case, defaults, of_checks),
        think_time=_think_time(case, defaults),
    )


def _think_time(case: CaseSchema, defaults: DefaultsSchema) -> ThinkTime | None:
    """Return a case's own think time, else that of the defaults, of a case that has several turns."""
    text = case.think_time if "think_time" in case.model_fields_set else defaults.think_time
    return None if text is None or len(case.turns or ()) < 2 else parse_think_time(text)
