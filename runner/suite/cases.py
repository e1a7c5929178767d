"""Cases as they are written become cases as they are asked: texts filled, matrices multiplied."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.core.suite import Case, Message
from runner.document import Document, Route
from runner.errors import InvalidFile, Problem
from runner.suite.expectations import check_texts, demands_of, function_problems
from runner.suite.files import BadName, read_named_text
from runner.suite.matrix import MAX_COMBINATIONS, combination_count, combinations
from runner.suite.schema import WAYS_TO_ASK, WrittenCase, WrittenDefaults
from runner.suite.texts import Texts, fill


@dataclass(frozen=True, slots=True)
class Site:
    """Where a case is written: its document, the route to it, and the folder its files are in."""

    document: Document
    route: Route
    folder: Path
    in_suite: bool
    """False for a row of a case file, whose texts are templates only if it has variables."""

    def problem(self, route: Route, what: str, hint: str) -> Problem:
        """Return a problem at a place within the case."""
        return self.document.problem((*self.route, *route), what, hint)


def lay_out(case: WrittenCase, site: Site, line: int, defaults: WrittenDefaults) -> list[Case]:
    """Return the cases that a written one stands for; raise `InvalidFile` with all that is wrong with it.

    `line` is where the suite file names the case.
    """
    problems = [
        *_shape_problems(case, site),
        *function_problems(case.checks, site.document, site.route, site.folder),
    ]
    if problems:
        raise InvalidFile(problems)
    matrix = case.matrix or {}
    chosen = [(case.id + suffix, {**(case.vars or {}), **values}) for suffix, values in combinations(matrix)]
    filled = _filled(case, site, [values for _, values in chosen])
    _refuse_blank(filled, site)
    return [_case(case, id_, texts, line, defaults) for (id_, _), texts in zip(chosen, filled, strict=True)]


def _shape_problems(case: WrittenCase, site: Site) -> Iterator[Problem]:
    ways = [way for way in WAYS_TO_ASK if getattr(case, way) is not None]
    if not ways:
        yield site.problem((), f"the case `{case.id}` asks nothing", f"Give it one of {', '.join(WAYS_TO_ASK)}")
    for way in ways[1:]:
        hint = "Keep one of them; split the case if both are to be asked"
        yield site.problem((way,), f"the case `{case.id}` has `{ways[0]}` and `{way}`", hint)
    if case.messages:
        yield from _conversation_problems(case, site)
    for name in (case.vars or {}).keys() & (case.matrix or {}).keys():
        yield site.problem(("matrix", name), f"`{name}` is in `vars` too", "Keep one of them")
    count = combination_count(case.matrix or {})
    if count > MAX_COMBINATIONS:
        what = f"the matrix makes {count} cases of one, more than {MAX_COMBINATIONS}"
        yield site.problem(("matrix",), what, "Make it smaller")


def _conversation_problems(case: WrittenCase, site: Site) -> Iterator[Problem]:
    messages = case.messages or ()
    last = len(messages) - 1
    if messages[last].role != "user":
        what = f"the last message is the {messages[last].role}'s, so there is nothing to answer"
        yield site.problem(("messages", last), what, "End with a message of the user")
    if messages[0].role == "system" and case.system is not None:
        yield site.problem(("messages", 0), "the case has a `system` beside this system message", "Keep one of them")


def _filled(case: WrittenCase, site: Site, values: list[Mapping[str, str]]) -> list[Texts]:
    """Fill what is a template; leave a file's text alone where the case has no variables."""
    texts = {(*site.route, *route): text for route, text in _texts(case, site)}
    variables = {name: (*site.route, "vars", name) for name in case.vars or {}}
    variables |= {name: (*site.route, "matrix", name) for name in case.matrix or {}}
    from_file = {(*site.route, "prompt_file")} if site.in_suite else set(texts)
    verbatim = {} if variables else {route: text for route, text in texts.items() if route in from_file}
    templates = {route: text for route, text in texts.items() if route not in verbatim}
    return [{**verbatim, **filled} for filled in fill(templates, variables, values, site.document)]


def _texts(case: WrittenCase, site: Site) -> Iterator[tuple[Route, str]]:
    if case.prompt is not None:
        yield ("prompt",), case.prompt
    for index, turn in enumerate(case.turns or ()):
        yield ("turns", index), turn
    for index, message in enumerate(case.messages or ()):
        yield ("messages", index, "content"), message.content
    if case.prompt_file is not None:
        yield ("prompt_file",), _file_text(case.prompt_file, site)
    if case.system is not None:
        yield ("system",), case.system
    yield from check_texts(case.checks)


def _file_text(name: str, site: Site) -> str:
    """Return a prompt's file without the line end that editors put last."""
    try:
        return read_named_text(site.folder, name).removesuffix("\n").removesuffix("\r")
    except BadName as error:
        raise InvalidFile([site.problem(("prompt_file",), error.what, error.hint)]) from None


def _refuse_blank(filled: list[Texts], site: Site) -> None:
    blank = dict.fromkeys(route for texts in filled for route, text in texts.items() if not text.strip())
    if blank:
        raise InvalidFile(
            [site.document.problem(route, f"{_name(route)} is empty", "Write some text") for route in blank]
        )


def _name(route: Route) -> str:
    last = route[-1]
    return f"`{last}`" if isinstance(last, str) else f"item {last + 1} of `{route[-2]}`"


def _case(case: WrittenCase, id_: str, texts: Texts, line: int, defaults: WrittenDefaults) -> Case:
    of_checks = {route: text for route, text in texts.items() if "checks" in route}
    asked = {route: text for route, text in texts.items() if route not in of_checks}
    said = [text for route, text in asked.items() if route[-1] != "system"]
    system = next((text for route, text in asked.items() if route[-1] == "system"), None)
    history: tuple[Message, ...] = ()
    if case.messages is not None:
        history = tuple(Message(message.role, text) for message, text in zip(case.messages, said, strict=True))[:-1]
        said = said[-1:]
    if history and history[0].role == "system":
        system, history = history[0].content, history[1:]
    return Case(
        id=id_,
        turns=tuple(said),
        history=history,
        system=system,
        tags=case.tags,
        line=line,
        demands=demands_of(case, defaults, of_checks),
    )
