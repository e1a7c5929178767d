"""Faults that pydantic found, in plain words: what is wrong, what was meant, what to do."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

from runner.document.nodes import Route
from runner.document.outline import Outline
from runner.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """One pydantic error, placed; `value` is `...` where it must not be shown."""

    kind: str
    route: Route
    of_key: bool
    value: Any | EllipsisType
    context: Mapping[str, Any]
    message: str


EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
}
LIMITS = {
    "literal_error": ("expected", "Write {}"),
    "enum": ("expected", "Write {}"),
    "greater_than": ("gt", "Write a number of more than {}"),
    "greater_than_equal": ("ge", "Write a number of at least {}"),
    "less_than": ("lt", "Write a number of less than {}"),
    "less_than_equal": ("le", "Write a number of at most {}"),
    "string_too_short": ("min_length", "Write {} or more characters"),
    "string_too_long": ("max_length", "Write {} characters at most"),
    "too_short": ("min_length", "Write {} or more items"),
    "too_long": ("max_length", "Write {} items at most"),
}


def say(faults: Sequence[SchemaFault], outline: Outline, siblings: Collection[str]) -> tuple[str, str]:
    """Return what is wrong and what to do about the faults of one value."""
    fault = faults[0]
    if fault.kind == "missing":
        return _say_missing(fault, outline)
    if fault.kind == "extra_forbidden":
        return _say_unknown(fault, outline, siblings)
    if fault.kind in EXPECTED:
        return _say_shape(faults)
    if fault.kind in LIMITS:
        name, hint = LIMITS[fault.kind]
        return f"{_subject(fault)} {_is(fault)}", hint.format(_limit(fault.context[name]))
    return _say_own_words(fault)


def _say_missing(fault: SchemaFault, outline: Outline) -> tuple[str, str]:
    purpose = outline.description(fault.route)
    hint = f"Add `{fault.route[-1]}: ...`"
    return f"`{fault.route[-1]}` is missing{_where(fault)}", f"{hint}: {_trimmed(purpose)}" if purpose else hint


def _say_unknown(fault: SchemaFault, outline: Outline, siblings: Collection[str]) -> tuple[str, str]:
    key = str(fault.route[-1])
    known = outline.keys(fault.route[:-1])
    what = f"unknown key `{_shortened(key)}`{_where(fault)}"
    near = did_you_mean(key, [name for name in known if name not in siblings]) or did_you_mean(key, known)
    if near:
        return what, f"Perhaps `{near}` was meant"
    home = outline.home(key)
    if home:
        return what, f"It belongs in `{home}`"
    return what, f"Known are {', '.join(known)}"


def _say_shape(faults: Sequence[SchemaFault]) -> tuple[str, str]:
    expected = list(dict.fromkeys(EXPECTED[fault.kind] for fault in faults if fault.kind in EXPECTED))
    value = faults[0].value
    if expected == ["a list"] and isinstance(value, str | int | float):
        expected = [f"a list, such as [{_shortened(str(value))}]"]
    hint = f"Write {' or '.join(expected)}"
    return f"{_subject(faults[0])} {_is(faults[0])}", f"{hint}, or remove the key" if value is None else hint


def _say_own_words(fault: SchemaFault) -> tuple[str, str]:
    """Split what a model's own validator says, `what is wrong. What to do`."""
    what, hint = (*re.split(r"[.;] ", _trimmed(fault.message), maxsplit=1), "correct it")[:2]
    return f"{_subject(fault)}: {what}", hint[:1].upper() + hint[1:]


def _subject(fault: SchemaFault) -> str:
    if not fault.route:
        return "the file"
    last = fault.route[-1]
    if fault.of_key:
        return f"the key `{_shortened(str(last))}`"
    return f"`{last}`" if isinstance(last, str) else _item(fault.route)


def _item(route: Route) -> str:
    owner = route[-2] if len(route) > 1 else ""
    return f"item {int(route[-1]) + 1} of `{owner}`"


def _where(fault: SchemaFault) -> str:
    parent = fault.route[:-1]
    if not parent:
        return ""
    return f" in `{parent[-1]}`" if isinstance(parent[-1], str) else f" in {_item(parent)}"


def _is(fault: SchemaFault) -> str:
    return "does not fit" if fault.value is ... else f"is {_described(fault.value)}"


def _described(value: object) -> str:
    if value in (None, "", [], {}):
        return "empty"
    if isinstance(value, str):
        return f"the text `{_shortened(value)}`"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return _shortened(json.dumps(value))


def _limit(bound: object) -> str:
    return f"{bound:.15g}" if isinstance(bound, int | float) else str(bound).replace("'", "")


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 40 else f"{flat[:37]}..."


def _trimmed(text: str) -> str:
    return text.strip().removesuffix(".")
