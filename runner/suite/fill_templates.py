"""Fill a case's templates, once for every combination of its variables' values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runner.document import Document, Route
from runner.errors import InvalidFile, Problem, did_you_mean
from runner.suite.errors import BadTemplate

if TYPE_CHECKING:
    from runner.suite.template_language import SafeTemplate

MAX_FILLED_CHARACTERS = 64 << 20
"""Limit on the length of one case's texts, all combinations together."""

EXPECTED = "expected"
"""The variable that keeps a row's reference answer; no text has to use it."""

Texts = Mapping[Route, str]


def is_template(text: str) -> bool:
    """Return whether a text contains template syntax."""
    return any(mark in text for mark in ("{{", "{%", "{#"))


def refuse_template(text: str, what: str, document: Document, route: Route) -> Iterator[Problem]:
    """Yield a problem if a text that applies to all cases is a template."""
    if is_template(text):
        hint = "Write it without `{{`, `{%` and `{#`, or in the cases"
        yield document.problem(route, f"this {what} is for all cases and no template", hint)


def as_literal(text: str) -> str:
    """Return a template whose result is exactly this text."""
    return "{% raw %}" + text + "{% endraw %}" if is_template(text) else text


def fill(
    texts: Texts, variables: Mapping[str, Route], combinations: Sequence[Mapping[str, str]], document: Document
) -> list[Texts]:
    """Return the filled texts for each combination of values.

    Args:
        texts: templates and plain texts by their places in the document.
        variables: the name of each variable -> the place where its values are given.
        combinations: the values by name, for each combination.
        document: the file that problems are reported in.

    Raises:
        InvalidFile: a template is broken, a variable is missing or unused, or the result is too long.

    """
    templates, problems = _read_templates(texts, document)
    for route, template in templates.items():
        problems += _undefined(template, variables, route, document)
    if problems := problems or list(_unused(templates, variables, document)):
        raise InvalidFile(problems)
    return _fill_all(texts, templates, combinations, document)


def _read_templates(texts: Texts, document: Document) -> tuple[dict[Route, "SafeTemplate"], list[Problem]]:
    unread = {route: text for route, text in texts.items() if is_template(text)}
    if not unread:
        return {}, []
    from runner.suite.template_language import read_template  # noqa: PLC0415 - few suites need jinja2

    templates, problems = {}, []
    for route, text in unread.items():
        try:
            templates[route] = read_template(text)
        except BadTemplate as error:
            problems.append(document.problem(route, error.what, error.hint))
    return templates, problems


def _undefined(
    template: "SafeTemplate", variables: Mapping[str, Route], route: Route, document: Document
) -> Iterator[Problem]:
    for name in template.names:
        if name not in variables:
            hint = did_you_mean(name, list(variables), f"Add `{name}` to the case's `vars`")
            yield document.problem(route, f"the template uses `{name}`, which has no value", hint)


def _unused(
    templates: Mapping[Route, "SafeTemplate"], variables: Mapping[str, Route], document: Document
) -> Iterator[Problem]:
    used = {name for template in templates.values() for name in template.names}
    for name, route in variables.items():
        if not name.isidentifier():
            hint = "Use letters, digits and underscores"
            yield document.problem(route, f"`{name}` cannot be the name of a variable", hint, of_key=True)
        elif name not in used and name != EXPECTED:
            hint = f"Write `{{{{{name}}}}}` where it belongs, or remove it"
            yield document.problem(route, f"the variable `{name}` is used nowhere", hint, of_key=True)


def _fill_all(
    texts: Texts,
    templates: Mapping[Route, "SafeTemplate"],
    combinations: Sequence[Mapping[str, str]],
    document: Document,
) -> list[Texts]:
    filled: list[Texts] = []
    size = 0
    for values in combinations:
        filled.append({route: _fill_one(route, text, templates, values, document) for route, text in texts.items()})
        size += sum(map(len, filled[-1].values()))
        if size > MAX_FILLED_CHARACTERS:
            what = f"the matrix makes more than {MAX_FILLED_CHARACTERS >> 20} million characters of this case"
            raise InvalidFile([document.problem(next(iter(texts)), what, "Make it smaller")])
    return filled


def _fill_one(
    route: Route, text: str, templates: Mapping[Route, "SafeTemplate"], values: Mapping[str, str], document: Document
) -> str:
    if route not in templates:
        return text
    try:
        return templates[route].fill(values)
    except BadTemplate as error:
        raise InvalidFile([document.problem(route, error.what, error.hint)]) from None
