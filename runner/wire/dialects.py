"""The dialects: for each API the head of its requests and the decoder of its responses.

A new dialect is a request builder in `runner.providers.request_body`, a decoder in this package, and a line in the
table of each.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openai import AsyncOpenAI

from runner.core.suite import Api
from runner.providers.provider_row import Auth
from runner.wire.decoders.chat_completions import ChatCompletionsDecoder
from runner.wire.decoders.dialect_decoder import DialectDecoder
from runner.wire.decoders.messages import MessagesDecoder
from runner.wire.decoders.responses import ResponsesDecoder


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API: the head of its requests, and the decoder of its responses."""

    send: Callable[[AsyncOpenAI, Mapping[str, Any]], Awaitable[object]]
    """Makes the SDK send a request with further headers, whose head a transport captures."""
    decoder: Callable[[int], DialectDecoder]
    """Makes the decoder of a response, given its status."""
    auth: Auth = "bearer"
    """Header that carries the key, if the provider's row names none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of each request, unless the provider's row replaces them; names in lower case."""
    end_marks: tuple[bytes, ...] = ()
    """Bytes that mark the event which ends a response, before its body ends; `[DONE]` counts in every dialect."""


async def _send_chat_completion(sdk: AsyncOpenAI, headers: Mapping[str, Any]) -> None:
    await sdk.chat.completions.with_raw_response.create(model="", messages=(), extra_headers=headers)


async def _send_response(sdk: AsyncOpenAI, headers: Mapping[str, Any]) -> None:
    await sdk.responses.with_raw_response.create(model="", input="", extra_headers=headers)


async def _send_message(sdk: AsyncOpenAI, headers: Mapping[str, Any]) -> None:
    await sdk.post("/messages", cast_to=object, body={}, options={"headers": headers})


DIALECTS: Mapping[Api, Dialect] = {
    "chat_completions": Dialect(_send_chat_completion, ChatCompletionsDecoder),
    "responses": Dialect(
        _send_response, ResponsesDecoder, end_marks=(b"response.completed", b"response.incomplete", b"response.failed")
    ),
    "messages": Dialect(
        _send_message,
        MessagesDecoder,
        auth="x-api-key",
        headers={"anthropic-version": "2023-06-01"},
        end_marks=(b'"message_stop"',),
    ),
}
