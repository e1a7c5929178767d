"""The request builder of the Responses dialect. Pure."""

from collections.abc import Iterator, Mapping, Sequence
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
from runner.providers.part_fields import blocks, read_text, responses_part
from runner.providers.provider_row import Parameter, ProviderRow
from runner.providers.tool_fields import arguments_text, calls_of, responses_tool_fields

NAMES: Mapping[Parameter, str] = {
    "temperature": "temperature",
    "max_tokens": "max_output_tokens",
    "top_p": "top_p",
}
THINKING: Mapping[Thinking, Body] = {
    "on": {"reasoning": {"effort": "medium"}},
    "off": {"reasoning": {"effort": "none"}},
    "low": {"reasoning": {"effort": "low"}},
    "medium": {"reasoning": {"effort": "medium"}},
    "high": {"reasoning": {"effort": "high"}},
}
MERGED = ("reasoning", "text")
"""Objects of the body in which `extra_body` replaces single members, such as the summary beside the effort."""


def _fields(row: ProviderRow, model: str, parameters: Parameters) -> tuple[Body, Notes]:
    sampling, notes = sampling_fields(row, model, parameters, NAMES, "responses")
    thinking, note = thinking_fields(row, model, parameters.thinking, "responses", THINKING)
    # The provider stores nothing: each request has the whole conversation and refers to no earlier one.
    body: Body = {"model": model, **sampling, "stream": parameters.stream, "store": False, **thinking}
    body |= responses_tool_fields(parameters)
    if parameters.response_format is not None:
        body["text"] = {"format": _text_format(parameters.response_format)}
    return merge_fields(body, parameters.extra_body, MERGED), (*notes, *filter(None, (note,)))


def _text_format(response_format: Mapping[str, object]) -> Body:
    """Return a `response_format` in this dialect: the members of its `json_schema` are beside the type."""
    fields = dict(response_format)
    schema = fields.pop("json_schema", None)
    return {**fields, **schema} if isinstance(schema, Mapping) else dict(response_format)


def _with_messages(body: Body, messages: Messages) -> Body:
    return {**body, "input": [item for message in messages for item in _items(message)]}


def _items(message: Mapping[str, Any]) -> Iterator[Mapping[str, object]]:
    """Yield a message as items; each call and each result is an item of its own, apart from the text."""
    if message.get("call_id") is not None:
        yield {"type": "function_call_output", "call_id": message["call_id"], "output": message["content"]}
        return
    if "parts" in message:
        yield {"role": message["role"], "content": blocks(message, responses_part)}
    elif message["content"] or not calls_of(message):
        yield {name: value for name, value in message.items() if name not in {"calls", "call_id"}}
    for call in calls_of(message):
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments_text(call)}


def _read_back(messages: Messages) -> Sequence[tuple[str, str]]:
    turns: list[tuple[str, str]] = []
    for item in (item for each in messages for item in ([each] if "parts" in each else _items(each))):
        if item.get("type") == "function_call_output":
            turns.append(("tool", str(item["output"])))
        elif item.get("type") != "function_call":
            turns.append((str(item["role"]), read_text(item, texts_inline=False)))
        elif not turns or turns[-1][0] != "assistant":  # else it is part of the assistant's message before it
            turns.append(("assistant", ""))
    return turns


RESPONSES = BodyBuilder(_fields, _with_messages, _read_back)
