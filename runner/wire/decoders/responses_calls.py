"""The tool calls in the events of the Responses dialect: which call an event adds to, and which part of it is new.

The call of an event is found by the item's id, else by its position in the output. Some servers omit both, give every
item the same position, change the id with each event, omit an item's beginning, or send a call only at its end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import StringIO

from runner.core.events import CallPiece
from runner.core.surrogates import rest_of
from runner.wire.decoders.answered_by_fields import origin_ns_of
from runner.wire.decoders.lenient_json import as_object, write_json

OWN_TYPES = frozenset({"function_call", "custom_tool_call"})
"""Types of the calls that the caller must carry out. The provider runs all others whose type ends in `_call`."""

CALL_STREAMS: Mapping[str, bool] = {
    "function_call_arguments": False,
    "custom_tool_call_input": False,
    "mcp_call_arguments": True,
    "code_interpreter_call_code": True,
    "shell_call_command": True,
}
"""NAME in `response.NAME.delta` and `response.NAME.done` for arguments -> whether the provider runs the call."""

WHOLE_NAMES = ("arguments", "input", "code", "command", "delta")
"""Fields in which `response.NAME.done`, or an item, holds all arguments of a call."""


def is_call(item: Mapping[str, object]) -> bool:
    """Return whether an item of the output calls a tool."""
    return str(item.get("type")).endswith("_call")


@dataclass(slots=True)
class _ResponseCall:
    """A call, as far as it has arrived."""

    key: str
    by_provider: bool
    id: str | None = None
    name: str = ""
    arguments: StringIO = field(default_factory=StringIO)
    is_done: bool = False
    has_sent_id: bool = False

    def add(self, name: str, arguments: str, at_ns: int, origin_ns: int | None) -> list[CallPiece]:
        """Return the event of a name and arguments that arrive; no event if both are empty."""
        self.name = self.name or name
        self.arguments.write(arguments)
        if not (name or arguments):
            return []
        own_id = None if self.has_sent_id else self.id
        self.has_sent_id = self.has_sent_id or own_id is not None
        return [CallPiece(at_ns, self.key, name, arguments, own_id, self.by_provider, origin_ns)]

    def rest(self, whole: str) -> str:
        """Return the rest of all arguments after those that have arrived; nothing if the two differ."""
        beyond = self._beyond(whole)
        return beyond or ""

    def is_again(self, whole: str) -> bool:
        """Return whether arguments are equal to those that have arrived."""
        return self._beyond(whole) == ""

    def _beyond(self, whole: str) -> str | None:
        """Return what follows those that have arrived; None if the arguments do not begin with them."""
        if 2 * len(whole) < self.arguments.tell():
            return None  # avoids a copy for each of a million such events; a lone surrogate counts twice
        return rest_of(whole, self.arguments.getvalue())


class ResponseCalls:
    """The tool calls of one response, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_ResponseCall] = []
        self._by_item: dict[object, _ResponseCall] = {}
        self._by_place: dict[object, _ResponseCall] = {}

    def add_delta(self, stem: str, value: Mapping[str, object], at_ns: int) -> list[CallPiece]:
        """Return what an event with a piece of the arguments adds to a call."""
        call = self._find(value, value.get("item_id"), "") or self._begin(value, by_provider=CALL_STREAMS[stem])
        return call.add("", _text_of(value.get("delta")), at_ns, origin_ns_of(value))

    def add_done(self, stem: str, value: Mapping[str, object], at_ns: int) -> list[CallPiece]:
        """Return what an event with all arguments adds to a call."""
        whole = _whole_of(value)
        call = self._find(value, value.get("item_id"), whole) or self._begin(value, by_provider=CALL_STREAMS[stem])
        call.is_done = True
        return call.add("", call.rest(whole), at_ns, origin_ns_of(value))

    def add_item(self, value: Mapping[str, object], at_ns: int, *, begins: bool) -> list[CallPiece]:
        """Return what an item adds to a call: usually its name at its beginning, the whole call at its end."""
        item, origin_ns = as_object(value.get("item")), origin_ns_of(value)
        whole = "" if begins else _whole_of(item)
        own_id = item.get("id")
        call = self._by_item.get(own_id) if begins and isinstance(own_id, str) else self._find(value, own_id, whole)
        return self._add_item(call, item, value, at_ns, origin_ns, is_done=not begins)

    def add_output(self, items: Iterable[Mapping[str, object]], at_ns: int) -> list[CallPiece]:
        """Return what the whole output at a response's end adds to the calls that have arrived."""
        calls = [item for item in items if is_call(item) and (item.get("name") or _whole_of(item))]
        begun, pieces = [*self._calls], []
        for place, item in enumerate(calls):
            own_id = item.get("id")
            of_id = self._by_item.get(own_id) if isinstance(own_id, str) else None
            call = of_id or (begun[place] if place < len(begun) else None)
            pieces += self._add_item(call, item, {}, at_ns, None, is_done=True)
        return pieces

    def _add_item(
        self,
        call: _ResponseCall | None,
        item: Mapping[str, object],
        value: Mapping[str, object],
        at_ns: int,
        origin_ns: int | None,
        *,
        is_done: bool,
    ) -> list[CallPiece]:
        call = call or self._begin(value, by_provider=item.get("type") not in OWN_TYPES)
        own_id = item.get("id")
        if isinstance(own_id, str):
            self._by_item[own_id] = call
        named = [found for name in ("call_id", "id") if isinstance(found := item.get(name), str) and found]
        call.id = call.id or next(iter(named), None)
        call.is_done = call.is_done or is_done
        name = item.get("name")
        rest = call.rest(_whole_of(item)) if is_done else ""
        return call.add(name if isinstance(name, str) and not call.name else "", rest, at_ns, origin_ns)

    def _find(self, value: Mapping[str, object], item_id: object, whole: str) -> _ResponseCall | None:
        """Return the call of an event; None if the event is the first of a call."""
        place = value.get("output_index")
        if isinstance(item_id, str) and item_id in self._by_item:
            return self._by_item[item_id]
        if isinstance(place, int) and place in self._by_place:
            return self._by_place[place]
        last = self._calls[-1] if self._calls else None
        return last if last is not None and (not last.is_done or (whole and last.is_again(whole))) else None

    def _begin(self, value: Mapping[str, object], *, by_provider: bool) -> _ResponseCall:
        call = _ResponseCall(str(len(self._calls)), by_provider)
        self._calls.append(call)
        place, item_id = value.get("output_index"), value.get("item_id")
        if isinstance(place, int):
            self._by_place[place] = call
        if isinstance(item_id, str):
            self._by_item[item_id] = call
        return call


def _whole_of(holder: Mapping[str, object]) -> str:
    return next((text for name in WHOLE_NAMES if (text := _text_of(holder.get(name)))), "")


def _text_of(value: object) -> str:
    """Return arguments as text; some gateways nest the text in an object, or send an object in place of its JSON."""
    if isinstance(value, dict) and isinstance(value.get("text"), str) and len(value) == 1:
        return str(value["text"])
    return value if isinstance(value, str) else write_json(value) if value else ""
