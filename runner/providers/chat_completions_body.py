"""The request builder of the chat completions dialect. Pure."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from runner.core.suite import Parameters
from runner.providers.body_fields import (
    Body,
    BodyBuilder,
    Messages,
    Notes,
    roles_and_texts,
    sampling_fields,
    thinking_fields,
)
from runner.providers.part_fields import blocks, chat_part
from runner.providers.provider_row import Parameter, ProviderRow
from runner.providers.tool_fields import arguments_text, calls_of, chat_tool_fields


def _fields(row: ProviderRow, model: str, parameters: Parameters) -> tuple[Body, Notes]:
    names: Mapping[Parameter, str] = {
        "temperature": "temperature",
        "top_p": "top_p",
        "seed": "seed",
        "stop": "stop",
        "max_tokens": row.max_tokens_field,
    }
    sampling, notes = sampling_fields(row, model, parameters, names, "chat_completions")
    thinking, note = thinking_fields(row, model, parameters.thinking, "chat_completions", {})
    body: Body = {"model": model, **sampling, **chat_tool_fields(parameters), "stream": parameters.stream}
    if parameters.response_format is not None:
        body["response_format"] = dict(parameters.response_format)
    if parameters.stream and row.stream_options:
        body["stream_options"] = {"include_usage": True}
    return body | thinking | dict(parameters.extra_body), (*notes, *filter(None, (note,)))


def _with_messages(body: Body, messages: Messages) -> Body:
    return {**body, "messages": [_message(message) for message in messages]}


def _message(message: Mapping[str, Any]) -> Mapping[str, object]:
    """Return a message in this dialect, with its parts, its calls, or the id of the call that it answers."""
    if "parts" in message:
        return {"role": message["role"], "content": blocks(message, chat_part)}
    fields = {name: value for name, value in message.items() if name not in {"calls", "call_id"}}
    if message.get("call_id") is not None:
        return {**fields, "tool_call_id": message["call_id"]}
    if not calls_of(message):
        return fields
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(call)}}
        for call in calls_of(message)
    ]
    return {**fields, "content": message["content"] or None, "tool_calls": calls}


CHAT_COMPLETIONS = BodyBuilder(_fields, _with_messages, partial(roles_and_texts, texts_inline=True))
