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
from runner.providers.content_parts import blocks, chat_part
from runner.providers.provider_row import Parameter, Row


def _fields(row: Row, model: str, parameters: Parameters) -> tuple[Body, Notes]:
    names: Mapping[Parameter, str] = {
        "temperature": "temperature",
        "top_p": "top_p",
        "seed": "seed",
        "stop": "stop",
        "max_tokens": row.max_tokens_field,
    }
    sampling, notes = sampling_fields(row, model, parameters, names, "the chat completions API")
    thinking, note = thinking_fields(row, model, parameters.thinking, "chat_completions", {})
    body: Body = {"model": model, **sampling, "stream": parameters.stream}
    if parameters.response_format is not None:
        body["response_format"] = dict(parameters.response_format)
    if parameters.stream and row.stream_options:
        body["stream_options"] = {"include_usage": True}
    return body | thinking | dict(parameters.extra_body), (*notes, *([note] if note else []))


def _with_messages(body: Body, messages: Messages) -> Body:
    return {**body, "messages": [_message(message) for message in messages]}


def _message(message: Mapping[str, Any]) -> Mapping[str, object]:
    if "parts" not in message:
        return message
    return {"role": message["role"], "content": blocks(message, chat_part)}


CHAT_COMPLETIONS = BodyBuilder(_fields, _with_messages, partial(roles_and_texts, texts_inline=True))
