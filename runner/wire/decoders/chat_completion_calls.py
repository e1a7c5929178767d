"""The tool calls of a chat completion: which call each entry continues, and which part of it is new.

Calls are told apart by index, if the server numbers them. Some servers omit indexes, give one index to several calls,
send a call's name or all of its arguments with each piece, or make up an id for each piece.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import StringIO

from runner.core.events import CallPiece, Event, Flagged
from runner.core.surrogates import repair_surrogates, rest_of
from runner.core.tool_call import ToolCall
from runner.wire.decoders.lenient_json import as_object, write_json

STRUCTURE = re.compile(r'["\\{}\[\]]|[^"\\{}\[\]]+')
"""Matches the characters that determine where an object ends, and the text between them."""

LEGACY = "function_call"
"""Field of a message's only call, in the API before tools."""


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One entry of a delta's or a message's tool calls. `is_free` states whether its arguments need not be JSON."""

    index: str | None = None
    id: str | None = None
    name: str = ""
    arguments: str = ""
    is_free: bool = False


def call_entries(part: Mapping[str, object]) -> list[CallEntry]:
    """Return the tool calls of a delta or a message that have text or an id."""
    entries = [_entry(call, function) for call, function in _functions_of(part)]
    return [entry for entry in entries if entry.name or entry.arguments or entry.id]


def whole_calls(part: Mapping[str, object]) -> tuple[ToolCall, ...]:
    """Return the complete tool calls of a message, without lone surrogates."""
    found = ((entry.name, entry.arguments, entry.id or "") for entry in call_entries(part))
    texts = ([repair_surrogates(text)[0] for text in each] for each in found)
    return tuple(ToolCall(name, arguments, own_id or None) for name, arguments, own_id in texts)


def call_text(part: Mapping[str, object]) -> str:
    """Return the text that the tool calls of a delta or a message add: names and arguments, in their order."""
    functions = [function for _, function in _functions_of(part)]
    return "".join(_text_of(each.get("name")) + _text_of(_arguments_of(each)) for each in functions)


Object = Mapping[str, object]


def _functions_of(part: Object) -> list[tuple[Object, Object]]:
    """Return each entry with its function; if no entry has a function, the legacy one, which may repeat them."""
    calls, legacy = part.get("tool_calls"), part.get(LEGACY)
    if not (calls or legacy):
        return []
    listed = calls if isinstance(calls, list) else [calls]
    found: list[tuple[Object, Object]] = [
        (call, as_object(call.get("function") or call.get("custom"))) for call in listed if isinstance(call, dict)
    ]
    if isinstance(legacy, dict) and not any(function for _, function in found):
        return [({"index": LEGACY}, legacy)]
    return found


def _arguments_of(function: Object) -> object:
    return function.get("arguments") or function.get("input")


def _entry(call: Object, function: Object) -> CallEntry:
    index, own_id = call.get("index"), call.get("id")
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    return CallEntry(
        str(index) if isinstance(index, int | str) and not isinstance(index, bool) else None,
        own_id if isinstance(own_id, str) and own_id else None,
        _text_of(function.get("name")),
        _text_of(_arguments_of(function)),
        is_free="function" not in call and "custom" in call,
    )


def _text_of(value: object) -> str:
    """Return a name or arguments as text: some servers send an object in place of its JSON."""
    return value if isinstance(value, str) else write_json(value) if value else ""


@dataclass(slots=True)
class _ChatCall:
    """A call, as far as it has arrived."""

    key: str
    id: str | None = None
    name: str = ""
    arguments: StringIO = field(default_factory=StringIO)
    tail: str = ""
    """Last character of the arguments that is not a blank."""
    has_sent_id: bool = False
    """Whether an event has held the id."""
    _depth: int = 0
    """Number of objects and lists that are open at the end of the arguments."""
    _in_text: bool = False
    _is_escaped: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a complete object, which nothing can follow; its parts need not be valid JSON."""
        return self.tail == "}" and self._depth == 0 and not self._in_text

    def add(self, arguments: str) -> None:
        """Add a piece of the arguments. All of them are never scanned again, since there may be many pieces."""
        self.arguments.write(arguments)
        self.tail = arguments.rstrip()[-1:] or self.tail
        for found in STRUCTURE.finditer(arguments):
            sign = found[0]
            if self._in_text:
                is_end = sign == '"' and not self._is_escaped
                self._is_escaped = sign == "\\" and not self._is_escaped
                self._in_text = not is_end
            elif sign == '"':
                self._in_text = True
            elif sign in "{}[]":
                self._depth += 1 if sign in "{[" else -1


class ToolCalls:
    """The tool calls of one reply."""

    def __init__(self) -> None:
        self._begun = 0
        self._last: _ChatCall | None = None
        self._by_id: dict[str, _ChatCall] = {}
        self._by_index: dict[tuple[str, ...], _ChatCall] = {}
        """Choice and index, and index alone -> the latest call under it."""
        self._flags: set[str] = set()

    def add(
        self,
        part: Mapping[str, object],
        at_ns: int,
        origin_ns: int | None = None,
        model: str | None = None,
        *,
        choice: str = "",
        is_message: bool = False,
    ) -> list[Event]:
        """Return the pieces that a delta adds to the calls of the reply, and flags on them.

        Args:
            part: the delta or the message. Several calls without an index are numbered by their position.
            at_ns: its arrival time.
            origin_ns: the sender's own timestamp.
            model: the model that it names.
            choice: the number of its choice; each choice has calls of its own.
            is_message: whether it is a message, in which a single call is also numbered by its position.

        """
        events: list[Event] = []
        entries = call_entries(part)
        for place, sent in enumerate(entries):
            is_numbered = sent.index is None and (is_message or len(entries) > 1)
            entry = replace(sent, index=str(place)) if is_numbered else sent
            call, continues = self._find(entry, choice)
            name, arguments = self._new_name(call, entry), self._new_arguments(call, entry, repeated=continues)
            if name or arguments:
                own_id = None if call.has_sent_id else call.id
                call.has_sent_id = call.has_sent_id or own_id is not None
                events.append(CallPiece(at_ns, call.key, name, arguments, own_id, False, origin_ns, model))
        events += [Flagged(at_ns, flag) for flag in sorted(self._flags)]
        self._flags.clear()
        return events

    def _find(self, entry: CallEntry, choice: str) -> tuple[_ChatCall, bool]:
        """Return the call of an entry, and whether the entry repeats the call's name."""
        found = self._candidate(entry, choice)
        continues = found is not None and not _begins_another(found, entry)
        if found is None or not continues:
            self._begun += 1
            found = _ChatCall(str(self._begun))
        repeats = continues and bool(entry.name) and entry.name == found.name
        found.id = entry.id if found.id is None else found.id
        if entry.id is not None:
            self._by_id[entry.id] = found
        if entry.index is not None:
            self._by_index[(entry.index,)] = self._by_index[choice, entry.index] = found
        self._last = found
        return found, repeats

    def _candidate(self, entry: CallEntry, choice: str) -> _ChatCall | None:
        """Return the call that an entry may continue; None if there is none."""
        of_id = None if entry.id is None else self._by_id.get(entry.id)
        if entry.index is None:
            return of_id or self._last
        found = self._by_index.get((choice, entry.index))
        if found is not None and (of_id is None or entry.id == found.id):
            return found
        if found is not None or not entry.name:  # a server may count its pieces
            return of_id or (None if entry.id else self._by_index.get((entry.index,)) or self._last)
        return None

    def _new_name(self, call: _ChatCall, entry: CallEntry) -> str:
        """Return what an entry adds to a call's name: some servers repeat it, few send it in pieces."""
        name = entry.name.removeprefix(call.name)
        call.name += name
        return name

    def _new_arguments(self, call: _ChatCall, entry: CallEntry, *, repeated: bool) -> str:
        """Return what an entry adds to a call's arguments; some servers repeat them, or send all with each piece."""
        arguments, received = entry.arguments, call.arguments
        if 0 < received.tell() <= 2 * len(arguments):  # a character whose halves came apart counts twice
            so_far = received.getvalue()
            rest = rest_of(arguments, so_far)
            if rest is not None and (repeated or call.is_whole or _cannot_follow(call, entry, so_far)):
                arguments = rest
                self._flags.add("cumulative_chunks" if arguments else "repeated_reply")
        call.add(arguments)
        return arguments


def _begins_another(call: _ChatCall, entry: CallEntry) -> bool:
    """Return whether an entry that may continue a call begins another one."""
    if entry.id is not None and entry.id == call.id:
        return False
    has_arguments, is_other = bool(call.tail), bool(entry.name and call.name and entry.name != call.name)
    if entry.id is not None and call.id is not None:
        # Some servers make up an id for each piece. Only a name can begin a call amid another's arguments.
        return call.is_whole or bool(entry.name and (is_other or not has_arguments))
    if is_other:
        return has_arguments or entry.index is None
    return bool(entry.name) and _repeats_call(call, entry)


def _repeats_call(call: _ChatCall, entry: CallEntry) -> bool:
    """Return whether an entry with the name of a call, but without an id of its own, calls the same tool again."""
    if entry.index is None:
        return call.is_whole or not (call.tail or entry.arguments)
    if not (entry.arguments and call.is_whole):
        return False
    is_shorter = 2 * len(entry.arguments) < call.arguments.tell()  # a character whose halves came apart counts twice
    return is_shorter or rest_of(entry.arguments, call.arguments.getvalue()) is None


def _cannot_follow(call: _ChatCall, entry: CallEntry, so_far: str) -> bool:
    """Return whether arguments that begin like those so far cannot be their next piece in valid JSON."""
    return not entry.is_free and so_far.lstrip().startswith("{") and call.tail not in (":", "[", ",")
