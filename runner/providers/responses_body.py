"""The request builder of the Responses dialect. Pure."""

from collections.abc import Mapping

from runner.core.suite import Parameters, Thinking
from runner.providers.body_fields import Body, BodyBuilder, Messages, Notes, sampling_fields, thinking_fields
from runner.providers.provider_row import Parameter, Row

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


def _fields(row: Row, model: str, parameters: Parameters) -> tuple[Body, Notes]:
    sampling, notes = sampling_fields(row, model, parameters, NAMES, "the Responses API")
    thinking, note = thinking_fields(row, model, parameters.thinking, "responses", THINKING)
    # Not stored by the provider: each request has the whole conversation, and none refers to an earlier one.
    body: Body = {"model": model, **sampling, "stream": parameters.stream, "store": False, **thinking}
    for name, value in parameters.extra_body.items():
        known = body.get(name) if name in MERGED else None
        body[name] = {**known, **value} if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return body, (*notes, *([note] if note else []))


def _with_messages(body: Body, messages: Messages) -> Body:
    return {**body, "input": messages}


RESPONSES = BodyBuilder(_fields, _with_messages)
