"""Faults to inject, by name: `compare simulate --fault NAME`, or the model `sim/fault-NAME`.

Each fault makes the response to one exchange; faults of the stream do not change responses without a stream. Performs
no I/O.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice, pairwise

from runner.simulator.answer_chunks import TimedAnswer
from runner.simulator.chat_request import ChatRequest
from runner.simulator.exact_timers import SECOND_NS
from runner.simulator.http_request import RequestError
from runner.simulator.response_steps import (
    FOREVER_NS,
    Ending,
    Envelope,
    Framing,
    Headers,
    Response,
    Step,
    bytes_response,
    json_response,
    stream_response,
)
from runner.simulator.routes import ServedDialect

HOLD_NS = 5 * SECOND_NS
COMMENT_GAP_NS = SECOND_NS // 10

STEPS_BEFORE_FAULT = 4
"""Number of steps before a fault: the event with the role, then three with text."""

HTML = b"<!DOCTYPE html><html><head><title>Simulated gateway</title></head><body><h1>Not an API</h1></body></html>\n"
HTML_TYPE = ("content-type", "text/html; charset=utf-8")

TEXT = re.compile(rb'"(reasoning_content|content|thinking|text|delta|arguments|partial_json)":"')
"""Pattern of the bytes before the text of an event."""

CALL_INDEX = re.compile(rb'(?<="tool_calls":\[\{)"index":[0-9]+,|,"(?:output_)?index":[0-9]+(?=[,}])')
"""Pattern of the number of a tool call in an event, for each dialect."""


@dataclass(frozen=True, slots=True)
class SimulatedExchange:
    """A chat request with its answer, and further values that faults need."""

    dialect: ServedDialect
    chat: ChatRequest
    answer: TimedAnswer
    envelope: Envelope
    attempt: int
    """Number of requests with this content so far, including this one."""
    wall_s: float
    hold_ns: int | None = None
    times: int | None = None

    @property
    def intact(self) -> Response:
        """The response without a fault."""
        return stream_response(self.steps(self.answer)) if self.chat.stream else self.whole

    @property
    def whole(self) -> Response:
        """The answer as a response without a stream."""
        return self.dialect.whole(self.answer, self.envelope)

    def steps(self, answer: TimedAnswer, *, include_usage: bool = True) -> Iterable[Step]:
        """Return the steps of a stream with another answer, or without token counts."""
        envelope = replace(self.envelope, include_usage=self.envelope.include_usage and include_usage)
        return self.dialect.steps(answer, envelope)

    def refuse(self, error: RequestError, headers: Headers = ()) -> Response:
        """Return an error in place of the answer."""
        return json_response(error.status, self.dialect.error(error), headers)


Inject = Callable[[SimulatedExchange], Response]
EditSteps = Callable[[Iterator[Step], SimulatedExchange], Iterable[Step]]


def refuse(status: int, why: str, *, code: str, kind: str = "invalid_request_error", headers: Headers = ()) -> Inject:
    """Return a fault that answers each request with the same error."""
    error = RequestError(status, f"Simulated: {why}.", code=code, kind=kind)
    return lambda exchange: exchange.refuse(error, headers)


def send_page(status: int, body: bytes) -> Inject:
    """Return a fault that answers with an HTML page or an empty body instead of JSON or a stream."""
    return lambda _: bytes_response(status, body, (HTML_TYPE,))


def edit_stream(edit: EditSteps) -> Inject:
    """Return a fault that changes the steps of a stream."""

    def inject(exchange: SimulatedExchange) -> Response:
        intact = exchange.intact
        if not exchange.chat.stream:
            return intact
        return replace(intact, steps=edit(iter(intact.steps), exchange))

    return inject


def break_framing(ending: Ending) -> Inject:
    """Return a fault that ends the connection in the middle of a chunk."""

    def inject(exchange: SimulatedExchange) -> Response:
        intact = exchange.intact
        if not exchange.chat.stream:
            return intact
        headers = (*intact.headers, ("transfer-encoding", "chunked"))
        return replace(intact, headers=headers, steps=_cut_chunk(intact.steps), framing=Framing.RAW, ending=ending)

    return inject


def _cut_chunk(steps: Iterable[Step]) -> Iterator[Step]:
    for number, (due_ns, head, tail) in enumerate(steps):
        size = b"%x\r\n" % Step(due_ns, head, tail).size
        if number == STEPS_BEFORE_FAULT:
            yield Step(due_ns, size + head[: len(head) // 2])
            return
        yield Step(due_ns, size + head, None if tail is None else tail + b"\r\n")


def limit_rate(*headers: tuple[str, str]) -> Inject:
    """Return a fault that answers with 429 and headers that say when to retry."""
    return refuse(429, "too many requests", code="rate_limit_exceeded", kind="rate_limit_error", headers=headers)


def limit_rate_until_date(exchange: SimulatedExchange) -> Response:
    """Answer with 429 and a date two seconds from now."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(exchange.wall_s + 2))
    return limit_rate(("retry-after", date))(exchange)


def send_error_with_200(exchange: SimulatedExchange) -> Response:
    """Answer with an error whose status is 200."""
    error = RequestError(500, "Simulated: an error behind status 200.", kind="server_error")
    return replace(exchange.refuse(error), status=200)


def send_whole(exchange: SimulatedExchange) -> Response:
    """Answer with the whole completion, although a stream was requested."""
    return exchange.whole


def redirect(_: SimulatedExchange) -> Response:
    """Redirect the client to another path."""
    return bytes_response(301, b"", (("location", "/moved/v1/chat/completions"),))


def refuse_stream_options(exchange: SimulatedExchange) -> Response:
    """Refuse `stream_options` as unknown, as some servers do; answer normally without it."""
    if not exchange.chat.stream_options_sent:
        return exchange.intact
    message = "Unrecognized request argument supplied: stream_options"
    return exchange.refuse(RequestError(400, message, param="stream_options"))


def fail_at_first(exchange: SimulatedExchange) -> Response:
    """Answer the first requests with this content with an error, later ones normally."""
    times = 2 if exchange.times is None else exchange.times
    if exchange.attempt > times:
        return exchange.intact
    message = f"Simulated: attempt {exchange.attempt} of {times} that fail."
    return exchange.refuse(RequestError(503, message, code="service_unavailable", kind="server_error"))


def delay_headers(exchange: SimulatedExchange) -> Response:
    """Delay the whole response, including its head."""
    intact = exchange.intact
    return replace(intact, head_due_ns=intact.head_due_ns + _hold_ns(exchange, HOLD_NS))


def _hold_ns(exchange: SimulatedExchange, default_ns: int) -> int:
    return default_ns if exchange.hold_ns is None else exchange.hold_ns


def stop_early(steps: Iterator[Step], _: SimulatedExchange) -> Iterable[Step]:
    """End the body in the middle of the answer, with valid framing."""
    return islice(steps, STEPS_BEFORE_FAULT)


def leave_out_done(steps: Iterator[Step], _: SimulatedExchange) -> Iterable[Step]:
    """Leave out the last event: `[DONE]`, or its equivalent in another dialect."""
    return (step for step, _ in pairwise(steps))


def leave_out_usage(_: Iterator[Step], exchange: SimulatedExchange) -> Iterable[Step]:
    """Leave out the token counts."""
    return exchange.steps(exchange.answer, include_usage=False)


def filter_content(_: Iterator[Step], exchange: SimulatedExchange) -> Iterable[Step]:
    """End the answer like a content filter."""
    first = exchange.answer.chunks[: STEPS_BEFORE_FAULT - 1]
    return exchange.steps(replace(exchange.answer, chunks=first, finish_reason="content_filter"))


def cut_calls(_: Iterator[Step], exchange: SimulatedExchange) -> Iterable[Step]:
    """Send half of the arguments of each tool call, and end as if they were complete."""
    answer = exchange.answer
    pieces = [[chunk for chunk in answer.chunks if chunk.call == number] for number in range(len(answer.calls))]
    dropped = {chunk for each in pieces for chunk in each[len(each) // 2 + 1 :]}
    calls = tuple(
        replace(call, arguments="".join(chunk.text for chunk in each[1:] if chunk not in dropped))
        for call, each in zip(answer.calls, pieces, strict=True)
    )
    kept = tuple(chunk for chunk in answer.chunks if chunk not in dropped)
    return exchange.steps(replace(answer, chunks=kept, calls=calls))


def leave_out_indexes(steps: Iterator[Step], _: SimulatedExchange) -> Iterable[Step]:
    """Leave out the numbers of tool calls."""
    return (step._replace(head=CALL_INDEX.sub(b"", step.head)) for step in steps)


def report_error(after: int) -> EditSteps:
    """Return an edit that sends an error after `after` events and ends the stream."""
    error = RequestError(500, "Simulated: the model failed.", code="engine_error", kind="server_error")

    def edit(steps: Iterator[Step], exchange: SimulatedExchange) -> Iterator[Step]:
        yield from islice(steps, after)
        yield Step(next(steps).due_ns, exchange.dialect.error_event(error))

    return edit


def stall(after: int) -> EditSteps:
    """Return an edit that pauses after `after` events, with the connection open."""

    def edit(steps: Iterator[Step], exchange: SimulatedExchange) -> Iterator[Step]:
        yield from islice(steps, after)
        hold_ns = _hold_ns(exchange, FOREVER_NS)
        for step in steps:
            yield step._replace(due_ns=step.due_ns + hold_ns)

    return edit


def comment_forever(_: Iterator[Step], __: SimulatedExchange) -> Iterable[Step]:
    """Send keep-alive comments without end, and no event."""
    return (Step(number * COMMENT_GAP_NS, b": keep-alive\n\n") for number in count())


def send_in_one_burst(steps: Iterator[Step], exchange: SimulatedExchange) -> Iterable[Step]:
    """Send all events when the last one is due, like a buffering proxy."""
    return (step._replace(due_ns=exchange.answer.last_due_ns) for step in steps)


def break_json(steps: Iterator[Step], _: SimulatedExchange) -> Iterator[Step]:
    """Cut off the JSON of one event in the middle."""
    for number, step in enumerate(steps):
        broken = number == STEPS_BEFORE_FAULT
        yield Step(step.due_ns, step.head[: len(step.head) // 2] + b"\n\n") if broken else step


def break_utf8(steps: Iterator[Step], _: SimulatedExchange) -> Iterator[Step]:
    """Insert a byte that is not UTF-8 before the text of one event."""
    for number, step in enumerate(steps):
        broken = number == STEPS_BEFORE_FAULT - 1
        yield step._replace(head=TEXT.sub(b"\\g<0>\xff", step.head, count=1)) if broken else step


def use_rare_sse_syntax(steps: Iterator[Step], _: SimulatedExchange) -> Iterator[Step]:
    """Use parts of the format of server-sent events that few servers send."""
    yield Step(0, b"\xef\xbb\xbf: a byte order mark, then a comment\r\n\r\n")
    for number, (due_ns, head, tail) in enumerate(steps):
        if number == STEPS_BEFORE_FAULT:
            yield Step(due_ns, b"event: ping\r\n\r\nretry: 3000\r\n\r\ndata:\r\n\r\n: ping\r\n\r\n")
        field = b"id: %d\r\n" % number + head.replace(b"data: ", b"data:", 1).replace(b"\n\n", b"\r\n\r\n")
        yield Step(due_ns, field, None if tail is None else tail.replace(b"\n\n", b"\r\n\r\n"))


def linger(steps: Iterator[Step], exchange: SimulatedExchange) -> Iterator[Step]:
    """Keep the body open for a while after the last event."""
    yield from steps
    yield Step(exchange.answer.last_due_ns + _hold_ns(exchange, HOLD_NS), b"")


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault: its name, its effect as a client observes it, and the function that makes the response."""

    name: str
    description: str
    inject: Inject


FAULTS = {
    fault.name: fault
    for fault in (
        InjectedFault(
            "unauthorized",
            "401: the key is wrong",
            refuse(401, "incorrect API key provided", code="invalid_api_key", kind="authentication_error"),
        ),
        InjectedFault(
            "unknown-model",
            "404: the model does not exist",
            refuse(404, "the model does not exist or you have no access to it", code="model_not_found"),
        ),
        InjectedFault("rate-limited", "429 with Retry-After: 2 seconds", limit_rate(("retry-after", "2"))),
        InjectedFault("rate-limited-ms", "429 with retry-after-ms: 300", limit_rate(("retry-after-ms", "300"))),
        InjectedFault("rate-limited-date", "429 with Retry-After: an HTTP date in two seconds", limit_rate_until_date),
        InjectedFault(
            "no-balance",
            "429 that no waiting cures: the balance is used up",
            refuse(429, "your balance is used up, please top up", code="insufficient_quota", kind="insufficient_quota"),
        ),
        InjectedFault(
            "server-error",
            "500 with a JSON error",
            refuse(500, "internal server error", code="internal_error", kind="server_error"),
        ),
        InjectedFault("bad-gateway", "502 with an HTML page", send_page(502, HTML)),
        InjectedFault("flaky", "503 the first times (?times=2) a content is asked, then a good answer", fail_at_first),
        InjectedFault("redirect", "301 to another path", redirect),
        InjectedFault("no-stream-options", "400 naming stream_options, if it was sent", refuse_stream_options),
        InjectedFault("html", "200 with an HTML page", send_page(200, HTML)),
        InjectedFault("empty", "200 with nothing in it", send_page(200, b"")),
        InjectedFault("error-with-200", "200 with a JSON error", send_error_with_200),
        InjectedFault(
            "not-streamed", "200 with the whole completion as JSON, though a stream was asked for", send_whole
        ),
        InjectedFault("slow-headers", "the response's head is held back (?hold_ms=5000)", delay_headers),
        InjectedFault(
            "stall-first", "head sent, then silence before the first token (?hold_ms=)", edit_stream(stall(0))
        ),
        InjectedFault("stall-middle", "silence after three tokens (?hold_ms=)", edit_stream(stall(STEPS_BEFORE_FAULT))),
        InjectedFault("comments-forever", "keep-alive comments and never a token", edit_stream(comment_forever)),
        InjectedFault("burst", "all tokens at once, when the last is due", edit_stream(send_in_one_burst)),
        InjectedFault(
            "cut-mid-chunk", "the connection is closed half-way through a chunk", break_framing(Ending.CLOSE)
        ),
        InjectedFault("reset", "the connection is reset half-way through a chunk", break_framing(Ending.RESET)),
        InjectedFault(
            "cut-clean", "the body ends properly after three tokens, nothing finished", edit_stream(stop_early)
        ),
        InjectedFault("no-done", "a finish_reason, but no [DONE]", edit_stream(leave_out_done)),
        InjectedFault("no-usage", "no usage, even if asked for", edit_stream(leave_out_usage)),
        InjectedFault("filtered", "a content filter ends the answer after three tokens", edit_stream(filter_content)),
        InjectedFault(
            "calls-cut", "half of each tool call's arguments, and the end of a whole reply", edit_stream(cut_calls)
        ),
        InjectedFault("calls-unnumbered", "tool calls without their indexes", edit_stream(leave_out_indexes)),
        InjectedFault("error-first", "an error as the stream's first event", edit_stream(report_error(0))),
        InjectedFault(
            "error-middle", "an error in the stream after three tokens", edit_stream(report_error(STEPS_BEFORE_FAULT))
        ),
        InjectedFault("broken-json", "one event's JSON is cut off", edit_stream(break_json)),
        InjectedFault("invalid-utf8", "one event's text holds a byte that is not UTF-8", edit_stream(break_utf8)),
        InjectedFault(
            "odd-framing", "legal but rare: BOM, CRLF, ids, events without data", edit_stream(use_rare_sse_syntax)
        ),
        InjectedFault("lingers", "the body stays open after [DONE] (?hold_ms=5000)", edit_stream(linger)),
    )
}
