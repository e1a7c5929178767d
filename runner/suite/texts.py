"""The texts of a case, filled once for every combination of its variables' values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runner.document import Document, Route
from runner.errors import InvalidFile, Problem, did_you_mean

if TYPE_CHECKING:
    from runner.suite.templating import Filler

MAX_CHARACTERS = 64 << 20
"""The most that one case's texts may come to, all combinations together."""

Texts = Mapping[Route, str]


def is_template(text: str) -> bool:
    """Return whether anything in a text is to be filled."""
    return any(mark in text for mark in ("{{", "{%", "{#"))


def fill(
    texts: Texts, variables: Mapping[str, Route], combinations: Sequence[Mapping[str, str]], document: Document
) -> list[Texts]:
    """Return the texts with the values of each combination in place; raise `InvalidFile` with all that hinders it.

    `variables` are the names that have values, each with the place where it is given.
    """
    fillers, problems = _read_templates(texts, document)
    for route, filler in fillers.items():
        problems += _undefined(filler, variables, route, document)
    if problems := problems or list(_unused(fillers, variables, document)):
        raise InvalidFile(problems)
    return _fill_all(texts, fillers, combinations, document)


def _read_templates(texts: Texts, document: Document) -> tuple[dict[Route, "Filler"], list[Problem]]:
    templates = {route: text for route, text in texts.items() if is_template(text)}
    if not templates:
        return {}, []
    from runner.suite.templating import BadTemplate, read_template  # noqa: PLC0415 - few suites need jinja2

    fillers, problems = {}, []
    for route, text in templates.items():
        try:
            fillers[route] = read_template(text)
        except BadTemplate as error:
            problems.append(document.problem(route, error.what, error.hint))
    return fillers, problems


def _undefined(filler: "Filler", variables: Mapping[str, Route], route: Route, document: Document) -> Iterator[Problem]:
    for name in filler.names:
        if name not in variables:
            near = did_you_mean(name, list(variables))
            hint = f"Perhaps `{near}` was meant" if near else f"Add `{name}` to the case's `vars`"
            yield document.problem(route, f"the template uses `{name}`, which has no value", hint)


def _unused(fillers: Mapping[Route, "Filler"], variables: Mapping[str, Route], document: Document) -> Iterator[Problem]:
    used = {name for filler in fillers.values() for name in filler.names}
    for name, route in variables.items():
        if not name.isidentifier():
            hint = "Use letters, digits and underscores"
            yield document.problem(route, f"`{name}` cannot be the name of a variable", hint, of_key=True)
        elif name not in used:
            hint = f"Write `{{{{{name}}}}}` where it belongs, or remove it"
            yield document.problem(route, f"the variable `{name}` is used nowhere", hint, of_key=True)


def _fill_all(
    texts: Texts, fillers: Mapping[Route, "Filler"], combinations: Sequence[Mapping[str, str]], document: Document
) -> list[Texts]:
    filled: list[Texts] = []
    size = 0
    for values in combinations:
        filled.append({route: _fill_one(route, text, fillers, values, document) for route, text in texts.items()})
        size += sum(map(len, filled[-1].values()))
        if size > MAX_CHARACTERS:
            what = f"the matrix makes more than {MAX_CHARACTERS >> 20} million characters of this case"
            raise InvalidFile([document.problem(next(iter(texts)), what, "Make it smaller")])
    return filled


def _fill_one(
    route: Route, text: str, fillers: Mapping[Route, "Filler"], values: Mapping[str, str], document: Document
) -> str:
    if route not in fillers:
        return text
    from runner.suite.templating import BadTemplate  # noqa: PLC0415 - loaded already where there are fillers

    try:
        return fillers[route].fill(values)
    except BadTemplate as error:
        raise InvalidFile([document.problem(route, error.what, error.hint)]) from None
