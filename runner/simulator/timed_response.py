"""Responses as data: a head, a body in timed steps, an ending. Performs no I/O.

Code that sends a `Response` does not depend on chats or faults; code that makes one does not depend on sockets.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from runner.simulator.http_request import RequestError
from runner.simulator.vendors import Answerer

FOREVER_NS = 24 * 3600 * 1_000_000_000
"""Delay in nanoseconds that is longer than any client waits."""

STAMP_BYTES = 19
"""Width of a timestamp of 64 bits; timestamps are padded to it with blanks, so that lengths are known in advance."""

JSON_TYPE = ("content-type", "application/json")

Headers = tuple[tuple[str, str], ...]


class Step(NamedTuple):
    """A part of the body, and its delay after the request's last byte, in nanoseconds.

    If `tail` is not None, the time of sending, in `perf_counter_ns`, is inserted before it.
    """

    due_ns: int
    head: bytes
    tail: bytes | None = None

    @property
    def size(self) -> int:
        """Size in bytes, as sent."""
        return len(self.head) + (0 if self.tail is None else STAMP_BYTES + len(self.tail))


class Framing(Enum):
    """The way in which the end of the body is marked."""

    LENGTH = auto()
    CHUNKED = auto()
    RAW = auto()
    """The steps contain the framing, or the body has none."""


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
    """The values that all chunks of a completion share."""

    id: str
    created: int
    model: str
    input_tokens: int
    include_usage: bool = False
    cached_tokens: int | None = 0
    """Number of input tokens from a cache; None if the usage does not report it."""
    answerer: Answerer = field(default_factory=Answerer)


def whole_response(status: int, body: bytes, headers: Headers) -> Response:
    """Return a response whose whole body is known."""
    return Response(status, headers, (Step(0, body),))


def json_response(status: int, payload: object, headers: Headers = ()) -> Response:
    """Return a response with a JSON document."""
    return whole_response(status, encode(payload), (JSON_TYPE, *headers))


def error_response(error: RequestError) -> Response:
    """Return an error in the form that OpenAI's clients expect."""
    return json_response(error.status, error.body)


def stamped_response(document: Mapping[str, object], due_ns: int) -> Response:
    """Return a response with a JSON document and its timestamp, all of it sent after the delay `due_ns`."""
    return Response(200, (JSON_TYPE,), (Step(due_ns, open_stamp(document), b"}"),), head_due_ns=due_ns)


def stream_response(steps: Iterable[Step]) -> Response:
    """Return a response of server-sent events, whose head is sent immediately."""
    headers = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
    return Response(200, headers, steps, Framing.CHUNKED)


def open_stamp(document: Mapping[str, object]) -> bytes:
    """Return a JSON document up to the value of `sent_ns`; only the value and a closing brace are missing."""
    return encode(document)[:-1] + b',"sent_ns":'


def encode(payload: object) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


# Events with a named type, as in all dialects except chat completions


def named_event(document: Mapping[str, object]) -> bytes:
    """Return an event of a stream with the type of its document as its name."""
    return b"event: %b\ndata: %b\n\n" % (str(document["type"]).encode(), encode(document))


def open_named_event(document: Mapping[str, object]) -> bytes:
    """Return an event as `named_event` does, up to its timestamp."""
    return b"event: %b\ndata: %b" % (str(document["type"]).encode(), open_stamp(document))


def named_step(due_ns: int, before: bytes, document: Mapping[str, object]) -> Step:
    """Return a step with the bytes `before`, then a named event with its timestamp."""
    return Step(due_ns, before + open_named_event(document), b"}\n\n")
