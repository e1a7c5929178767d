"""The connection of one client: it reads requests and sends each part of a response when it is due."""

import asyncio
import gc
import socket
import struct
from dataclasses import replace
from http import HTTPStatus
from time import perf_counter_ns
from typing import Protocol, cast

from runner.simulator.exact_timers import Timer
from runner.simulator.http_request import HttpRequest, RequestError, RequestReader
from runner.simulator.response_steps import Ending, Framing, Response, TimedResponse, error_response

MAX_PIPELINED_BYTES = 1024 * 1024
PHRASES = {status.value: status.phrase for status in HTTPStatus}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Handler(Protocol):
    """Answers requests; connections also count their requests in flight in it."""

    in_flight: int

    def respond(self, request: HttpRequest, received_ns: int) -> Response:
        """Return the response to any request."""


class Connection(asyncio.Protocol):
    """A protocol that serves one request after the other; pipelined requests wait."""

    def __init__(self, handler: Handler, timer: Timer) -> None:
        self._handler = handler
        self._timer = timer
        self._reader = RequestReader()
        self._sending: TimedResponse | None = None
        self._timer_set = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        # If a buffer is allowed, uvloop writes at the end of its iteration, long after the timestamp was taken.
        self._transport.set_write_buffer_limits(high=0)

    def connection_lost(self, _: Exception | None) -> None:
        """Drop the response that was being sent."""
        if self._sending is not None:
            self._finish()

    def pause_writing(self) -> None:
        """Stop writing: the client reads too slowly."""
        self._paused = True

    def resume_writing(self) -> None:
        """Write what became due in the meantime."""
        self._paused = False
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Parse the data, and answer unless another response is being sent."""
        received_ns = perf_counter_ns()
        if self._transport.is_closing():
            return
        self._reader.feed(data)
        if self._sending is None:
            self._serve_next(received_ns)
        elif self._reader.buffered > MAX_PIPELINED_BYTES:
            self._transport.abort()

    def _serve_next(self, received_ns: int) -> None:
        try:
            request = self._reader.next_request()
        except RequestError as error:
            self._begin()
            self._send(replace(error_response(error), ending=Ending.CLOSE), received_ns)
            return
        if request is not None:
            self._begin()
            response = _adapt(self._handler.respond(request, received_ns), request)
            self._send(response, received_ns, bodiless=request.method == "HEAD")
        elif self._reader.take_expectation():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _begin(self) -> None:
        self._handler.in_flight += 1
        gc.disable()

    def _finish(self) -> None:
        self._sending = None
        self._handler.in_flight -= 1
        if self._handler.in_flight == 0:
            gc.enable()

    def _send(self, response: Response, received_ns: int, *, bodiless: bool = False) -> None:
        head = None if response.status is None else _render_head(response.status, response, received_ns)
        self._sending = TimedResponse(response, head, received_ns, bodiless=bodiless)
        self._advance()

    def _on_timer(self) -> None:
        self._timer_set = False
        self._advance()

    def _advance(self) -> None:
        """Write the parts that are due, then set the timer for the next one."""
        sending = self._sending
        if sending is None or self._paused:
            return
        if data := sending.take_due(perf_counter_ns()):
            self._transport.write(data)
        due_ns = sending.due_ns
        if due_ns is None:
            self._end(sending.response.ending)
        elif not self._timer_set:
            self._timer_set = True
            self._timer.call_at(due_ns, self._on_timer)

    def _end(self, ending: Ending) -> None:
        self._finish()
        if ending is Ending.RESET:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._transport.abort()
        elif ending is Ending.CLOSE:
            self._transport.close()
        elif self._reader.buffered:
            # A direct call would nest a thousand frames for a thousand pipelined requests.
            asyncio.get_running_loop().call_soon(self._serve_pipelined)

    def _serve_pipelined(self) -> None:
        if self._sending is None and not self._transport.is_closing():
            self._serve_next(perf_counter_ns())


def _adapt(response: Response, request: HttpRequest) -> Response:
    """Return a response with a framing and an ending that the request allows."""
    if response.framing is Framing.CHUNKED and not request.chunked_allowed:
        response = replace(response, framing=Framing.RAW, ending=Ending.CLOSE)
    if response.ending is Ending.KEEP and not request.keep_alive:
        response = replace(response, ending=Ending.CLOSE)
    return response


def _render_head(status: int, response: Response, received_ns: int) -> bytes:
    headers = [
        *response.headers,
        ("x-simulated", "true"),
        ("x-received-ns", str(received_ns)),
        *_framing_headers(response),
        *([] if response.ending is Ending.KEEP else [("connection", "close")]),
    ]
    phrase = PHRASES.get(status, "")  # gateways have statuses of their own, such as 520
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _framing_headers(response: Response) -> list[tuple[str, str]]:
    if response.framing is Framing.CHUNKED:
        return [("transfer-encoding", "chunked")]
    if response.framing is Framing.LENGTH:
        return [("content-length", str(sum(step.size for step in response.steps)))]
    return []
