"""Responses as data: a head, a body in timed steps, an ending. Performs no I/O.

What sends a `Response` knows nothing of chats or faults; what makes one knows nothing of sockets.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from runner.simulator.http_request import RequestError
from runner.simulator.vendors import Answerer

FOREVER_NS = 24 * 3600 * 1_000_000_000
"""A delay that outlasts any client."""

STAMP_BYTES = 19
"""The width of a 64-bit clock; a timestamp is padded to it with blanks, so that lengths are known in advance."""

JSON_TYPE = ("content-type", "application/json")

Headers = tuple[tuple[str, str], ...]


class Step(NamedTuple):
    """A part of the body, and its delay after the request's last byte, in nanoseconds.

    Where `tail` is not None, the time of sending, by `perf_counter_ns`, goes between the two.
    """

    due_ns: int
    head: bytes
    tail: bytes | None = None

    @property
    def size(self) -> int:
        """Its size in bytes, as sent."""
        return len(self.head) + (0 if self.tail is None else STAMP_BYTES + len(self.tail))


class Framing(Enum):
    """How the end of the body is marked."""

    LENGTH = auto()
    CHUNKED = auto()
    RAW = auto()
    """The steps contain the framing, or there is none."""


class Ending(Enum):
    """The end of a response: what happens to its connection."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request. With `Framing.LENGTH` the steps must be a tuple; without a status no head is sent."""

    status: int | None
    headers: Headers
    steps: Iterable[Step]
    framing: Framing = Framing.LENGTH
    head_due_ns: int = 0
    ending: Ending = Ending.KEEP


@dataclass(frozen=True, slots=True)
class Envelope:
    """The members that all chunks of a completion share."""

    id: str
    created: int
    model: str
    input_tokens: int
    include_usage: bool = False
    cached_tokens: int | None = 0
    """The input tokens that came from a cache; None where the usage does not say."""
    answerer: Answerer = field(default_factory=Answerer)


def whole_response(status: int, body: bytes, headers: Headers) -> Response:
    """Return a response whose body is known as a whole."""
    return Response(status, headers, (Step(0, body),))


def json_response(status: int, payload: object, headers: Headers = ()) -> Response:
    """Return a JSON document."""
    return whole_response(status, encode(payload), (JSON_TYPE, *headers))


def error_response(error: RequestError) -> Response:
    """Return an error as OpenAI's clients expect it."""
    return json_response(error.status, error.body)


def stamped_response(document: Mapping[str, object], due_ns: int) -> Response:
    """Return a JSON document with its timestamp, all of it sent when it is due."""
    return Response(200, (JSON_TYPE,), (Step(due_ns, open_stamp(document), b"}"),), head_due_ns=due_ns)


def stream_response(steps: Iterable[Step]) -> Response:
    """Return a response of server-sent events, its head sent at once."""
    headers = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
    return Response(200, headers, steps, Framing.CHUNKED)


def open_stamp(document: Mapping[str, object]) -> bytes:
    """Return a JSON document up to the value of `sent_ns`; after it, a brace is missing."""
    return encode(document)[:-1] + b',"sent_ns":'


def encode(payload: object) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


# Events that name their type, as all dialects but chat completions have them


def named_event(document: Mapping[str, object]) -> bytes:
    """Return an event of a stream that is named by its document's type."""
    return b"event: %b\ndata: %b\n\n" % (str(document["type"]).encode(), encode(document))


def open_named_event(document: Mapping[str, object]) -> bytes:
    """Return such an event up to its timestamp."""
    return b"event: %b\ndata: %b" % (str(document["type"]).encode(), open_stamp(document))


def named_step(due_ns: int, before: bytes, document: Mapping[str, object]) -> Step:
    """Return a step of such an event with its timestamp, behind other bytes."""
    return Step(due_ns, before + open_named_event(document), b"}\n\n")
