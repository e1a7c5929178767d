"""The request builder of the Messages dialect, Anthropic's published format. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Any

from runner.core.suite import Parameters, Thinking
from runner.providers.body_fields import (
    Body,
    BodyBuilder,
    Messages,
    Notes,
    merge_fields,
    sampling_fields,
    thinking_fields,
)
from runner.providers.part_fields import blocks, content_mark, messages_part
from runner.providers.provider_row import Parameter, ProviderRow
from runner.providers.tool_fields import arguments_object, calls_of, messages_tool_fields

MAX_TOKENS = 8192
"""Value of `max_tokens`, which the dialect requires, if the suite sets none."""

NAMES: Mapping[Parameter, str] = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "top_p": "top_p",
    "stop": "stop_sequences",
}

_ADAPTIVE = {"type": "adaptive", "display": "summarized"}
"""Thinking as long as a question needs. Without `display`, models from Opus 4.7 on do not send its text."""

THINKING: Mapping[Thinking, Mapping[str, object]] = {
    "on": {"thinking": _ADAPTIVE},
    "off": {"thinking": {"type": "disabled"}},
    "low": {"thinking": _ADAPTIVE, "output_config": {"effort": "low"}},
    "medium": {"thinking": _ADAPTIVE, "output_config": {"effort": "medium"}},
    "high": {"thinking": _ADAPTIVE, "output_config": {"effort": "high"}},
}
"""Setting of `thinking` -> its fields as they are published."""

CACHED: Mapping[str, object] = {"cache_control": {"type": "ephemeral"}}
"""Field that marks a whole prompt for caching; this API caches no prompt without a mark.

Source: the reference of the Messages API, `cache_control` at the top of the body.
"""

MERGED = ("output_config",)
"""Objects of the body in which later fields replace single members, such as the format beside the effort."""


def _fields(row: ProviderRow, model: str, parameters: Parameters) -> tuple[Body, Notes]:
    sampling, notes = sampling_fields(row, model, parameters, NAMES, "messages")
    if "max_tokens" not in sampling and "max_tokens" not in parameters.extra_body:
        sampling["max_tokens"] = MAX_TOKENS
        notes.append(f"the Messages API requires max_tokens, so {MAX_TOKENS} was sent to {model}")
    thinking, note = thinking_fields(row, model, parameters.thinking, "messages", THINKING)
    output, unsent = _format_fields(model, parameters.response_format)
    body: Body = {"model": model, **sampling, **messages_tool_fields(parameters), "stream": parameters.stream}
    if parameters.cache == "warm":
        body |= CACHED
    for fields in (thinking, output, parameters.extra_body):
        body = merge_fields(body, fields, MERGED)
    return body, (*notes, *filter(None, (note, unsent)))


def _format_fields(model: str, response_format: Mapping[str, object] | None) -> tuple[Body, str | None]:
    """Return the fields that stand for a `response_format`, or a note that the dialect has none for it."""
    if response_format is None or response_format.get("type") == "text":
        return {}, None
    described = response_format.get("json_schema", response_format)
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if schema is None:
        kind = response_format.get("type", "one without a type")
        return {}, f"the Messages API takes only a response_format with a schema, so {kind} was not sent to {model}"
    assert isinstance(described, Mapping)
    unsent = [name for name in ("name", "description", "strict") if described.get(name) is not None]
    note = f"the Messages API has no {' or '.join(unsent)} for a response's schema, so it was not sent to {model}"
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}, note if unsent else None


def _with_messages(body: Body, messages: Messages) -> Body:
    """Return a body with the system messages in the field `system`, and turns that alternate."""
    system = "\n\n".join(str(message["content"]) for message in messages if message["role"] == "system")
    turns = [message for message in messages if message["role"] != "system"]
    return {**body, **({"system": system} if system else {}), "messages": list(_alternating(turns))}


def _alternating(turns: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, object]]:
    """Yield the turns; empty ones, which the API refuses, are left out, and successive ones of a role are joined."""
    filled = (turn for turn in turns if turn["content"] or turn.get("signed_thinking") or _has_calls(turn))
    for role, group in groupby(filled, key=lambda turn: "user" if turn["role"] == "tool" else turn["role"]):
        joined = list(group)
        is_text = not ({"parts", "signed_thinking"} & joined[0].keys() or _has_calls(joined[0]))
        if len(joined) == 1 and is_text:
            yield {"role": role, "content": joined[0]["content"]}
        else:
            yield {"role": role, "content": [block for turn in joined for block in _blocks_of(turn)]}


def _blocks_of(turn: Mapping[str, Any]) -> list[Mapping[str, object]]:
    """Return a turn as content blocks: the unchanged signed thinking, then its text or parts, then its calls."""
    if "parts" in turn:
        return blocks(turn, messages_part)
    if turn.get("call_id") is not None:
        return [{"type": "tool_result", "tool_use_id": turn["call_id"], "content": turn["content"]}]
    text = [{"type": "text", "text": turn["content"]}] if turn["content"] else []
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_object(call)}
        for call in calls_of(turn)
    ]
    return [*turn.get("signed_thinking", ()), *text, *calls]


def _has_calls(turn: Mapping[str, Any]) -> bool:
    """Return whether a turn makes tool calls or has the result of one."""
    return bool(calls_of(turn)) or turn.get("call_id") is not None


def _read_back(messages: Messages) -> Sequence[tuple[str, str]]:
    body: Mapping[str, Any] = _with_messages({}, messages)
    turns = [read for turn in body["messages"] for read in _read_turn(turn["role"], turn["content"])]
    return [("system", body["system"]), *turns] if "system" in body else turns


def _read_turn(role: str, content: str | Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the results of tools in a turn, then its text, each with its role."""
    blocks = () if isinstance(content, str) else content
    results = [("tool", block["content"]) for block in blocks if block["type"] == "tool_result"]
    text = _text_of(content)
    return [*results, *([(role, text)] if text or not results else [])]


def _text_of(content: str | Sequence[Mapping[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(map(_text_of_block, content))


def _text_of_block(block: Mapping[str, Any]) -> str:
    """Return the text that a server reads in a block; for an attachment, whose data is its digest here, its mark."""
    match block.get("source"):
        case {"type": "base64", "data": str(digest)}:
            return content_mark(digest)
        case {"type": "url", "url": str(text)} | {"type": "text", "data": str(text)}:
            return content_mark(sha256(text.encode()).hexdigest())
    text = block.get("text", "")
    return text if isinstance(text, str) else ""


MESSAGES = BodyBuilder(_fields, _with_messages, _read_back, gives_back_thinking=True)
