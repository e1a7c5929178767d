"""Responses as data: a head, a body in timed steps, an ending. Performs no I/O.

What sends a `Response` knows nothing of chats or faults; what makes one knows nothing of sockets.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from runner.core.events import Channel
from runner.simulator.request import RequestError
from runner.simulator.timed_answer import Chunk, TimedAnswer
from runner.simulator.vendors import Answerer

FOREVER_NS = 24 * 3600 * 1_000_000_000
"""A delay that outlasts any client."""

STAMP_BYTES = 19
"""The width of a 64-bit clock; a timestamp is padded to it with blanks, so that lengths are known in advance."""

DONE = b"data: [DONE]\n\n"
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


def whole_response(status: int, body: bytes, headers: Headers, *, due_ns: int = 0) -> Response:
    """Return a response whose body is known as a whole."""
    return Response(status, headers, (Step(due_ns, body),), head_due_ns=due_ns)


def json_response(status: int, payload: object, headers: Headers = ()) -> Response:
    """Return a JSON document."""
    return whole_response(status, encode(payload), (JSON_TYPE, *headers))


def error_response(error: RequestError, headers: Headers = ()) -> Response:
    """Return an error as OpenAI's clients expect it."""
    return json_response(error.status, error.body, headers)


def completion_response(answer: TimedAnswer, envelope: Envelope) -> Response:
    """Return the whole answer as JSON, sent when a stream of it would have ended."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": answer.text if answer.text or not answer.calls else None,
    }
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = [_call(call.name, call.arguments, call.id) for call in answer.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    document = {
        **_identity("chat.completion", envelope),
        "choices": [choice],
        "usage": count_usage(answer, envelope),
    }
    step = Step(answer.last_due_ns, open_stamp(document), b"}")
    return Response(200, (JSON_TYPE,), (step,), head_due_ns=answer.last_due_ns)


def stream_response(steps: Iterable[Step]) -> Response:
    """Return a response of server-sent events, its head sent at once."""
    headers = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
    return Response(200, headers, steps, Framing.CHUNKED)


def stream_steps(answer: TimedAnswer, envelope: Envelope) -> Iterator[Step]:
    """Yield the answer chunk by chunk; every chunk has its timestamp as `sent_ns`."""
    opening, closing = _chunk_frame(envelope, finish_reason=None)
    if answer.chunks:
        yield Step(answer.first_due_ns, opening + b'{"role":"assistant","content":""}' + closing, b"}\n\n")
    for chunk in answer.chunks:
        delta = _delta(chunk.channel, chunk.text) if chunk.call is None else _call_delta(chunk, chunk.call, answer)
        yield Step(chunk.due_ns, opening + delta + closing, b"}\n\n")
    due_ns = answer.last_due_ns
    opening, closing = _chunk_frame(envelope, finish_reason=answer.finish_reason)
    yield Step(due_ns, opening + b"{}" + closing, b"}\n\n")
    if envelope.include_usage:
        yield Step(due_ns, usage_event(answer, envelope), b"}\n\n")
    yield Step(due_ns, DONE)


def usage_event(answer: TimedAnswer, envelope: Envelope) -> bytes:
    """Return the chunk with the token counts, up to its timestamp."""
    usage = count_usage(answer, envelope)
    return b"data: " + open_stamp({**_identity("chat.completion.chunk", envelope), "choices": [], "usage": usage})


def count_usage(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Return the token counts of a request and its answer."""
    return {
        "prompt_tokens": envelope.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": envelope.input_tokens + answer.output_tokens,
        **(
            {}
            if envelope.cached_tokens is None
            else {"prompt_tokens_details": {"cached_tokens": envelope.cached_tokens}}
        ),
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }


def _identity(kind: str, envelope: Envelope) -> dict[str, object]:
    return {
        "id": envelope.id,
        "object": kind,
        "created": envelope.created,
        "model": envelope.model,
        **envelope.answerer.names,
    }


def _chunk_frame(envelope: Envelope, finish_reason: str | None) -> tuple[bytes, bytes]:
    """Return the bytes before and after a chunk's delta, up to the timestamp."""
    delta = "\0delta"
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    usage = {"usage": None} if envelope.include_usage else {}
    event = open_stamp({**_identity("chat.completion.chunk", envelope), "choices": [choice], **usage})
    opening, _, closing = event.partition(encode(delta))
    return b"data: " + opening, closing


@lru_cache(maxsize=4096)
def _delta(channel: Channel, text: str) -> bytes:
    return encode({"reasoning_content" if channel is Channel.REASONING else "content": text})


def _call_delta(chunk: Chunk, number: int, answer: TimedAnswer) -> bytes:
    """Return a delta with a piece of a tool call: its id and name, or more of its arguments."""
    begun = _call(chunk.text, "", answer.calls[number].id)
    piece = begun if chunk.is_name else {"function": {"arguments": chunk.text}}
    return encode({"tool_calls": [{"index": number, **piece}]})


def _call(name: str, arguments: str, own_id: str | None) -> dict[str, object]:
    return {"id": own_id, "type": "function", "function": {"name": name, "arguments": arguments}}


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
