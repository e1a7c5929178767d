"""Messages for pydantic's errors: what is wrong, which key was probably meant, and what to do."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

from runner.document.document_tree import Route
from runner.errors import closest_word, suggest

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SchemaError:
    """A pydantic error with its route; `value` is `...` if it must not be shown."""

    kind: str
    route: Route
    of_key: bool
    value: Any | EllipsisType
    context: Mapping[str, Any]
    message: str


class SchemaKeys:
    """The keys of a model's JSON Schema and their descriptions, by route."""

    def __init__(self, schema: Schema, top: Route = ()) -> None:
        self._schema = schema
        self._top = top

    def keys_at(self, route: Route) -> tuple[str, ...]:
        """Return the known keys of the mapping at a route."""
        return tuple(key for schema in self._at_route(route) for key in schema.get("properties", {}))

    def description(self, route: Route) -> str | None:
        """Return the description of the key at the end of a route."""
        for schema in self._at_route(route[:-1]):
            described = schema.get("properties", {}).get(route[-1], {}).get("description")
            if described is not None:
                return str(described)
        return None

    def closest_key(self, error: SchemaError) -> str | None:
        """Return the known key most similar to an unknown one; None if no key is similar."""
        return closest_word(str(error.route[-1]), self.keys_at(error.route[:-1]))

    def parent_key(self, key: str) -> str | None:
        """Return the top key whose mapping accepts a key; None if there is none."""
        tops = self.keys_at(self._top)
        return next((top for top in tops if key in self.keys_at((*self._top, top))), None)

    def _at_route(self, route: Route) -> list[Schema]:
        schemas = list(self._branches(self._schema))
        for step in route[len(self._top) :]:
            schemas = [branch for schema in schemas for branch in self._below(schema, step)]
        return schemas

    def _below(self, schema: Schema, step: str | int) -> Iterator[Schema]:
        if isinstance(step, int):
            yield from self._branches(schema.get("items", {}))
        elif step in schema.get("properties", {}):
            yield from self._branches(schema["properties"][step])
        elif isinstance(schema.get("additionalProperties"), Mapping):
            yield from self._branches(schema["additionalProperties"])

    def _branches(self, schema: Schema) -> Iterator[Schema]:
        if "$ref" in schema:
            yield from self._branches(self._schema["$defs"][schema["$ref"].rpartition("/")[2]])
        for branch in schema.get("anyOf", ()):
            yield from self._branches(branch)
        yield schema


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


def message_of(errors: Sequence[SchemaError], keys: SchemaKeys, siblings: Collection[str]) -> tuple[str, str]:
    """Return what is wrong with one value, and what to do."""
    # For a union, the error of one branch's validator says more than the type error of the other branch.
    error = next((each for each in errors if each.kind == "value_error"), errors[0])
    if error.kind == "missing":
        return _missing_key(error, keys)
    if error.kind == "extra_forbidden":
        return _unknown_key(error, keys, siblings)
    if error.kind in EXPECTED:
        return _wrong_type(errors)
    if error.kind in LIMITS:
        name, hint = LIMITS[error.kind]
        return f"{_subject(error)} {_predicate(error)}", hint.format(_limit(error.context[name]))
    return _validator_message(error)


def _missing_key(error: SchemaError, keys: SchemaKeys) -> tuple[str, str]:
    purpose = keys.description(error.route)
    hint = f"Add `{error.route[-1]}: ...`"
    return f"`{error.route[-1]}` is missing{_where(error)}", f"{hint}: {_trimmed(purpose)}" if purpose else hint


def _unknown_key(error: SchemaError, keys: SchemaKeys, siblings: Collection[str]) -> tuple[str, str]:
    key = str(error.route[-1])
    known = keys.keys_at(error.route[:-1])
    what = f"unknown key `{_shortened(key)}`{_where(error)}"
    near = closest_word(key, [name for name in known if name not in siblings]) or closest_word(key, known)
    if near:
        return what, suggest(near)
    parent = keys.parent_key(key)
    if parent:
        return what, f"It belongs in `{parent}`"
    return what, f"Known are {', '.join(known)}"


def _wrong_type(errors: Sequence[SchemaError]) -> tuple[str, str]:
    expected = list(dict.fromkeys(EXPECTED[error.kind] for error in errors if error.kind in EXPECTED))
    value = errors[0].value
    if expected == ["a list"] and isinstance(value, str | int | float):
        expected = [f"a list, such as [{_shortened(str(value))}]"]
    hint = f"Write {' or '.join(expected)}"
    return f"{_subject(errors[0])} {_predicate(errors[0])}", f"{hint}, or remove the key" if value is None else hint


def _validator_message(error: SchemaError) -> tuple[str, str]:
    """Split the message of a model's own validator, `what is wrong. What to do`."""
    what, hint = (*re.split(r"[.;] ", _trimmed(error.message), maxsplit=1), "correct it")[:2]
    return f"{_subject(error)}: {what}", hint[:1].upper() + hint[1:]


def _subject(error: SchemaError) -> str:
    if not error.route:
        return "the file"
    last = error.route[-1]
    if error.of_key:
        return f"the key `{_shortened(str(last))}`"
    return f"`{last}`" if isinstance(last, str) else _item(error.route)


def _item(route: Route) -> str:
    owner = route[-2] if len(route) > 1 else ""
    return f"item {int(route[-1]) + 1}" + (f" of `{owner}`" if owner else "")


def _where(error: SchemaError) -> str:
    parent = error.route[:-1]
    if not parent:
        return ""
    return f" in `{parent[-1]}`" if isinstance(parent[-1], str) else f" in {_item(parent)}"


def _predicate(error: SchemaError) -> str:
    return "does not fit" if error.value is ... else f"is {_described(error.value)}"


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
