"""Ways to spoil a good response. Pure: each makes one `Response` out of one `Exchange`.

A fault of the stream leaves a request that asked for no stream in peace.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

from runner.simulator.answer import TimedAnswer
from runner.simulator.chat import ChatRequest
from runner.simulator.refusal import Refusal
from runner.simulator.response import (
    DONE,
    Ending,
    Envelope,
    Framing,
    Headers,
    Response,
    Step,
    completion_response,
    error_response,
    json_response,
    stream_response,
    stream_steps,
    whole_response,
)

SECOND_NS = 1_000_000_000
FOREVER_NS = 24 * 3600 * SECOND_NS
HOLD_NS = 5 * SECOND_NS
COMMENT_GAP_NS = SECOND_NS // 10

STEPS_BEFORE_FAULT = 4
"""The event that names the role, then three of text."""

HTML = b"<!DOCTYPE html><html><head><title>Simulated gateway</title></head><body><h1>Not an API</h1></body></html>\n"
HTML_TYPE = ("content-type", "text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class SimulatedExchange:
    """One chat request and all that a fault may need to answer it."""

    chat: ChatRequest
    answer: TimedAnswer
    envelope: Envelope
    attempt: int
    """The how-manieth request with this content, from 1."""
    wall_s: float
    hold_ns: int | None = None
    times: int | None = None

    @property
    def good(self) -> Response:
        """The response if nothing goes wrong."""
        if not self.chat.stream:
            return completion_response(self.answer, self.envelope)
        return stream_response(stream_steps(self.answer, self.envelope))


Spoil = Callable[[SimulatedExchange], Response]
Edit = Callable[[Iterator[Step], SimulatedExchange], Iterable[Step]]


def refuse(status: int, message: str, *, code: str | None, kind: str, headers: Headers = ()) -> Spoil:
    """Answer every request with one error."""
    refusal = Refusal(status, message, code=code, kind=kind)
    return lambda _: error_response(refusal, headers)


def send_page(status: int, body: bytes) -> Spoil:
    """Answer with a page for people, or with nothing, where JSON or a stream belongs."""
    return lambda _: whole_response(status, body, (HTML_TYPE,))


def edit_stream(edit: Edit, *, ending: Ending = Ending.KEEP) -> Spoil:
    """Stream, but with the body's steps changed."""

    def spoil(exchange: SimulatedExchange) -> Response:
        good = exchange.good
        if not exchange.chat.stream:
            return good
        return replace(good, steps=edit(iter(good.steps), exchange), ending=ending)

    return spoil


def break_framing(ending: Ending) -> Spoil:
    """Announce a chunk and end the connection half-way through it."""

    def spoil(exchange: SimulatedExchange) -> Response:
        good = exchange.good
        if not exchange.chat.stream:
            return good
        headers = (*good.headers, ("transfer-encoding", "chunked"))
        return replace(good, headers=headers, steps=_cut_chunk(good.steps), framing=Framing.RAW, ending=ending)

    return spoil


def _cut_chunk(steps: Iterable[Step]) -> Iterator[Step]:
    for number, (due_ns, head, tail) in enumerate(steps):
        size = b"%x\r\n" % Step(due_ns, head, tail).size
        if number == STEPS_BEFORE_FAULT:
            yield Step(due_ns, size + head[: len(head) // 2])
            return
        yield Step(due_ns, size + head, None if tail is None else tail + b"\r\n")


def limit_rate(*headers: tuple[str, str]) -> Spoil:
    """Refuse because of too many requests; the headers say when to come back."""
    message = "Simulated: too many requests."
    return refuse(429, message, code="rate_limit_exceeded", kind="rate_limit_error", headers=headers)


def limit_rate_until_date(exchange: SimulatedExchange) -> Response:
    """Refuse likewise, naming a date two seconds from now."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(exchange.wall_s + 2))
    return limit_rate(("retry-after", date))(exchange)


def send_error_with_200(_: SimulatedExchange) -> Response:
    """Report an error under a status that claims success."""
    return json_response(200, Refusal(500, "Simulated: an error behind status 200.", kind="server_error").body)


def send_whole(exchange: SimulatedExchange) -> Response:
    """Ignore that a stream was asked for."""
    return completion_response(exchange.answer, exchange.envelope)


def redirect(_: SimulatedExchange) -> Response:
    """Send the client elsewhere."""
    return whole_response(301, b"", (("location", "/moved/v1/chat/completions"),))


def refuse_stream_options(exchange: SimulatedExchange) -> Response:
    """Know nothing of `stream_options`, as some servers do; answer well without it."""
    if not exchange.chat.stream_options_sent:
        return exchange.good
    message = "Unrecognized request argument supplied: stream_options"
    return error_response(Refusal(400, message, param="stream_options"))


def fail_at_first(exchange: SimulatedExchange) -> Response:
    """Fail the first times this content is asked, then answer well."""
    times = 2 if exchange.times is None else exchange.times
    if exchange.attempt > times:
        return exchange.good
    message = f"Simulated: attempt {exchange.attempt} of {times} that fail."
    return error_response(Refusal(503, message, code="service_unavailable", kind="server_error"))


def delay_headers(exchange: SimulatedExchange) -> Response:
    """Hold even the response's head back."""
    good = exchange.good
    return replace(good, head_due_ns=good.head_due_ns + _hold_ns(exchange, HOLD_NS))


def _hold_ns(exchange: SimulatedExchange, default_ns: int) -> int:
    return default_ns if exchange.hold_ns is None else exchange.hold_ns


def stop_early(steps: Iterator[Step], _: SimulatedExchange) -> Iterable[Step]:
    """End the body properly, in the middle of the answer."""
    return islice(steps, STEPS_BEFORE_FAULT)


def leave_out_done(steps: Iterator[Step], _: SimulatedExchange) -> Iterable[Step]:
    """Finish without the `[DONE]` sentinel."""
    return (step for step in steps if step.head != DONE)


def leave_out_usage(_: Iterator[Step], exchange: SimulatedExchange) -> Iterable[Step]:
    """Never tell the counts."""
    return stream_steps(exchange.answer, replace(exchange.envelope, include_usage=False))


def filter_content(_: Iterator[Step], exchange: SimulatedExchange) -> Iterable[Step]:
    """Let a content filter stop the answer."""
    first = exchange.answer.chunks[: STEPS_BEFORE_FAULT - 1]
    filtered = replace(exchange.answer, chunks=first, finish_reason="content_filter")
    return stream_steps(filtered, exchange.envelope)


def report_error(after: int) -> Edit:
    """Put an error where the next event belongs, and end."""
    event = (
        b'data: {"error":{"message":"Simulated: the model failed.","type":"server_error","code":"engine_error"}}\n\n'
    )

    def edit(steps: Iterator[Step], _: SimulatedExchange) -> Iterator[Step]:
        yield from islice(steps, after)
        yield Step(next(steps).due_ns, event)

    return edit


def stall(after: int) -> Edit:
    """Fall silent for a while, with the connection open."""

    def edit(steps: Iterator[Step], exchange: SimulatedExchange) -> Iterator[Step]:
        yield from islice(steps, after)
        hold_ns = _hold_ns(exchange, FOREVER_NS)
        for step in steps:
            yield step._replace(due_ns=step.due_ns + hold_ns)

    return edit


def comment_forever(_: Iterator[Step], __: SimulatedExchange) -> Iterable[Step]:
    """Keep the connection alive and say nothing."""
    return (Step(number * COMMENT_GAP_NS, b": keep-alive\n\n") for number in count())


def send_in_one_burst(steps: Iterator[Step], exchange: SimulatedExchange) -> Iterable[Step]:
    """Hold everything back until all is there, as a buffering proxy does."""
    return (step._replace(due_ns=exchange.answer.last_due_ns) for step in steps)


def break_json(steps: Iterator[Step], _: SimulatedExchange) -> Iterator[Step]:
    """Cut one event's JSON off in the middle."""
    for number, step in enumerate(steps):
        broken = number == STEPS_BEFORE_FAULT
        yield Step(step.due_ns, step.head[: len(step.head) // 2] + b"\n\n") if broken else step


def break_utf8(steps: Iterator[Step], _: SimulatedExchange) -> Iterator[Step]:
    """Put a byte that is not UTF-8 before one event's text."""
    for number, step in enumerate(steps):
        broken = number == STEPS_BEFORE_FAULT - 1
        yield step._replace(head=step.head.replace(b'content":"', b'content":"\xff', 1)) if broken else step


def write_oddly(steps: Iterator[Step], _: SimulatedExchange) -> Iterator[Step]:
    """Use all that the format of server-sent events allows and few servers send."""
    yield Step(0, b"\xef\xbb\xbf: a byte order mark, then a comment\r\n\r\n")
    for number, (due_ns, head, tail) in enumerate(steps):
        if number == STEPS_BEFORE_FAULT:
            yield Step(due_ns, b"event: ping\r\n\r\nretry: 3000\r\n\r\ndata:\r\n\r\n: ping\r\n\r\n")
        field = b"id: %d\r\n" % number + head.replace(b"data: ", b"data:", 1).replace(b"\n\n", b"\r\n\r\n")
        yield Step(due_ns, field, None if tail is None else tail.replace(b"\n\n", b"\r\n\r\n"))


def linger(steps: Iterator[Step], exchange: SimulatedExchange) -> Iterator[Step]:
    """Leave the body open for a while after all is said."""
    yield from steps
    yield Step(exchange.answer.last_due_ns + _hold_ns(exchange, HOLD_NS), b"")
