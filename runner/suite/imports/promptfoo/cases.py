"""Make a case of a promptfoo prompt and a test."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import product

from runner.document import Json
from runner.suite.errors import BadTemplate, NotImportable
from runner.suite.expectations import TEMPLATES
from runner.suite.fill_templates import is_template
from runner.suite.imports.promptfoo.assertions import Checks
from runner.suite.imports.promptfoo.prompts import Prompt, keys_of_text
from runner.suite.imports.promptfoo.tests import Test, Variable

MAX_FILLED = 1_000
"""Highest number of combinations of variables that are searched for a chat."""

_PLAIN = re.compile(r"\{\{-?\s*(\w+)\s*-?\}\}")
"""A variable without a filter or an expression."""
_EXPRESSION = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_WITH_NUMBER = re.compile(r"[=!]=\s*-?\d|\d\s*[=!]=")


def case_of(prompt: Prompt, test: Test) -> dict[str, Json]:
    """Return the case of a prompt and a test, with those of the test's variables that are used.

    Raises:
        NotImportable: a variable that is used cannot be imported, or would change the prompt.

    """
    checks: Checks = {name: _without_list(wanted) for name, wanted in test.checks.items()}
    keys = _without_filled_chat(prompt.keys, test.variables)
    templates = [*_templates_in(keys, checks)]
    used = {name: test.variables[name] for text in templates for name in _names_in(text) if name in test.variables}
    _refuse(used, templates)
    lists: dict[str, Json] = {name: [*each.texts] for name, each in used.items() if each.is_list}
    single: dict[str, Json] = {name: each.texts[0] for name, each in used.items() if not each.is_list}
    ordered: dict[str, Json] = {name: single[name] for name in test.variables if name in single}
    parts: dict[str, Json] = {"vars": ordered, "matrix": lists, "checks": checks}
    return keys | {key: part for key, part in parts.items() if part}


def _refuse(used: Mapping[str, Variable], templates: Collection[str]) -> None:
    """Raise NotImportable for variables that cannot be imported, and expressions with another meaning in promptfoo."""
    for variable in used.values():
        if variable.fault is not None:
            raise variable.fault
    for rest in (_PLAIN.sub("", text) for text in templates):
        for name in _names_in(rest):
            if name in used and not used[name].is_text:
                what = f"the template computes with `{name}`, a number or truth value; a variable is a text here"
                raise NotImportable(what, "Write the prompt without the expression, or the variable in quotes")
        if _names_in(rest) and any(map(_WITH_NUMBER.search, _EXPRESSION.findall(rest))):
            what = "the template compares a variable with a number, which a text never equals here"
            raise NotImportable(what, "Put the number in quotes")


def _without_filled_chat(keys: dict[str, Json], variables: Mapping[str, Variable]) -> dict[str, Json]:
    """Return a prompt's keys; those of a chat if the prompt is one when its variables are filled in.

    Raises:
        NotImportable: the filled prompt is a chat that cannot be imported, or several chats.

    """
    text = keys.get("prompt")
    if len(keys) > 1 or not isinstance(text, str) or not (begin := _PLAIN.match(text.lstrip())):
        return keys
    names = [*dict.fromkeys(_PLAIN.findall(text))]
    if not all(name in variables and variables[name].texts for name in names):
        return keys
    if not any(each.lstrip().startswith(("[", "{", "- role:")) for each in variables[begin[1]].texts):
        return keys
    filled = [*_filled(text, names, variables)]
    if not any(map(_is_chat, filled)):
        return keys
    if len(filled) > 1:
        raise NotImportable("this test's variables make several chats of the prompt", "Write a test for each")
    return keys_of_text(filled[0])


def _filled(text: str, names: Collection[str], variables: Mapping[str, Variable]) -> Iterator[str]:
    combinations = product(*(variables[name].texts for name in names))
    for values, _ in zip(combinations, range(MAX_FILLED), strict=False):
        by_name = dict(zip(names, values, strict=True))
        pieces = _PLAIN.split(text)  # text, name, text, name ...
        yield "".join(by_name[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _is_chat(text: str) -> bool:
    """Return whether promptfoo reads a filled prompt as JSON or YAML."""
    if text.lstrip().startswith("- role:"):
        return True
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


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
    from runner.suite.template_language import read_template  # noqa: PLC0415 -- brings jinja2

    try:
        return read_template(text).names
    except BadTemplate:
        return ()  # reported when the case is added
