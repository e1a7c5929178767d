"""The dialects: for each API the head of its requests, and the decoder of its responses.

A new one is a request builder in `runner.providers.request_body`, a decoder in this package, and a line in each table.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from openai import AsyncOpenAI

from runner.core.events import Event, Text
from runner.core.suite import Api
from runner.providers.provider_row import Auth
from runner.wire.chat_completions import ChatCompletionsDecoder
from runner.wire.messages import MessagesDecoder
from runner.wire.responses import ResponsesDecoder


class DialectDecoder(Protocol):
    """The decoder of one API dialect: turns the JSON values of one response into events."""

    reply_name: ClassVar[str]
    """What the dialect calls a reply, for messages."""

    @property
    def settled(self) -> bool:
        """Whether `decode_plain` may be called: no text is held back that later text decides about."""

    def decode_plain(self, objects: Sequence[bytes], times_ns: Sequence[int]) -> list[Text]:
        """Return the texts of the first JSON objects that add one piece of text each and nothing else.

        Called first for each event, since nearly all of them are of that kind; `decode` returns the same for them.
        """

    def decode_common(self, data: bytes, at_ns: int) -> list[Event] | None:
        """Return the events of a JSON object of a common kind; None for every other. `decode` returns the same for it.

        An `AnsweredBy` at their end has the names in the object, whether or not they have come before.
        """

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the events of a JSON object; a `StreamDone` or `Failed` at their end is the end of the response."""

    def find_error(self, value: object) -> Mapping[str, object] | None:
        """Return the object within a JSON value that reports an error; None if there is none."""

    def holds_reply(self, value: object) -> bool:
        """Return whether a JSON value is a reply or a part of one, with or without an error."""

    def is_ping(self, value: object) -> bool:
        """Return whether a JSON value belongs to no reply and reports nothing: it only keeps the connection alive."""

    def is_foreign(self, value: object) -> bool:
        """Return whether a JSON value says something, but nothing that this dialect knows."""

    def flush(self) -> list[Event]:
        """Return the text that is held back, and flags about it."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API: how its requests are headed, and how its responses are decoded."""

    send: Callable[[AsyncOpenAI, Mapping[str, Any]], Awaitable[object]]
    """Has the SDK send a request with further headers; the transport captures its head."""
    decoder: Callable[[int], DialectDecoder]
    """Makes the decoder of a response, given its status."""
    auth: Auth = "bearer"
    """The header that carries the key, where the provider's row names none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of each request that the provider's row does not replace; names in lower case."""
    end_marks: tuple[bytes, ...] = ()
    """What the events hold that end a response before its body ends; `[DONE]` is known in every dialect."""


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
