"""One client's connection: requests in, responses played against the clock."""

import asyncio
import gc
import socket
import struct
from dataclasses import replace
from http import HTTPStatus
from time import perf_counter_ns
from typing import Protocol, cast

from runner.simulator.alarm import Alarm
from runner.simulator.performance import Performance
from runner.simulator.refusal import Refusal
from runner.simulator.request import HttpRequest, RequestReader
from runner.simulator.response import Ending, Framing, Response, error_response

PIPELINED_BYTES_MAX = 1024 * 1024
PHRASES = {status.value: status.phrase for status in HTTPStatus}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Responder(Protocol):
    """What knows the answers; `in_flight` is kept by the connections."""

    in_flight: int

    def respond(self, request: HttpRequest, received_ns: int) -> Response:
        """Answer one request, whatever it is."""


class Connection(asyncio.Protocol):
    """Serves one request after the other; pipelined ones wait for their turn."""

    def __init__(self, service: Responder, alarm: Alarm) -> None:
        self._service = service
        self._alarm = alarm
        self._reader = RequestReader()
        self._playing: Performance | None = None
        self._alarm_set = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)
        # With a buffer allowed, uvloop writes at the end of its turn, long after the stamp was taken.
        self._transport.set_write_buffer_limits(high=0)

    def connection_lost(self, _: Exception | None) -> None:
        """Forget what was being played to a client that left."""
        if self._playing is not None:
            self._leave()

    def pause_writing(self) -> None:
        """Wait: the client reads too slowly."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with all that fell due meanwhile."""
        self._paused = False
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Read on, and answer if no answer is under way."""
        received_ns = perf_counter_ns()
        if self._transport.is_closing():
            return
        self._reader.feed(data)
        if self._playing is None:
            self._serve_next(received_ns)
        elif self._reader.buffered > PIPELINED_BYTES_MAX:
            self._transport.abort()

    def _serve_next(self, received_ns: int) -> None:
        try:
            request = self._reader.next_request()
        except Refusal as refusal:
            self._enter()
            self._play(replace(error_response(refusal), ending=Ending.CLOSE), received_ns)
            return
        if request is not None:
            self._enter()
            response = _adapt(self._service.respond(request, received_ns), request)
            self._play(response, received_ns, bodiless=request.method == "HEAD")
        elif self._reader.take_expectation():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _enter(self) -> None:
        self._service.in_flight += 1
        gc.disable()

    def _leave(self) -> None:
        self._playing = None
        self._service.in_flight -= 1
        if self._service.in_flight == 0:
            gc.enable()

    def _play(self, response: Response, received_ns: int, *, bodiless: bool = False) -> None:
        head = None if response.status is None else _render_head(response.status, response, received_ns)
        self._playing = Performance.of(response, head, received_ns, bodiless=bodiless)
        self._advance()

    def _ring(self) -> None:
        self._alarm_set = False
        self._advance()

    def _advance(self) -> None:
        """Write what is due, then wait for what is next."""
        playing = self._playing
        if playing is None or self._paused:
            return
        if data := playing.take_due(perf_counter_ns()):
            self._transport.write(data)
        due_ns = playing.due_ns
        if due_ns is None:
            self._end(playing.ending)
        elif not self._alarm_set:
            self._alarm_set = True
            self._alarm.set(due_ns, self._ring)

    def _end(self, ending: Ending) -> None:
        self._leave()
        if ending is Ending.RESET:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._transport.abort()
        elif ending is Ending.CLOSE:
            self._transport.close()
        elif self._reader.buffered:
            # Not at once: a thousand pipelined requests would be a thousand frames deep.
            asyncio.get_running_loop().call_soon(self._serve_pipelined)

    def _serve_pipelined(self) -> None:
        if self._playing is None and not self._transport.is_closing():
            self._serve_next(perf_counter_ns())


def _adapt(response: Response, request: HttpRequest) -> Response:
    """Fit a response to what the request allows."""
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
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _phrase(status: int) -> str:
    """Return the words behind a status; gateways have statuses of their own, such as 520, which have none."""
    return PHRASES.get(status, "")


def _framing_headers(response: Response) -> list[tuple[str, str]]:
    if response.framing is Framing.CHUNKED:
        return [("transfer-encoding", "chunked")]
    if response.framing is Framing.LENGTH:
        return [("content-length", str(sum(step.size for step in response.steps)))]
    return []
