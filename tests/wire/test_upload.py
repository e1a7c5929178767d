"""The duration of sending a request: `upload_s`, and its limits."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns

import pytest

from runner.core.events import Outcome
from runner.core.suite import Timeouts
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client
from tests.support.client_requests import ask_once, endpoint_at, failure
from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    delta_event,
    http_chunk,
    http_head,
    serve,
    streamed_reply,
)

pytestmark = pytest.mark.anyio

LARGE = "x" * (32 << 20)
"""More than the buffers of both sockets hold."""

PAUSE_S = 0.5


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both loops, which write in different ways."""
    return "asyncio", {"use_uvloop": request.param}


@dataclass(slots=True)
class SlowReader:
    """A server that reads the head of a request, waits, and reads the rest."""

    pause_s: float = PAUSE_S
    url: str = ""
    accepted_ns: int = 0
    resumed_ns: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket, reply: bytes, *, reads: bool) -> None:
        """Answer one request."""
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            self.accepted_ns = perf_counter_ns()
            if not reads:
                connection.sendall(reply)
                self.stop.wait(20)
                return
            self.stop.wait(self.pause_s)
            self.resumed_ns = perf_counter_ns()
            head, _, body = head.partition(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line.lower())
            left = length - len(body)
            while left and (data := connection.recv(1 << 20)):
                left -= len(data)
            connection.sendall(reply)
            connection.recv(1)


REPLY = STREAM_HEAD + http_chunk(delta_event("hi") + FINISH_EVENT + DONE_EVENT) + b"0\r\n\r\n"


@contextmanager
def slow_reader(reply: bytes = REPLY, *, reads: bool = True, pause_s: float = PAUSE_S) -> Iterator[SlowReader]:
    """Run a server that reads slowly, or not at all."""
    server = SlowReader(pause_s)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread = threading.Thread(target=server.serve, args=(listener, reply), kwargs={"reads": reads}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stop.set()
            thread.join(20)


async def ask_at(url: str, text: str, timeouts: Timeouts | None = None) -> Attempt:
    """Send one request with a long text."""
    client, attempt = Client(endpoint_at(url)), Attempt()
    try:
        messages = [{"role": "user", "content": text}]
        await client.ask(AttemptRequest("m-1", messages, {"stream": True}, timeouts or Timeouts()), attempt)
    finally:
        await client.aclose()
    return attempt


async def test_a_slow_reader_makes_the_upload_long_and_not_the_wait_for_the_text() -> None:
    """The clock of TTFT starts when the last byte left, after the server had resumed reading."""
    with slow_reader() as server:
        attempt = await ask_at(server.url, LARGE)
    body = attempt.body
    assert attempt.fold.outcome() is Outcome.OK
    assert body.write_start_ns is not None
    assert body.sent_ns is not None
    assert body.write_start_ns <= server.accepted_ns
    assert body.sent_ns >= server.resumed_ns
    assert body.sent_ns - body.write_start_ns >= PAUSE_S * 1e9 * 0.99  # the wait of the server may be a little short


async def test_a_short_request_was_written_before_it_was_sent() -> None:
    """The upload of a small request is about 0, and not unknown."""
    with serve(streamed_reply("hi")) as server:
        attempt = await ask_once(server.url)
    body = attempt.body
    assert body.write_start_ns is not None
    assert body.sent_ns is not None
    assert body.headers_ns is not None
    assert body.write_start_ns <= body.sent_ns <= body.headers_ns


async def test_an_upload_may_take_longer_than_a_connection() -> None:
    """The connect timeout ends with the connection."""
    connect_s = 1.5  # a busy machine needs part of it to write the request's JSON
    with slow_reader(pause_s=connect_s + 0.2) as server:
        attempt = await ask_at(server.url, LARGE, Timeouts(connect=connect_s))
    assert attempt.fold.outcome() is Outcome.OK


async def test_an_upload_has_the_limit_of_the_whole_request() -> None:
    """A server that never reads does not block a run forever."""
    with slow_reader(b"", reads=False) as server:
        attempt = await ask_at(server.url, LARGE, Timeouts(total=0.3))
    assert failure(attempt) == (Outcome.TIMEOUT, "total")
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.message == "not sent after 0.3 s"


async def test_the_upload_is_unknown_if_the_answer_precedes_its_end() -> None:
    """The time of the first byte is known, but not when the part that was read had left."""
    refusal = http_head("413 Payload Too Large", content_length="0", connection="close")
    with slow_reader(refusal, reads=False) as server:
        attempt = await ask_at(server.url, LARGE)
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.http_status == 413
    assert attempt.body.write_start_ns is None
