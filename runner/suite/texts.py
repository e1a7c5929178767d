"""The texts of one case, filled: templates find their variables, variables find their use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.document import Document, Route
from runner.errors import InvalidFile, Problem, did_you_mean

MARKS = ("{{", "{%", "{#")
"""What makes a text a template."""

Texts = Mapping[Route, str]


@dataclass(frozen=True, slots=True)
class Variables:
    """The names that templates may use, each with the place it is given at."""

    places: Mapping[str, Route]

    def undefined(self, name: str) -> tuple[str, str]:
        """Return what is wrong about a name that is not among them, and what to do."""
        near = did_you_mean(name, list(self.places))
        remedy = f"Perhaps `{near}` was meant" if near else f"Add it to the case's `vars`: `{name}: ...`"
        return f"the template uses `{name}`, which has no value", remedy


def fill(
    texts: Texts, variables: Variables, combinations: Sequence[Mapping[str, str]], document: Document
) -> list[Texts]:
    """Return the texts once for every combination of values; raise `InvalidFile` with all that is in the way."""
    if not any(mark in text for text in texts.values() for mark in MARKS):
        _refuse(_unused(variables, frozenset(), document))
        return [texts] * len(combinations)
    from runner.suite.templating import BadTemplate, read_template  # noqa: PLC0415 - few suites need jinja2

    problems: list[Problem] = []
    templates = {}
    for route, text in texts.items():
        try:
            templates[route] = read_template(text)
        except BadTemplate as error:
            problems.append(document.problem(route, error.what, error.remedy))
    ...
