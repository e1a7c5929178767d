"""Tool calls as values: their arguments as JSON, and a canonical form for comparison. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from runner.core.surrogates import escape_surrogates

MAX_ARGUMENT_DEPTH = 64
"""Levels of nesting up to which arguments are parsed as JSON; deeper ones stay text."""

MAX_EXACT_INTEGER = 2**53
"""Bound below which a whole number has the same value as a float and as an integer."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function that the model asks for.

    `arguments` is the text that the model wrote; it should be JSON. `id` is the provider's id of the call.
    """

    name: str
    arguments: str
    id: str | None = None

    @property
    def values(self) -> dict[str, Any] | None:
        """The arguments by name; None unless their text is a JSON object without repeated names."""
        try:
            value = read_json(self.arguments)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def plain(self) -> dict[str, Any]:
        """The call as a JSON object: its name, and its arguments as an object if they are one, else as text."""
        values = self.values
        return {"name": self.name, "arguments": self.arguments if values is None else values}

    @property
    def canonical(self) -> "ToolCall":
        """The call without its id, and with arguments whose text is the same for equal JSON values.

        Empty arguments become an empty object, since providers write either.
        """
        if not self.arguments.strip():
            return ToolCall(self.name, "{}")
        try:
            return ToolCall(self.name, canonical_json(read_json(self.arguments)))
        except ValueError:
            return ToolCall(self.name, self.arguments)

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})"


def canonical_calls(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """Return calls in canonical form and order: replies that make the same calls in another order are equal."""
    return tuple(sorted((call.canonical for call in calls), key=str))


def write_calls(calls: Iterable[ToolCall]) -> str | None:
    r"""Return calls as a JSON list of `plain` objects, with lone surrogates as `\uXXXX`; None if there are no calls."""
    plain = [call.plain for call in calls]
    written = json.dumps(plain, ensure_ascii=False) if plain else None
    return written and escape_surrogates(written)


def read_calls(text: str | None) -> tuple[ToolCall, ...]:
    """Parse the output of `write_calls`; the calls have no ids, and their arguments are JSON of the same value.

    Raises:
        ValueError: the text is not such a list.

    """
    if text is None:
        return ()
    try:
        return tuple(_read_call(each) for each in json.loads(text))
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{text[:80]!r} is no list of tool calls") from error


def _read_call(plain: dict[str, Any]) -> ToolCall:
    name, arguments = plain["name"], plain["arguments"]
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    if not isinstance(name, str):
        raise TypeError(name)
    return ToolCall(name, written)


def read_json(text: str) -> Any:
    """Parse JSON that has the same meaning for every parser.

    Raises:
        ValueError: the text is not JSON, repeats a name in an object, contains a number beyond the range of a float, or
            is nested more than MAX_ARGUMENT_DEPTH levels deep.

    """
    try:
        value = json.loads(text, object_pairs_hook=_object_without_repeats, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _depth(value) > MAX_ARGUMENT_DEPTH:
        raise ValueError("nested too deeply")
    return value


def canonical_json(value: Any) -> str:
    """Return JSON whose text is the same for equal values: sorted names, one blank after `,` and `:`, 1.0 as 1."""
    return json.dumps(_with_plain_numbers(value), ensure_ascii=False, sort_keys=True)


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is repeated")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a value of JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise ValueError(f"{number} is beyond the range of a float")
    return value


def _depth(value: Any) -> int:
    """Return the number of levels of nesting. It is counted without recursion, which has a limit of its own."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


def _with_plain_numbers(value: Any) -> Any:
    match value:
        case dict():
            return {name: _with_plain_numbers(inner) for name, inner in value.items()}
        case list():
            return [_with_plain_numbers(inner) for inner in value]
        case float() if value.is_integer() and abs(value) < MAX_EXACT_INTEGER:
            return int(value)
        case _:
            return value


def calls_in(cell: object) -> tuple[ToolCall, ...]:
    """Parse a cell of the column `tool_calls`; an absent cell has no calls."""
    return read_calls(cell) if isinstance(cell, str) else ()


def list_calls(cell: object) -> Sequence[str]:
    """Return one line for each call of a cell: `get_weather({"city": "Paris"})`."""
    return [str(call) for call in calls_in(cell)]


def indented_arguments(call: ToolCall) -> str:
    """Return a call's arguments as indented JSON, or their text if they are not a JSON object."""
    values = call.values
    return call.arguments if values is None else json.dumps(values, ensure_ascii=False, indent=2)
