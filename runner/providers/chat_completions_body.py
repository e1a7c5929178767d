"""The request builder of the chat completions dialect. Pure."""

from collections.abc import Mapping

from runner.core.suite import Parameters
from runner.providers.body_fields import Body, BodyBuilder, Messages, Notes, sampling_fields, thinking_fields
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
    return {**body, "messages": messages}


CHAT_COMPLETIONS = BodyBuilder(_fields, _with_messages)
