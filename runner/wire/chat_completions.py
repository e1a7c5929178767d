"""The decoder of the chat completions dialect: JSON chunks become events, in every shape that providers send."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import DecodeError, Meta, Struct, field
from msgspec.json import Decoder

from runner.core.events import Channel, EmptyChunk, Event, Finished, Flagged, Text, Usage
from runner.core.fold import ERROR_REASONS
from runner.wire.error_body import find_error, first_object, has_error_object, reports_error
from runner.wire.failure import failure
from runner.wire.json_value import as_object, write_json
from runner.wire.think_tags import ThinkTags

REASONING_NAMES = ("reasoning_content", "reasoning", "thinking")
REASONING_PARTS = ("thinking", "reasoning")
NO_REASON = frozenset({"", "null", "None"})
"""Values of finish_reason that mean null: gateways send them on every chunk, xAI behind tool calls."""


class ChatCompletionsDecoder:
    """Decodes the chunks of one response, or the completion of one that was not streamed."""

    reply_name: ClassVar[str] = "chat completion"

    def __init__(self, status: int) -> None:
        self._status = status
        self._tags = ThinkTags()

    @property
    def settled(self) -> bool:
        """Whether no think tag can come any more, so that `decode_plain` may be used."""
        return self._tags.settled

    def decode_plain(self, data: bytes, at_ns: int) -> Text | None:
        """Return the text of a chunk that adds one piece of text and nothing else; None for every other chunk."""
        return decode_plain_chunk(data, at_ns)

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the events of a chunk or a whole completion, text first; `EmptyChunk` where it holds none."""
        events = decode_chunk(value, at_ns)
        reason = next((e.reason for e in events if isinstance(e, Finished) and e.reason in ERROR_REASONS), None)
        if not self._tags.settled:
            events = self._split_think_tags(events, at_ns)
        if reason is not None:
            message = f"the reply ended with finish_reason {reason}"
            events.append(failure("server", message, at_ns, status=self._status, code=reason))
        return events

    def find_error(self, value: object) -> Mapping[str, object] | None:
        """Return the object within a JSON value that reports an error: the value itself, or its first choice."""
        outer = first_object(value)
        choices = outer.get("choices")
        if not choices or reports_error(outer):
            return find_error(outer)
        first = as_object(choices[0]) if isinstance(choices, list) else {}
        return first if has_error_object(first) else None

    def holds_reply(self, value: object) -> bool:
        """Return whether a JSON value has choices."""
        return bool(as_object(value).get("choices"))

    def flush(self) -> list[Text]:
        """Return the text that is held back because it may be part of a think tag."""
        return self._tags.flush()

    def _split_think_tags(self, events: list[Event], at_ns: int) -> list[Event]:
        """Move reasoning in think tags to its channel; any event but text of the answer ends the wait for a tag."""
        split: list[Event] = []
        for event in events:
            if isinstance(event, Text) and event.channel is Channel.ANSWER:
                split += self._tags.feed(event)
                continue
            if isinstance(event, Text | Finished):
                split += self._tags.flush()
            split.append(event)
        if not any(isinstance(event, Text | EmptyChunk | Usage | Finished) for event in split):
            split.append(EmptyChunk(at_ns))
        return split


# The plain chunk: nearly all chunks are like this.


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


def decode_plain_chunk(data: bytes, at_ns: int) -> Text | None:
    """Return the text of a chunk that adds one piece of text and nothing else; None for every other chunk.

    The shape of such a chunk is declared, and checked while it is decoded. `decode_chunk` returns the same in five
    times the time, which matters where decoding shares a core with measuring.
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


# Any chunk


def decode_chunk(chunk: Mapping[str, object], at_ns: int) -> list[Event]:
    """Return the events of a chunk or a whole completion, text first; `EmptyChunk` where it holds none."""
    choice, has_others = _first_choice(chunk.get("choices"))
    model, origin_ns = chunk.get("model"), chunk.get("sent_ns")
    model = model if isinstance(model, str) and model else None
    origin_ns = origin_ns if type(origin_ns) is int and abs(origin_ns) < 2**63 else None
    delta = _delta(choice)
    events: list[Event] = [Text(at_ns, channel, text, origin_ns, model) for channel, text in _texts_by_channel(delta)]
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason not in NO_REASON:
        events.append(Finished(at_ns, reason))
    usage = decode_usage(chunk, choice, at_ns)
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
    """Return the choice with index 0, and whether there are others, which no request asks for."""
    if not isinstance(choices, list):
        return {}, False
    objects = [choice for choice in choices if isinstance(choice, dict)]
    own = [choice for choice in objects if not choice.get("index")]
    return own[0] if own else {}, len(objects) > len(own)


def _delta(choice: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a choice adds: a delta, the message of a whole completion, or a legacy completion's text."""
    for name in ("delta", "message"):
        added = choice.get(name)
        if isinstance(added, dict):
            return added
    return {"content": choice.get("text")}


def _texts_by_channel(delta: Mapping[str, object]) -> Iterable[tuple[Channel, str]]:
    content = delta.get("content")
    reasoning = _reasoning(delta)
    if not isinstance(content, str):
        reasoning_parts, content = _join_parts(content)
        reasoning = reasoning or reasoning_parts
    refusal = delta.get("refusal")
    if isinstance(refusal, str):
        content += refusal
    tools = _tool_text(delta)
    texts = ((Channel.REASONING, reasoning), (Channel.ANSWER, content), (Channel.TOOL, tools))
    return [(channel, text) for channel, text in texts if text]


def _reasoning(delta: Mapping[str, object]) -> str:
    """Return the reasoning. Gateways repeat it under several names, so only the first is taken."""
    for name in REASONING_NAMES:
        value = delta.get(name)
        if value:
            text = value if isinstance(value, str) else _first_text(as_object(value), ("content", "text", "summary"))
            if text:
                return text
    details = delta.get("reasoning_details")
    if not isinstance(details, list):
        return ""
    return "".join(_first_text(as_object(detail), ("text", "summary")) for detail in details)


def _join_parts(content: object) -> tuple[str, str]:
    """Return the reasoning and the answer in a list of content parts."""
    reasoning, answer = [], []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            answer.append(part)
        elif isinstance(part, dict) and part.get("type") in REASONING_PARTS:
            reasoning.append(_reasoning_part(part))
        elif isinstance(part, dict):
            answer.append(_first_text(part, ("text", "refusal")))
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
    functions = [as_object(entry).get("function") for entry in calls] if isinstance(calls, list) else []
    functions.append(call)
    pieces = []
    for function in functions:
        if isinstance(function, dict):
            pieces += [function.get("name"), function.get("arguments")]
    return "".join(piece if isinstance(piece, str) else write_json(piece) for piece in pieces if piece)


def _first_text(values: Mapping[str, object], names: Iterable[str]) -> str:
    """Return the first of several fields that is a non-empty text; the empty text if none is."""
    return next((value for name in names if isinstance(value := values.get(name), str) and value), "")


# Usage

Path = tuple[str, ...]

INPUT: Sequence[Path] = (("prompt_tokens",), ("input_tokens",))
OUTPUT: Sequence[Path] = (("completion_tokens",), ("output_tokens",))
TOTAL: Sequence[Path] = (("total_tokens",),)
REASONING: Sequence[Path] = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),
)
CACHED: Sequence[Path] = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
    ("cache_read_input_tokens",),
)

LARGEST_COUNT = 2**53


def decode_usage(chunk: Mapping[str, object], choice: Mapping[str, object], at_ns: int) -> Usage | None:
    """Return the token counts of a chunk; None if it has none, or all are null or zero, as in a placeholder."""
    places = (chunk.get("usage"), choice.get("usage"), as_object(chunk.get("x_groq")).get("usage"))
    return next((usage for place in places if place and (usage := _usage_of(as_object(place), at_ns))), None)


def _usage_of(raw: Mapping[str, object], at_ns: int) -> Usage | None:
    prompt, output, total = (_count(raw, paths) for paths in (INPUT, OUTPUT, TOTAL))
    if not (prompt or output or total):
        return None
    reasoning = _count(raw, REASONING)
    if reasoning and output is not None and total == (prompt or 0) + output + reasoning:
        output += reasoning  # xAI counts reasoning beside the output; everybody else within it
    return Usage(at_ns, prompt, output, reasoning, _count(raw, CACHED), raw)


def _count(raw: Mapping[str, object], paths: Sequence[Path]) -> int | None:
    """Return the first count that is present, None if none is; some gateways write it as a float."""
    for *parents, name in paths:
        value = (as_object(raw.get(parents[0])) if parents else raw).get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LARGEST_COUNT:
            return int(value)
    return None
