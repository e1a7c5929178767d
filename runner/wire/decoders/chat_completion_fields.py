"""The fields in which providers put the text of a chunk or a message, by channel, and its finish_reason."""

import re
from collections.abc import Iterable, Mapping, Sequence

from runner.core.events import ANSWER, REASONING, Channel
from runner.core.finish_reasons import FinishClass, classify_reason
from runner.wire.decoders.chat_completion_calls import call_text
from runner.wire.decoders.lenient_json import as_object

REASONING_NAMES = (
    *("reasoning_content", "reasoning", "thinking", "reasoning_text", "thoughts", "thought"),
    *("thinking_content", "reasoning_summary", "thinking_blocks"),
)
REASONING_FIELDS = frozenset({*REASONING_NAMES, "reasoning_details"})
REASONING_TYPE = re.compile(r"think|thought|reason", re.IGNORECASE)
"""Matches a content part's type, or a delta's role or channel, that marks its text as reasoning."""

ANALYSIS = "analysis"
"""Harmony's channel for reasoning."""

OPENING_TAG = re.compile(r"\s*<(think|thought)>")
INNER = ("content", "text", "summary", "thinking", "reasoning")
"""Fields that hold the text in reasoning that is an object."""

TEXT_NAMES = frozenset({*INNER, "refusal"})

BESIDE_CONTENT = REASONING_FIELDS | {
    *("text", "audio", "refusal", "role", "channel", "extra_content", "tool_calls", "function_call")
}
"""Fields of a delta that hold text, or change the meaning of its content."""

Choice = Mapping[str, object]
"""One of a chunk's choices."""

ANSWER_NAMES = ("text", "output", "output_text", "response", "answer", "generated_text", "value", "result", "data")
"""Fields that hold text in other APIs; only `text` of them is read."""

WITHOUT_TEXT = frozenset(
    {"role", "name", "id", "index", "type", "object", "finish_reason", "stop_reason", "matched_stop", "usage"}
    | {"logprobs", "token_ids", "refusal", "annotations", "citations", "audio", "images", "padding", "obfuscation"}
    | {"reasoning_details", "reasoning_signature", "thought_signature", "signature", "prefix", "tool_call_id"}
    | {"extra_content", "provider_specific_fields"}
)
"""Fields that may be filled in a chunk without text. Any other filled field counts as unreadable content."""


def objects_of(listed: object) -> list[Mapping[str, object]]:
    """Return the objects of a list; a single object counts as a list of one."""
    found = listed if isinstance(listed, list) else [listed]
    return [each for each in found if isinstance(each, dict)]


def parts_of(choice: Choice) -> list[Mapping[str, object]]:
    """Return the objects in which a choice may have text: its delta, its message, or a legacy completion's text."""
    parts, text = sent_parts(choice), choice.get("text")
    return [*parts, {"content": text}] if text and not any(map(texts_by_channel, parts)) else parts


def sent_parts(choice: Choice) -> list[Mapping[str, object]]:
    """Return the delta and the message of a choice as objects."""
    return [*as_parts(choice.get("delta")), *as_parts(choice.get("message"))]


def as_parts(part: object) -> list[Mapping[str, object]]:
    """Return a delta or a message as objects: some gateways send a list, or only the text."""
    if part is None:
        return []
    return [{"content": part}] if isinstance(part, str) else objects_of(part)


def texts_by_channel(delta: Mapping[str, object]) -> Sequence[tuple[Channel, str]]:
    """Return the text that a delta or a message adds to each channel, without the channels that get none."""
    content = delta.get("content")
    if BESIDE_CONTENT.isdisjoint(delta) and (content is None or isinstance(content, str)):
        return [(ANSWER, content)] if content else []
    _, reasoning = reasoning_of(delta)
    if not isinstance(content, str):
        reasoning_parts, content = _join_parts(content)
        reasoning = reasoning or reasoning_parts
    content = content or _first_text(delta, ("text",)) or _first_text(as_object(delta.get("audio")), ("transcript",))
    refusal = delta.get("refusal")
    if isinstance(refusal, str) and refusal != content:
        content += refusal
    if content and is_marked_reasoning(delta):
        reasoning, content = reasoning or OPENING_TAG.sub("", content, count=1), ""
    tools = call_text(delta)
    texts = ((REASONING, reasoning), (ANSWER, content), (Channel.TOOL, tools))
    return [(channel, text) for channel, text in texts if text]


def is_marked_reasoning(delta: Mapping[str, object]) -> bool:
    """Return whether a delta marks its content as reasoning, by its role, its channel, or Gemini's `thought`."""
    google = as_object(as_object(delta.get("extra_content")).get("google"))
    if delta.get("thought") is True or google.get("thought") is True:
        return True
    named = (name for key in ("role", "channel") if isinstance(name := delta.get(key), str))
    return any(name == ANALYSIS or REASONING_TYPE.match(name) for name in named)


def reasoning_of(delta: Mapping[str, object]) -> tuple[str, str]:
    """Return the field that holds reasoning, and the reasoning. Gateways repeat it, so only the first field counts."""
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
        elif isinstance(part, dict) and _is_reasoning_part(part):
            reasoning.append(_reasoning_part(part))
        elif isinstance(part, dict):
            nested = as_object(part.get("text"))
            answer.append(_first_text(nested, ("value",)) or _first_text(part, ("text", "content", "refusal")))
    return "".join(reasoning), "".join(answer)


def _is_reasoning_part(part: Mapping[str, object]) -> bool:
    kind = part.get("type")
    return part.get("thought") is True or (isinstance(kind, str) and REASONING_TYPE.search(kind) is not None)


def _reasoning_part(part: Mapping[str, object]) -> str:
    """Return a reasoning part's text; Mistral and OpenAI nest a list of text parts in it."""
    nested = next((part[name] for name in INNER if isinstance(part.get(name), list)), None)
    if isinstance(nested, list):
        return "".join(_first_text(as_object(piece), ("text",)) for piece in nested)
    return _first_text(part, INNER)


def _first_text(values: Mapping[str, object], names: Iterable[str]) -> str:
    """Return the first of several fields that is a non-empty text; the empty text if none is."""
    return next((value for name in names if isinstance(value := values.get(name), str) and value), "")


def is_unread(part: Mapping[str, object], *, had_text: bool) -> bool:
    """Return whether a part without text has content where text may be, in an unknown shape.

    Once text has arrived, other fields are taken to describe it, except those whose names suggest text.
    """
    if texts_by_channel(part):
        return False
    names = ANSWER_NAMES if had_text else part.keys() - WITHOUT_TEXT - {"content"}
    return _is_unread_content(part.get("content")) or any(
        isinstance(value := part.get(name), str | list | dict) and value for name in names
    )


def _is_unread_content(content: object) -> bool:
    """Return whether content without readable text is neither null nor empty text in a known shape."""
    if isinstance(content, list):
        return any(map(_is_unread_content, content)) or any(isinstance(each, list) and each for each in content)
    if isinstance(content, dict):
        return bool(content) and content.keys().isdisjoint(TEXT_NAMES) and not _is_reasoning_part(content)
    return content is not None and content is not False and not isinstance(content, str)


# The reason for which a reply ended

NO_REASON = frozenset({"", "null", "None", "none"})
"""Values of finish_reason that mean null: gateways send them with every chunk, xAI after tool calls."""

NAMES = ("finish_reason", "finishReason", "finish_details")
INNER_NAMES = ("finish_reason", "finishReason", "stop_reason")


def reasons_of(choices: Iterable[Choice], chunk: Mapping[str, object]) -> list[str]:
    """Return the finish_reasons of a chunk's choices; if none has one, the chunk's own, which some gateways send."""
    found = [reason for choice in choices if (reason := reason_of(choice)) is not None]
    if found or "choices" not in chunk:
        return found
    own = reason_of(chunk)
    return [] if own is None else [own]


def reason_of(choice: Mapping[str, object]) -> str | None:
    """Return a choice's finish_reason; the vendor's own if a router reports another reason as `stop`."""
    native, reason = _first_reason(choice, ("native_finish_reason",)), _first_reason(choice, NAMES)
    if reason is None:
        inner = (_first_reason(part, INNER_NAMES) for part in sent_parts(choice))
        reason = next(filter(None, inner), None)
    if reason is None:  # vLLM's stop_reason is the text or the token that stopped it, beside a finish_reason
        reasons = (native, _first_reason(choice, ("stop_reason",)))
        return next((each for each in reasons if each and classify_reason(each) is not FinishClass.UNKNOWN), None)
    if native is not None and classify_reason(reason) is FinishClass.STOP:
        return reason if classify_reason(native) <= FinishClass.TOOLS else native
    return reason


def stops_otherwise(choice: Mapping[str, object]) -> bool:
    """Return whether a choice's stop_reason contradicts the `stop` beside it; it may be the text that stopped it."""
    stop = _first_reason(choice, ("stop_reason",))
    if stop is None or classify_reason(stop) <= FinishClass.UNKNOWN:
        return False
    reason = reason_of(choice)
    return reason is not None and classify_reason(reason) is FinishClass.STOP


def _first_reason(holder: Mapping[str, object], names: Iterable[str]) -> str | None:
    """Return the first reason under some names. Nearly all are null, which is checked first."""
    for name in names:
        if (value := holder.get(name)) and (reason := _as_text(value)):
            return reason
    return None


def _as_text(reason: object) -> str | None:
    """Return a reason of any shape as text; None for null and its substitutes. A positive number counts as a reason."""
    if isinstance(reason, list) and reason:
        reason = reason[0]
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    if isinstance(reason, int) and not isinstance(reason, bool) and reason > 0:
        return str(reason)
    return reason if isinstance(reason, str) and reason not in NO_REASON else None
