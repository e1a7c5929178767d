"""A scripted server on loopback: plays replies byte by byte as told, and keeps what it was asked."""

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
"""Seconds to wait, or what to wait for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the server read it; `number` counts from 0 in order of arrival."""

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
        """The body, decoded."""
        return json.loads(self.content)

    @property
    def prompt(self) -> str:
        """What the user says last."""
        return str(self.json["messages"][-1]["content"])


@dataclass(frozen=True, slots=True)
class Reply:
    """Pieces to send, each after a pause, and what becomes of the connection behind them.

    Before that the server waits up to `linger_s`, or until the client hangs up.
    """

    pieces: Sequence[tuple[Pause, bytes]]
    ending: Ending = "keep"
    linger_s: float = 0.0


@dataclass(slots=True)
class Tape:
    """A running server. `asked` may be read at any time; it grows as requests come."""

    answer: Callable[[Asked], Reply]
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    under_way: int = 0
    most_under_way: int = 0
    port: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """The base URL to ask."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1"

    def await_requests(self, count: int) -> None:
        """Return when so many requests have come; fail when they do not."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.asked) >= count, timeout=20), f"only {len(self.asked)} came"

    def _serve(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                self.connections += 1
                # A daemon: a test that failed must not wait for what its client left open.
                threading.Thread(target=self._hold, args=(connection, self.connections), daemon=True).start()

    def _hold(self, connection: socket.socket, number: int) -> None:
        # The client may hang up whenever it likes, in the middle of a handshake, too.
        with suppress(OSError), connection:
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                self._answer_all(connection, number)
                return
            with self.tls.wrap_socket(connection, server_side=True) as secured:
                self._answer_all(secured, number)

    def _answer_all(self, connection: socket.socket, number: int) -> None:
        while (raw := _read_request(connection)) is not None:
            with self._lock, self._arrived:
                asked = _parse(raw, len(self.asked), number)
                self.asked.append(asked)
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                self._arrived.notify_all()
            if not self._play(connection, self.answer(asked)):
                return

    def _play(self, connection: socket.socket, reply: Reply) -> bool:
        """Send a reply; return whether the connection may be used again."""
        last = len(reply.pieces) - 1
        counted = True
        try:
            for place, (pause, data) in enumerate(reply.pieces):
                if not self._wait(pause):
                    return False
                if place == last:  # counted as over before the client can know it
                    counted = self._count_as_over()
                connection.sendall(data)
        finally:
            if counted:
                self._count_as_over()
        if reply.linger_s:
            _await_hang_up(connection, reply.linger_s)
        if reply.ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return reply.ending == "keep"

    def _wait(self, pause: Pause) -> bool:
        """Return whether to go on."""
        if isinstance(pause, threading.Event):
            return pause.wait(20)
        return pause == 0 or not self._stopping.wait(pause)

    def _count_as_over(self) -> Literal[False]:
        with self._lock:
            self.under_way -= 1
        return False


def _await_hang_up(connection: socket.socket, seconds: float) -> None:
    connection.settimeout(seconds)
    with suppress(TimeoutError):
        connection.recv(1)


def _read_request(connection: socket.socket) -> bytes | None:
    """Return a whole request, None when the client has hung up."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        data = connection.recv(65536)
        if not data:
            return None
        raw += data
    head, _, body = raw.partition(b"\r\n\r\n")
    length = int(_headers(head).get("content-length", "0"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _parse(raw: bytes, number: int, connection: int) -> Asked:
    head = raw.partition(b"\r\n\r\n")[0]
    method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
    return Asked(number, connection, method, target, time.monotonic(), _headers(head), raw)


@contextmanager
def play(
    answer: Reply | Sequence[Reply] | Callable[[Asked], Reply], tls: ssl.SSLContext | None = None
) -> Iterator[Tape]:
    """Run a server while the block lasts: one reply for all, one after the other (the last repeats), or as chosen."""
    if isinstance(answer, Reply):
        replies: Sequence[Reply] = (answer,)
    else:
        replies = () if callable(answer) else answer
    choose = answer if callable(answer) else lambda asked: replies[min(asked.number, len(replies) - 1)]
    tape = Tape(choose, tls)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.settimeout(0.01)
        tape.port = listener.getsockname()[1]
        server = threading.Thread(target=tape._serve, args=(listener,), daemon=True)
        server.start()
        try:
            yield tape
        finally:
            tape._stopping.set()
            server.join()


def head(status: str = "200 OK", **headers: str) -> bytes:
    """Return a response's head; underscores in names become dashes."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode("latin-1")


STREAM_HEAD = head(content_type="text/event-stream", transfer_encoding="chunked")


def frame(data: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value: object) -> bytes:
    """Return an SSE event."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def delta(text: str, **more: object) -> bytes:
    """Return the event of one piece of an answer."""
    return event({"model": "m-1", "choices": [{"index": 0, "delta": {"content": text}, **more}]})


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
COUNTED = event({"choices": [], "usage": USAGE})
DONE = event("[DONE]")


def stream(*texts: str, pause_s: float = 0.0, first_s: float = 0.0) -> Reply:
    """Return a whole, good streamed answer that leaves its connection usable."""
    pieces = [(pause_s if place else first_s, frame(delta(text))) for place, text in enumerate(texts)]
    return Reply([(0.0, STREAM_HEAD), *pieces, (0.0, frame(END + COUNTED + DONE) + b"0\r\n\r\n")])


def refuse(status: str, body: object, **headers: str) -> Reply:
    """Return a JSON answer with a status, as errors and lists of models come."""
    text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Reply(
        [(0.0, head(status, content_type="application/json", content_length=str(len(text)), **headers) + text)]
    )
