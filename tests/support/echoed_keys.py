"""Servers that echo the key that they received, in every place of a response."""

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    ReceivedRequest,
    ScriptedReply,
    ScriptedServer,
    delta_event,
    http_chunk,
    http_head,
    json_reply,
    serve,
    sse_event,
)

VARIABLE = "ACME_API_KEY"


MARK = "‹key›"


def make_key(prefix: str) -> str:
    """Return a random key, which is in no file of this project."""
    return prefix + "TEST" + "SECRET" + secrets.token_hex(8) + "/a+b=c"


def forms(key: str) -> tuple[str, ...]:
    """Return a key as a server might write it."""
    encoded = key.encode()
    return (
        key,
        quote(key, safe=""),
        key.replace("/", "\\/"),
        base64.b64encode(encoded).decode(),
        base64.urlsafe_b64encode(b":" + encoded).decode(),
    )


def streamed(*chunks: bytes) -> ScriptedReply:
    """Return a stream of these events that ends regularly."""
    return ScriptedReply(
        [
            (0, STREAM_HEAD),
            *[(0, http_chunk(chunk)) for chunk in chunks],
            (0, http_chunk(FINISH_EVENT + DONE_EVENT) + b"0\r\n\r\n"),
        ]
    )


def chunk(**parts: object) -> bytes:
    """Return an event whose delta has these parts."""
    return sse_event({"choices": [{"index": 0, "delta": parts}]})


def call(arguments: str) -> dict[str, object]:
    """Return the delta of a tool call."""
    return {"index": 0, "function": {"name": "look", "arguments": arguments}}


def in_pieces(text: str) -> list[str]:
    """Return a text in pieces like those of a model's tokens."""
    return [text[place : place + 3] for place in range(0, len(text), 3)]


ECHOES: dict[str, Callable[[str, str], ScriptedReply]] = {
    "refused": lambda key, all_: json_reply(
        "401 Unauthorized", {"error": {"message": f"bad key: {all_}", "code": key}}
    ),
    "limited": lambda key, all_: json_reply("429 Slow", {"error": {"message": f"{key} {all_}"}}, retry_after_ms="10"),
    "headed": lambda key, _: ScriptedReply(
        [
            (
                0,
                http_head(content_type="text/event-stream", x_request_id=key, x_echo=key)
                + delta_event("Hi")
                + FINISH_EVENT
                + DONE_EVENT,
            )
        ],
        "close",
    ),
    "spoken": lambda _, all_: streamed(delta_event(all_), *map(delta_event, in_pieces(all_))),
    "thought": lambda _, all_: streamed(chunk(reasoning_content=all_), delta_event("Hi")),
    "tooled": lambda _, all_: streamed(chunk(tool_calls=[call(all_)])),
    "named": lambda key, _: streamed(
        sse_event({"id": key, "model": key, "choices": []}), delta_event("Hi", finish_reason=key)
    ),
    "counted": lambda key, _: streamed(
        delta_event("Hi"), sse_event({"choices": [], "usage": {"prompt_tokens": 1, "of": key}})
    ),
    "midway": lambda _, all_: streamed(delta_event("Hi"), sse_event({"error": {"message": all_, "type": all_}})),
    "led-on": lambda key, _: ScriptedReply(
        [(0, http_head("307 Moved", location=f"https://{key}@h.test/{quote(key)}?key={key}", content_length="0"))]
    ),
    "paged": lambda _, all_: json_reply("200 OK", f"<html><title>{all_}</title>{all_}</html>"),
    "garbled": lambda _, all_: streamed(sse_event(f"{{ {all_}")),
    "phrased": lambda key, _: ScriptedReply([(0, http_head(f"400 {key}", content_length="0"))]),
    "cut": lambda key, _: ScriptedReply([(0, http_head("500 Oops", content_length="9999") + key.encode())], "close"),
    "no-http": lambda key, _: ScriptedReply([(0, f"{key} {key}\r\n\r\n".encode())], "close"),
}


HAVE_NO_PLACE_FOR_IT = {"phrased", "no-http"}
"""What these say of a key is dropped with the words around it."""


@contextmanager
def echoing(name: str) -> Iterator[ScriptedServer]:
    """Run a server that echoes the key it received in one of the ways above."""

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        key = asked.headers["authorization"].removeprefix("Bearer ")
        return ECHOES[name](key, " ".join(forms(key)))

    with serve(answer) as server:
        yield server
