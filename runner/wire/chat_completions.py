"""The decoder of the chat completions dialect: JSON chunks become events, in every shape that providers send."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from msgspec import DecodeError, Meta, Struct, field
from msgspec.json import Decoder

from runner.core.events import Channel, EmptyChunk, Event, Finished, Flagged, Text, Usage, WholeMessage
from runner.core.finish_reasons import FinishClass, classify_reason
from runner.core.fold import REPEATED_CHARS, Fold
from runner.wire.choice_numbers import Choice, ChoiceNumbers
from runner.wire.error_body import find_error, first_object, has_error_object, reports_error
from runner.wire.failure import failure
from runner.wire.json_value import as_object, write_json
from runner.wire.reasoning_merge import ReasoningMerge
from runner.wire.surrogates import SurrogateJoiner, replace_halves
from runner.wire.think_tags import ThinkTags
from runner.wire.usage_counts import UsageCounts, find_usage

REASONING_NAMES = ("reasoning_content", "reasoning", "thinking")
REASONING_PARTS = ("thinking", "reasoning")
NO_REASON = frozenset({"", "null", "None"})
"""Values of finish_reason that mean null: gateways send them on every chunk, xAI behind tool calls."""

REPLY_NAMES = frozenset({"usage", "x_groq", "model", "delta", "message", "prompt_filter_results"})
"""Fields that only a chunk of the reply has. An object with neither choices nor one of these is a ping."""

PING = re.compile(r"(server[_ -]?)?(ping|pong|heart[_ -]?beat|keep[_ -]?alive|hb|alive|noop)", re.IGNORECASE)
PING_NAMES = ("type", "event", "object", "status", "kind", "action", "message")


def is_ping(value: object) -> bool:
    """Return whether a JSON value only keeps the connection alive: `{"type": "ping"}`, `{}`, `"ping"`, `["PING"]`."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value in ("", [], {}):
        return True
    if isinstance(value, str):
        return PING.fullmatch(value.strip()) is not None
    if not isinstance(value, dict) or value.get("choices") or value.get("usage"):
        return False
    if any(isinstance(name := value.get(key), str) and PING.fullmatch(name.strip()) for key in PING_NAMES):
        return True
    return "choices" not in value and not (value.keys() & REPLY_NAMES)


class ChatCompletionsDecoder:
    """Decodes the chunks of one response, or the completion of one that was not streamed."""

    reply_name: ClassVar[str] = "chat completion"

    def __init__(self, status: int) -> None:
        self._status = status
        self._tags = ThinkTags()
        self._choices = ChoiceNumbers()
        self._usage = UsageCounts()
        self._reasoning = ReasoningMerge()
        self._halves = SurrogateJoiner()
        self._had_text = False
        self._source = ""
        """The name of the field that held the last reasoning."""

    @property
    def settled(self) -> bool:
        """Whether `decode_plain` may be used: text has come, and nothing is held back."""
        return self._had_text and self._choices.plain and self._halves.settled

    def decode_plain(self, data: bytes, at_ns: int) -> Text | None:
        """Return the text of a chunk that adds one piece of text and nothing else; None for every other chunk."""
        text = decode_plain_chunk(data, at_ns)
        if text is None:
            return None
        if text.channel is Channel.REASONING:
            return text if self._reasoning.add_only("reasoning_content", text.text) else None
        return text if self._tags.passes(text.text) else None

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the events of a chunk or a whole completion; `EmptyChunk` where it holds none, nothing for a ping."""
        if is_ping(value):
            return []
        choices, events = self._select(value, at_ns)
        events += decode_chunk(value, at_ns, choices, had_text=self._had_text)
        self._had_text = self._had_text or any(isinstance(event, Text) for event in events)
        events = self._interpret(events, at_ns)
        reason = next((e.reason for e in events if isinstance(e, Finished) and _is_error(e.reason)), None)
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

    def is_ping(self, value: object) -> bool:
        """Return whether a JSON value belongs to no reply and reports nothing."""
        return is_ping(value)

    def flush(self) -> list[Event]:
        """Return the text that is held back because it may be part of a think tag, or half of a character."""
        halves = [split for event in self._halves.flush() for split in self._split(event)]
        return halves + self._deduplicated(self._tags.flush())

    def _select(self, value: Mapping[str, object], at_ns: int) -> tuple[list[Choice], list[Event]]:
        listed = value.get("choices")
        choices: list[Choice] = (
            [choice for choice in listed if isinstance(choice, dict)] if isinstance(listed, list) else []
        )
        if not choices:
            return [], []
        self._source = next(filter(None, (_reasoning_of(part)[0] for c in choices for part in _parts_of(c))), "")
        return self._choices.select(choices, _channels_of, _finishes, at_ns)

    def _interpret(self, events: list[Event], at_ns: int) -> list[Event]:
        """Return events with characters joined, think tags taken out, repeated reasoning dropped, counts merged."""
        interpreted: list[Event] = []
        for event in events:
            if isinstance(event, Text):
                for joined in self._halves.join(event):
                    interpreted += self._split(joined)
                continue
            if isinstance(event, WholeMessage):
                interpreted += self._deduplicated(self._tags.flush())  # it is compared with all that came before
                interpreted.append(self._split_whole(event))
                continue
            if isinstance(event, Finished):
                interpreted += self._deduplicated(self._tags.flush())
                interpreted.append(replace(event, reason=replace_halves(event.reason)[0]))
            elif isinstance(event, Usage):
                interpreted.append(self._usage.add(event.raw, at_ns))
            else:
                interpreted.append(event)
        if not any(isinstance(event, Text | EmptyChunk | Usage | Finished | WholeMessage) for event in interpreted):
            interpreted.append(EmptyChunk(at_ns))
        return interpreted

    def _split(self, event: Event) -> list[Event]:
        """Move reasoning in think tags to its channel. A tool call ends the wait for a tag."""
        if not isinstance(event, Text):
            return [event]
        if event.channel is Channel.ANSWER:
            return self._deduplicated(self._tags.feed(event))
        if event.channel is Channel.TOOL:
            return [*self._deduplicated(self._tags.flush()), event]
        new = self._reasoning.add(self._source, event.text)
        return [event._replace(text=new)] if new else []

    def _deduplicated(self, events: Iterable[Event]) -> list[Event]:
        """Return events without reasoning from think tags that a field has repeated."""
        kept: list[Event] = []
        for event in events:
            if isinstance(event, Text) and event.channel is Channel.REASONING:
                new = self._reasoning.add("tags", event.text)
                if new:
                    kept.append(event._replace(text=new))
            else:
                kept.append(event)
        return kept

    def _split_whole(self, event: WholeMessage) -> WholeMessage:
        """Return a whole message with the reasoning in its think tags on its channel."""
        event = replace(event, texts={channel: replace_halves(text)[0] for channel, text in event.texts.items()})
        answer = event.texts.get(Channel.ANSWER)
        if answer is None or event.is_delta:
            return event
        tags, fold = ThinkTags(), Fold()
        fed = [*tags.feed(Text(event.at_ns, Channel.ANSWER, answer)), *tags.flush()]
        for split in fed:
            fold.add(split)
        found = {channel: text for channel in Channel if (text := fold.text(channel)) is not None}
        rest = {channel: text for channel, text in event.texts.items() if channel is not Channel.ANSWER}
        return replace(event, texts=found | rest)


def _objects(listed: object) -> list[Choice]:
    found: Iterable[Choice] = (
        (choice for choice in listed if isinstance(choice, dict)) if isinstance(listed, list) else ()
    )
    return list(found)


def _is_error(reason: str) -> bool:
    return classify_reason(reason) is FinishClass.ERROR


def _finishes(choice: Choice) -> bool:
    return _reason_of(choice) is not None


def _channels_of(choice: Choice) -> list[Channel]:
    """Return the channels on which a choice adds text."""
    return [channel for part in _parts_of(choice) for channel, _ in _texts_by_channel(part)]


def _parts_of(choice: Choice) -> list[Mapping[str, object]]:
    named = (choice.get(name) for name in ("delta", "message"))
    parts: list[Mapping[str, object]] = [part for part in named if isinstance(part, dict)]
    return parts or [{"content": choice.get("text")}]


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


def decode_chunk(
    chunk: Mapping[str, object], at_ns: int, choices: Sequence[Choice] | None = None, *, had_text: bool = False
) -> list[Event]:
    """Return the events of a chunk or a whole completion, text first; `EmptyChunk` where it holds none.

    Args:
        chunk: the JSON object.
        at_ns: when it arrived.
        choices: those of its choices that belong to the reply; all of them if None.
        had_text: whether text has come before, so that a message repeats it.

    """
    if choices is None:
        choices = _objects(chunk.get("choices"))
    model, origin_ns = chunk.get("model"), chunk.get("sent_ns")
    model = replace_halves(model)[0] if isinstance(model, str) and model else None
    origin_ns = origin_ns if type(origin_ns) is int and abs(origin_ns) < 2**63 else None
    events: list[Event] = []
    for choice in choices:
        events += _texts_of_choice(choice, at_ns, origin_ns, model, had_text=had_text or bool(events))
    events += [Finished(at_ns, reason) for choice in choices if (reason := _reason_of(choice)) is not None]
    usage = decode_usage(chunk, choices[0] if choices else {}, at_ns)
    if usage is not None:
        events.append(usage)
    if not events:
        events.append(EmptyChunk(at_ns, model))
    if any(part.get("refusal") for choice in choices for part in _parts_of(choice)):
        events.append(Flagged(at_ns, "refusal"))
    return events


def _texts_of_choice(
    choice: Choice, at_ns: int, origin_ns: int | None, model: str | None, *, had_text: bool
) -> list[Event]:
    """Return the text that a choice adds: of its delta, its message, or a legacy completion's text."""
    events: list[Event] = []
    delta, message = choice.get("delta"), choice.get("message")
    if isinstance(delta, dict) or not isinstance(message, dict):
        added = delta if isinstance(delta, dict) else {"content": choice.get("text")}
        for channel, text in _texts_by_channel(added):
            repeats = had_text and channel is Channel.ANSWER and len(text) >= REPEATED_CHARS
            if repeats and _reason_of(choice) is not None:
                events.append(WholeMessage(at_ns, {channel: text}, is_delta=True))
            else:
                events.append(Text(at_ns, channel, text, origin_ns, model))
    if isinstance(message, dict):
        texts = dict(_texts_by_channel(message))
        if (had_text or events) and texts:
            events.append(WholeMessage(at_ns, texts))
        else:
            events += [Text(at_ns, channel, text, origin_ns, model) for channel, text in texts.items()]
    return events


def _reason_of(choice: Choice) -> str | None:
    """Return a choice's finish_reason; the vendor's own where a router says `stop` for something else."""
    reason, native = choice.get("finish_reason"), choice.get("native_finish_reason")
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    if not isinstance(reason, str) or reason in NO_REASON:
        return None
    if isinstance(native, str) and native not in NO_REASON and classify_reason(reason) is FinishClass.STOP:
        known = classify_reason(native)
        return native if known > FinishClass.UNKNOWN else reason
    return reason


def _texts_by_channel(delta: Mapping[str, object]) -> Iterable[tuple[Channel, str]]:
    content = delta.get("content")
    _, reasoning = _reasoning_of(delta)
    if not isinstance(content, str):
        reasoning_parts, content = _join_parts(content)
        reasoning = reasoning or reasoning_parts
    refusal = delta.get("refusal")
    if isinstance(refusal, str):
        content += refusal
    tools = _tool_text(delta)
    texts = ((Channel.REASONING, reasoning), (Channel.ANSWER, content), (Channel.TOOL, tools))
    return [(channel, text) for channel, text in texts if text]


def _reasoning_of(delta: Mapping[str, object]) -> tuple[str, str]:
    """Return the field that holds reasoning, and the reasoning. Gateways repeat it, so only the first is taken."""
    for name in REASONING_NAMES:
        value = delta.get(name)
        if value:
            text = value if isinstance(value, str) else _first_text(as_object(value), ("content", "text", "summary"))
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


def decode_usage(chunk: Mapping[str, object], choice: Mapping[str, object], at_ns: int) -> Usage | None:
    """Return the token counts of a chunk; None if it has none, or all are null or zero, as in a placeholder."""
    raw = find_usage(chunk, choice)
    return None if raw is None else UsageCounts().add(raw, at_ns)
