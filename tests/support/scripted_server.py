"""A scripted HTTP server on loopback: it sends replies byte by byte as scripted, and keeps the requests it received."""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal["keep", "close", "reset"]
Pause = float | threading.Event
"""Seconds to wait, or an event to wait for."""

PATIENCE_S = 120.0
"""How long to wait for a client or an event: only what never comes takes so long, whatever else the machine does."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as the server read it; `number` counts from 0 in order of arrival, `at_s` is of `time.monotonic`."""

    number: int
    connection: int
    method: str
    target: str
    at_s: float
    headers: Mapping[str, str]
    raw: bytes

    @property
    def content(self) -> bytes:
        """The body."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.content)

    @property
    def prompt(self) -> str:
        """The content of the last message."""
        return str(self.json["messages"][-1]["content"])


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """Pieces to send, each after a pause, and what happens to the connection after the last.

    First the server waits up to `linger_s`, or until the client closes the connection.
    """

    pieces: Sequence[tuple[Pause, bytes]]
    ending: Ending = "keep"
    linger_s: float = 0.0


@dataclass(slots=True)
class ScriptedServer:
    """A running server. `requests` may be read at any time; it grows as requests come."""

    answer: Callable[[ReceivedRequest], ScriptedReply]
    tls: ssl.SSLContext | None = None
    requests: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    port: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1"

    def wait_for_requests(self, count: int) -> None:
        """Wait until `count` requests have come."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self.requests) >= count, timeout=PATIENCE_S)
            assert came, f"only {len(self.requests)} requests came"

    def _serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            self.connections += 1
            # A daemon thread: a failed test must not wait for connections that its client left open.
            threading.Thread(target=self._serve_connection, args=(connection, self.connections), daemon=True).start()

    def _serve_connection(self, connection: socket.socket, number: int) -> None:
        # The client may close the connection at any time, in the middle of a handshake too.
        with suppress(OSError), connection:
            connection.settimeout(PATIENCE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                self._answer_all(connection, number)
                return
            with self.tls.wrap_socket(connection, server_side=True) as secured:
                self._answer_all(secured, number)

    def _answer_all(self, connection: socket.socket, number: int) -> None:
        while (raw := _read_request(connection)) is not None:
            with self._lock, self._arrived:
                request = _parse(raw, len(self.requests), number)
                self.requests.append(request)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                self._arrived.notify_all()
            if not self._send(connection, self.answer(request)):
                return

    def _send(self, connection: socket.socket, reply: ScriptedReply) -> bool:
        """Send a reply; return whether the connection may be used again."""
        last = len(reply.pieces) - 1
        counted = True
        try:
            for place, (pause, data) in enumerate(reply.pieces):
                if not self._wait(pause):
                    return False
                if place == last:  # before the client can know that its request has ended
                    counted = self._count_ended()
                connection.sendall(data)
        finally:
            if counted:
                self._count_ended()
        if reply.linger_s:
            _wait_for_close(connection, reply.linger_s)
        if reply.ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return reply.ending == "keep"

    def _wait(self, pause: Pause) -> bool:
        """Wait; return whether to continue."""
        if isinstance(pause, threading.Event):
            return pause.wait(PATIENCE_S)
        return pause == 0 or not self._stopping.wait(pause)

    def _count_ended(self) -> Literal[False]:
        with self._lock:
            self.in_flight -= 1
        return False


def _wait_for_close(connection: socket.socket, seconds: float) -> None:
    connection.settimeout(seconds)
    with suppress(TimeoutError):
        connection.recv(1)


def _read_request(connection: socket.socket) -> bytes | None:
    """Return a whole request, or None if the client has closed the connection, even within a request."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        data = connection.recv(65536)
        if not data:
            return None
        raw += data
    head, _, body = raw.partition(b"\r\n\r\n")
    length = int(_headers(head).get("content-length", "0"))
    while len(body) < length:
        data = connection.recv(65536)
        if not data:
            return None
        body += data
    return head + b"\r\n\r\n" + body


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _parse(raw: bytes, number: int, connection: int) -> ReceivedRequest:
    head = raw.partition(b"\r\n\r\n")[0]
    method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
    return ReceivedRequest(number, connection, method, target, time.monotonic(), _headers(head), raw)


@contextmanager
def serve(
    answer: ScriptedReply | Sequence[ScriptedReply] | Callable[[ReceivedRequest], ScriptedReply],
    tls: ssl.SSLContext | None = None,
) -> Iterator[ScriptedServer]:
    """Run a server for a block that sends one reply to all, several in order (then the last), or a function's."""
    if isinstance(answer, ScriptedReply):
        replies: Sequence[ScriptedReply] = (answer,)
    else:
        replies = () if callable(answer) else answer
    choose = answer if callable(answer) else lambda request: replies[min(request.number, len(replies) - 1)]
    server = ScriptedServer(choose, tls)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server._serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server._stopping.set()
            socket.create_connection(("127.0.0.1", server.port)).close()  # ends the wait for a connection
            thread.join()


def http_head(status: str = "200 OK", **headers: str) -> bytes:
    """Return a response's head; underscores in names become dashes."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode("latin-1")


STREAM_HEAD = http_head(content_type="text/event-stream", transfer_encoding="chunked")


def http_chunk(data: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def sse_event(value: object) -> bytes:
    """Return an SSE event."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def delta_event(text: str, **more: object) -> bytes:
    """Return the event of one chunk of an answer."""
    return sse_event({"model": "m-1", "choices": [{"index": 0, "delta": {"content": text}, **more}]})


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
FINISH_EVENT = sse_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE_EVENT = sse_event({"choices": [], "usage": USAGE})
DONE_EVENT = sse_event("[DONE]")


def streamed_reply(*texts: str, pause_s: float = 0.0, first_s: float = 0.0) -> ScriptedReply:
    """Return a complete streamed answer that leaves its connection usable."""
    pieces = [(pause_s if place else first_s, http_chunk(delta_event(text))) for place, text in enumerate(texts)]
    end = http_chunk(FINISH_EVENT + USAGE_EVENT + DONE_EVENT) + b"0\r\n\r\n"
    return ScriptedReply([(0.0, STREAM_HEAD), *pieces, (0.0, end)])


def event_stream(*events: bytes, **headers: str) -> ScriptedReply:
    """Return a complete chat completion of these events, each an HTTP chunk, with further headers."""
    head = http_head(content_type="text/event-stream", transfer_encoding="chunked", **headers)
    chunks = [http_chunk(event) for event in (*events, FINISH_EVENT + DONE_EVENT)]
    return ScriptedReply([(0.0, head), *((0.0, chunk) for chunk in chunks), (0.0, b"0\r\n\r\n")])


def json_reply(status: str, body: object, **headers: str) -> ScriptedReply:
    """Return a JSON response with a status, such as an error or a list of models."""
    text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    head = http_head(status, content_type="application/json", content_length=str(len(text)), **headers)
    return ScriptedReply([(0.0, head + text)])


def unused_port() -> int:
    """Return a port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
