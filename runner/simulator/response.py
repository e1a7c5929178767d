"""What the server sends back, as data: a head, a body in timed steps, an ending. Performs no I/O.

Whoever plays a `Response` needs to know nothing of chats or faults; whoever makes one, nothing of sockets.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from runner.simulator.answer import TimedAnswer
from runner.simulator.refusal import Refusal

STAMP_BYTES = 19
"""Width of a 64-bit clock; a stamp is padded to it with blanks, so that lengths are known in advance."""

DONE = b"data: [DONE]\n\n"
JSON_TYPE = ("content-type", "application/json")

Headers = tuple[tuple[str, str], ...]


class Step(NamedTuple):
    """A part of the body: what to send, and when, counted from the request's last byte.

    Where `tail` is not None, the clock's reading at the moment of sending goes between the two.
    """

    due_ns: int
    head: bytes
    tail: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes it will have on the wire."""
        return len(self.head) + (0 if self.tail is None else STAMP_BYTES + len(self.tail))


class Framing(Enum):
    """How the body's end is made known."""

    LENGTH = auto()
    CHUNKED = auto()
    RAW = auto()
    """The steps, or nothing at all, carry the framing themselves."""


class Ending(Enum):
    """What becomes of the connection."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to one HTTP request. With `Framing.LENGTH` the steps must be a tuple; no status means no head."""

    status: int | None
    headers: Headers
    steps: Iterable[Step]
    framing: Framing = Framing.LENGTH
    head_due_ns: int = 0
    ending: Ending = Ending.KEEP


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is the same in all chunks of a completion."""

    id: str
    created: int
    model: str
    input_tokens: int
    include_usage: bool = False


def whole_response(status: int, body: bytes, headers: Headers, *, due_ns: int = 0) -> Response:
    """Return a response whose body is known as a whole."""
    return Response(status, headers, (Step(due_ns, body),), head_due_ns=due_ns)


def json_response(status: int, payload: object, headers: Headers = ()) -> Response:
    """Return a JSON document."""
    return whole_response(status, _encode(payload), (JSON_TYPE, *headers))


def error_response(refusal: Refusal, headers: Headers = ()) -> Response:
    """Return an error as OpenAI's clients expect it."""
    return json_response(refusal.status, refusal.body, headers)


def completion_response(answer: TimedAnswer, envelope: Envelope) -> Response:
    """Return the whole answer at once, at the moment a stream of it would have ended."""
    message: dict[str, object] = {"role": "assistant", "content": answer.text}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    document = {
        **_identity("chat.completion", envelope),
        "choices": [choice],
        "usage": count_usage(answer, envelope),
    }
    step = Step(answer.last_due_ns, _open_stamp(document), b"}")
    return Response(200, (JSON_TYPE,), (step,), head_due_ns=answer.last_due_ns)


def stream_response(steps: Iterable[Step]) -> Response:
    """Return server-sent events, the head at once."""
    headers = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
    return Response(200, headers, steps, Framing.CHUNKED)


def stream_steps(answer: TimedAnswer, envelope: Envelope) -> Iterator[Step]:
    """Tell the answer chunk by chunk; every chunk is stamped as `sent_ns`."""
    opening, closing = _chunk_frame(envelope, finish_reason=None)
    if answer.chunks:
        yield Step(answer.first_due_ns, opening + b'{"role":"assistant","content":""}' + closing, b"}\n\n")
    for due_ns, delta in answer.chunks:
        yield Step(due_ns, opening + delta + closing, b"}\n\n")
    due_ns = answer.last_due_ns
    opening, closing = _chunk_frame(envelope, finish_reason=answer.finish_reason)
    yield Step(due_ns, opening + b"{}" + closing, b"}\n\n")
    if envelope.include_usage:
        yield Step(due_ns, usage_event(answer, envelope), b"}\n\n")
    yield Step(due_ns, DONE)


def usage_event(answer: TimedAnswer, envelope: Envelope) -> bytes:
    """Return the chunk with the counts and no choices, up to its stamp."""
    usage = count_usage(answer, envelope)
    return b"data: " + _open_stamp({**_identity("chat.completion.chunk", envelope), "choices": [], "usage": usage})


def count_usage(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Count what was read and said."""
    return {
        "prompt_tokens": envelope.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": envelope.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }


def _identity(kind: str, envelope: Envelope) -> dict[str, object]:
    return {
        "id": envelope.id,
        "object": kind,
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": "simulated",
    }


def _chunk_frame(envelope: Envelope, finish_reason: str | None) -> tuple[bytes, bytes]:
    """Return what stands before and after the delta, up to the stamp."""
    delta = "\0delta"
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    usage = {"usage": None} if envelope.include_usage else {}
    event = _open_stamp({**_identity("chat.completion.chunk", envelope), "choices": [choice], **usage})
    opening, _, closing = event.partition(_encode(delta))
    return b"data: " + opening, closing


def _open_stamp(document: dict[str, object]) -> bytes:
    """Return a document up to the place where its `sent_ns` belongs; a brace closes it."""
    return _encode(document)[:-1] + b',"sent_ns":'


def _encode(payload: object) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
