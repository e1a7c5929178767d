"""The fields in which providers put the text of a chunk or a message, by channel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.events import Channel
from runner.wire.json_value import as_object, write_json

REASONING_NAMES = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "thoughts")
REASONING_FIELDS = frozenset({*REASONING_NAMES, "reasoning_details"})
REASONING_PARTS = ("thinking", "reasoning")
INNER = ("content", "text", "summary")
"""Where the text stands in reasoning that is an object."""

WITHOUT_TEXT = frozenset(
    {"role", "name", "id", "index", "type", "object", "finish_reason", "stop_reason", "matched_stop", "usage"}
    | {"logprobs", "token_ids", "refusal", "annotations", "citations", "audio", "images", "padding", "obfuscation"}
    | {"reasoning_details", "reasoning_signature", "thought_signature", "signature", "prefix", "tool_call_id"}
    | {"extra_content", "provider_specific_fields"}
)
"""Fields that may be filled in a chunk without text. Any other one that is filled holds what cannot be read."""


def texts_by_channel(delta: Mapping[str, object]) -> Sequence[tuple[Channel, str]]:
    """Return the text that a delta or a message adds to each channel on which it has some."""
    content = delta.get("content")
    _, reasoning = reasoning_of(delta)
    if not isinstance(content, str):
        reasoning_parts, content = _join_parts(content)
        reasoning = reasoning or reasoning_parts
    content = content or _first_text(delta, ("text",)) or _first_text(as_object(delta.get("audio")), ("transcript",))
    refusal = delta.get("refusal")
    if isinstance(refusal, str):
        content += refusal
    tools = _tool_text(delta)
    texts = ((Channel.REASONING, reasoning), (Channel.ANSWER, content), (Channel.TOOL, tools))
    return [(channel, text) for channel, text in texts if text]


def reasoning_of(delta: Mapping[str, object]) -> tuple[str, str]:
    """Return the field that holds reasoning, and the reasoning. Gateways repeat it, so only the first is taken."""
    if REASONING_FIELDS.isdisjoint(delta):
        return "", ""
    for name in REASONING_NAMES:
        value = delta.get(name)
        if value:
            listed = value if isinstance(value, list) else [value]
            text = "".join(part if isinstance(part, str) else _first_text(as_object(part), INNER) for part in listed)
            if text:
                return name, text
    details = delta.get("reasoning_details")
    if not isinstance(details, list):
        return "", ""
    return "reasoning_details", "".join(_first_text(as_object(detail), ("text", "summary")) for detail in details)


def _join_parts(content: object) -> tuple[str, str]:
    """Return the reasoning and the answer in a list of content parts."""
    reasoning, answer = [], []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            answer.append(part)
        elif isinstance(part, dict) and part.get("type") in REASONING_PARTS:
            reasoning.append(_reasoning_part(part))
        elif isinstance(part, dict):
            nested = as_object(part.get("text"))
            answer.append(_first_text(nested, ("value",)) or _first_text(part, ("text", "content", "refusal")))
    return "".join(reasoning), "".join(answer)


def _reasoning_part(part: Mapping[str, object]) -> str:
    """Return a reasoning part's text; Mistral nests a list of text parts in it."""
    nested = part.get("thinking")
    if isinstance(nested, list):
        return "".join(_first_text(as_object(piece), ("text",)) for piece in nested)
    return _first_text(part, ("thinking", "reasoning", "text"))


def _tool_text(delta: Mapping[str, object]) -> str:
    """Return what tool calls add: names and pieces of arguments, in the order in which they arrive."""
    calls, call = delta.get("tool_calls"), delta.get("function_call")
    if not (calls or call):
        return ""
    entries = [as_object(entry) for entry in calls] if isinstance(calls, list) else []
    functions = [entry.get("function") or entry.get("custom") for entry in entries]
    functions.append(call)
    pieces = []
    for function in functions:
        if isinstance(function, dict):
            pieces += [function.get("name"), function.get("arguments") or function.get("input")]
    return "".join(piece if isinstance(piece, str) else write_json(piece) for piece in pieces if piece)


def _first_text(values: Mapping[str, object], names: Iterable[str]) -> str:
    """Return the first of several fields that is a non-empty text; the empty text if none is."""
    return next((value for name in names if isinstance(value := values.get(name), str) and value), "")


def is_unread(part: Mapping[str, object]) -> bool:
    """Return whether a part without text holds something where text may be, in a shape that is not known here."""
    filled = {name: value for name, value in part.items() if value and name not in WITHOUT_TEXT}
    return "content" in filled or any(isinstance(value, str | list | dict) for value in filled.values())


@dataclass(slots=True)
class ToolNames:
    """The names of a reply's tool calls: some servers repeat a call's name with each piece of its arguments."""

    _last: dict[object, tuple[object, object]] = field(default_factory=dict)
    """Index of a call -> its id and its name."""

    def without_repeated(self, part: Mapping[str, object]) -> Mapping[str, object]:
        """Return a delta whose calls have their name only where it is new."""
        calls = part.get("tool_calls")
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            return part
        return {**part, "tool_calls": [self._shorten(call) for call in calls]}

    def _shorten(self, call: Mapping[str, object]) -> Mapping[str, object]:
        function, index = as_object(call.get("function")), str(call.get("index"))
        known_id, known_name = self._last.get(index, (None, None))
        own_id, name = call.get("id") or known_id, function.get("name")
        if name and name == known_name and own_id == known_id and "index" in call:
            return {**call, "function": {**function, "name": None}}
        self._last[index] = own_id, name or known_name
        return call
