"""Responses as data: a head, a body in timed steps, an ending. Performs no I/O.

Code that sends a `Response` does not depend on chats or faults; code that makes one does not depend on sockets.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from time import perf_counter_ns
from typing import NamedTuple

from runner.simulator.http_request import RequestError
from runner.simulator.vendors import Answerer

FOREVER_NS = 24 * 3600 * 1_000_000_000
"""Delay in nanoseconds that is longer than any client waits."""

TIMESTAMP_BYTES = 19
"""Width of a timestamp of 64 bits; timestamps are padded to it with blanks, so that lengths are known in advance."""

JSON_TYPE = ("content-type", "application/json")

STEPS_PER_WRITE = 64
"""Most steps without a delay that are written before other streams get a turn."""

LAST_CHUNK = b"0\r\n\r\n"

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
        return len(self.head) + (0 if self.tail is None else TIMESTAMP_BYTES + len(self.tail))


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

    def cached_tokens_as(self, member: str) -> dict[str, object]:
        """Return the member of a usage with the cached tokens; empty if the usage does not report them."""
        return {} if self.cached_tokens is None else {member: {"cached_tokens": self.cached_tokens}}


def bytes_response(status: int, body: bytes, headers: Headers) -> Response:
    """Return a response whose whole body is known."""
    return Response(status, headers, (Step(0, body),))


def json_response(status: int, payload: object, headers: Headers = ()) -> Response:
    """Return a response with a JSON document."""
    return bytes_response(status, encode(payload), (JSON_TYPE, *headers))


def error_response(error: RequestError) -> Response:
    """Return an error in the form that OpenAI's clients expect."""
    return json_response(error.status, error.body)


def timestamped_response(document: Mapping[str, object], due_ns: int) -> Response:
    """Return a response with a JSON document and its timestamp, all of it sent after the delay `due_ns`."""
    return Response(200, (JSON_TYPE,), (Step(due_ns, open_timestamp(document), b"}"),), head_due_ns=due_ns)


def stream_response(steps: Iterable[Step]) -> Response:
    """Return a response of server-sent events, whose head is sent immediately."""
    headers = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
    return Response(200, headers, steps, Framing.CHUNKED)


def open_timestamp(document: Mapping[str, object]) -> bytes:
    """Return a JSON document up to the value of `sent_ns`; only the value and a closing brace are missing."""
    return encode(document)[:-1] + b',"sent_ns":'


def encode(payload: object) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


# A response that is being sent


class TimedResponse:
    """A response that is being sent: the bytes that are due, with their timestamp. Performs no I/O.

    The delay of a step counts from the request's last byte, which came at `start_ns`, and not from the step before, so
    that delays do not add up. Steps that are due at the same time are sent together, with one timestamp.
    """

    def __init__(self, response: Response, head: bytes | None, start_ns: int, *, bodiless: bool) -> None:
        self.response = response
        self._head = head
        self._start_ns = start_ns
        self._steps = iter(() if bodiless else response.steps)
        self._step = next(self._steps, None)
        self._chunked = response.framing is Framing.CHUNKED

    @property
    def due_ns(self) -> int | None:
        """Time of the next part, in `perf_counter_ns`; None if all parts are sent."""
        if self._head is not None:
            return self._start_ns + self.response.head_due_ns
        return None if self._step is None else self._start_ns + self._step.due_ns

    def take_due(self, now_ns: int) -> bytes:
        """Return the bytes that are due at `now_ns`, with the current time as their timestamp."""
        head = self._take_head(now_ns)
        steps = self._take_steps(now_ns) if self._head is None else []
        end = LAST_CHUNK if self._chunked and self.due_ns is None else b""
        timestamp = b"%*d" % (TIMESTAMP_BYTES, perf_counter_ns())
        return b"".join([head, *(_frame(step, timestamp, chunked=self._chunked) for step in steps), end])

    def _take_head(self, now_ns: int) -> bytes:
        if self._head is None or self._start_ns + self.response.head_due_ns > now_ns:
            return b""
        head, self._head = self._head, None
        return head

    def _take_steps(self, now_ns: int) -> list[Step]:
        taken: list[Step] = []
        due_by_ns = now_ns - self._start_ns
        while self._step is not None and self._step.due_ns <= due_by_ns and len(taken) < STEPS_PER_WRITE:
            taken.append(self._step)
            self._step = next(self._steps, None)
        return taken


def _frame(step: Step, timestamp: bytes, *, chunked: bool) -> bytes:
    body = step.head if step.tail is None else step.head + timestamp + step.tail
    # An empty chunk would end the body.
    return b"%x\r\n%b\r\n" % (len(body), body) if chunked and body else body
