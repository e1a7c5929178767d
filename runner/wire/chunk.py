"""One chunk of a completion -> events, in every shape that providers send."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from msgspec import DecodeError, Meta, Struct, field
from msgspec.json import Decoder

from runner.core.events import Channel, EmptyChunk, Event, Finished, Flagged, Text
from runner.wire.json_value import as_object, write_json
from runner.wire.usage import read_usage

REASONING_NAMES = ("reasoning_content", "reasoning", "thinking")
REASONING_PARTS = ("thinking", "reasoning")
NO_REASON = frozenset({"", "null", "None"})
"""Finish reasons that say nothing: gateways send them on every chunk, xAI behind tool calls."""


class _PlainDelta(Struct, gc=False, forbid_unknown_fields=True):
    content: str | None = None
    reasoning_content: str | None = None
    role: object = None
    refusal: None = None
    reasoning: None = None
    tool_calls: None = None
    function_call: None = None


class _PlainChoice(Struct, gc=False, forbid_unknown_fields=True):
    delta: _PlainDelta
    index: Literal[0] = 0
    finish_reason: None = None
    native_finish_reason: None = None
    logprobs: object = None


class _PlainChunk(Struct, gc=False, forbid_unknown_fields=True):
    choices: Annotated[list[_PlainChoice], Meta(min_length=1, max_length=1)]
    model: str | None = None
    sent_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    usage: None = None
    id: object = None
    kind: object = field(name="object", default=None)
    created: object = None
    provider: object = None
    system_fingerprint: object = None
    service_tier: object = None
    obfuscation: object = None


_PLAIN = Decoder(_PlainChunk)


def read_plain_chunk(data: bytes, at_ns: int) -> Text | None:
    """Return the text of a chunk that adds one piece of text and nothing else, as nearly all do; None for others.

    What such a chunk looks like is declared, and checked while it is decoded: `read_chunk` says the same of it in
    five times the time, which counts where decoding shares a core with measuring.
    """
    try:
        chunk = _PLAIN.decode(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    delta = chunk.choices[0].delta
    answer, reasoning = delta.content, delta.reasoning_content
    if answer and not reasoning:
        return Text(at_ns, Channel.ANSWER, answer, chunk.sent_ns, chunk.model or None)
    if reasoning and not answer:
        return Text(at_ns, Channel.REASONING, reasoning, chunk.sent_ns, chunk.model or None)
    return None


def read_chunk(chunk: Mapping[str, object], at_ns: int) -> list[Event]:
    """Return what a chunk tells, text first; `Stirred` if it told nothing. A whole completion will do, too."""
    choice, has_others = _first_choice(chunk.get("choices"))
    model, origin_ns = chunk.get("model"), chunk.get("sent_ns")
    model = model if isinstance(model, str) and model else None
    origin_ns = origin_ns if type(origin_ns) is int and abs(origin_ns) < 2**63 else None
    delta = _delta(choice)
    events: list[Event] = [Text(at_ns, channel, text, origin_ns, model) for channel, text in _texts(delta)]
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason not in NO_REASON:
        events.append(Finished(at_ns, reason))
    usage = read_usage(chunk, choice, at_ns)
    if usage is not None:
        events.append(usage)
    if not events:
        events.append(EmptyChunk(at_ns, model))
    if delta.get("refusal"):
        events.append(Flagged(at_ns, "refusal"))
    if has_others:
        events.append(Flagged(at_ns, "several_choices"))
    return events


def _first_choice(choices: object) -> tuple[Mapping[str, object], bool]:
    """Return the choice with index 0, and whether there were others: nobody asked for those."""
    if not isinstance(choices, list):
        return {}, False
    objects = [choice for choice in choices if isinstance(choice, dict)]
    own = [choice for choice in objects if not choice.get("index")]
    return own[0] if own else {}, len(objects) > len(own)


def _delta(choice: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a choice adds: a delta, the message of a whole completion, or a legacy completion's text."""
    for name in ("delta", "message"):
        said = choice.get(name)
        if isinstance(said, dict):
            return said
    return {"content": choice.get("text")}


def _texts(delta: Mapping[str, object]) -> Iterable[tuple[Channel, str]]:
    content = delta.get("content")
    reasoning = _reasoning(delta)
    if not isinstance(content, str):
        thought, content = _parts(content)
        reasoning = reasoning or thought
    refusal = delta.get("refusal")
    if isinstance(refusal, str):
        content += refusal
    tools = _tool_text(delta)
    texts = ((Channel.REASONING, reasoning), (Channel.ANSWER, content), (Channel.TOOL, tools))
    return [(channel, text) for channel, text in texts if text]


def _reasoning(delta: Mapping[str, object]) -> str:
    """Return the reasoning; gateways repeat it under several names, so only the first is taken."""
    for name in REASONING_NAMES:
        value = delta.get(name)
        if value:
            text = value if isinstance(value, str) else _text_of(as_object(value), ("content", "text", "summary"))
            if text:
                return text
    details = delta.get("reasoning_details")
    if not isinstance(details, list):
        return ""
    return "".join(_text_of(as_object(detail), ("text", "summary")) for detail in details)


def _parts(content: object) -> tuple[str, str]:
    """Return the reasoning and the answer in a list of content parts."""
    thought, answer = [], []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            answer.append(part)
        elif isinstance(part, dict) and part.get("type") in REASONING_PARTS:
            thought.append(_thinking_text(part))
        elif isinstance(part, dict):
            answer.append(_text_of(part, ("text", "refusal")))
    return "".join(thought), "".join(answer)


def _thinking_text(part: Mapping[str, object]) -> str:
    """Return a thinking part's text; Mistral nests a list of text parts in it."""
    nested = part.get("thinking")
    if isinstance(nested, list):
        return "".join(_text_of(as_object(piece), ("text",)) for piece in nested)
    return _text_of(part, ("thinking", "reasoning", "text"))


def _tool_text(delta: Mapping[str, object]) -> str:
    """Return what tool calls add: names and pieces of arguments, as they come."""
    calls, call = delta.get("tool_calls"), delta.get("function_call")
    if not (calls or call):
        return ""
    functions = [as_object(entry).get("function") for entry in calls] if isinstance(calls, list) else []
    functions.append(call)
    pieces = []
    for function in functions:
        if isinstance(function, dict):
            pieces += [function.get("name"), function.get("arguments")]
    return "".join(piece if isinstance(piece, str) else write_json(piece) for piece in pieces if piece)


def _text_of(values: Mapping[str, object], names: Iterable[str]) -> str:
    """Return the first of several fields that is a non-empty text."""
    return next((value for name in names if isinstance(value := values.get(name), str) and value), "")
