"""The texts and files of a request that count as input tokens. Pure."""

import json
from collections.abc import Iterable, Iterator

from runner.core.parts import attachments_of
from runner.core.suite import Message, Parameters
from runner.core.token_estimate import likely_attachment_tokens
from runner.providers.tool_fields import tool_text


def counted_texts(messages: Iterable[Message], parameters: Parameters) -> Iterator[str]:
    """Yield the texts of messages and of the tool calls in them, the tools, and the form of the response."""
    for message in messages:
        yield message.content
        yield from (call.name + call.arguments for call in message.calls)
    yield from map(tool_text, parameters.tools)
    if parameters.response_format is not None:
        yield json.dumps(dict(parameters.response_format), default=str)


def likely_file_tokens(messages: Iterable[Message]) -> int:
    """Return about how many tokens the attachments of messages have."""
    return sum(likely_attachment_tokens(each) for message in messages for each in attachments_of(message.parts))
