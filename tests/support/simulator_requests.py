"""Requests to the simulator over a plain socket, and its parsed responses."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.wait_until import LIMIT_S


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP response without its chunked coding."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool

    @property
    def events(self) -> list[dict[str, object]]:
        """The JSON of each data line."""
        lines = self.body.split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]

    @property
    def error(self) -> dict[str, object]:
        """The error object of an error response."""
        error = json.loads(self.body)["error"]
        assert isinstance(error, dict)
        return error


def connect(base_url: str) -> socket.socket:
    """Open a connection to a simulator."""
    host, _, port = base_url.removeprefix("http://").removesuffix("/v1").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=LIMIT_S)


def http(method: str, path: str, body: bytes = b"", *headers: str, version: str = "1.1") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/{version}", "host: simulator", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chat_body(model: str = "sim/exact?ttft_ms=1&gap_ms=1&tokens=4", **fields: object) -> bytes:
    """Return the JSON of a chat request."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello?"}], **fields}).encode()


def post(body: bytes, *headers: str, version: str = "1.1") -> bytes:
    """Return the bytes of a chat request."""
    return http("POST", "/v1/chat/completions", body, *headers, version=version)


def read_all(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def parse_response(raw: bytes) -> HttpResponse:
    """Parse the bytes of a response."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") != "chunked":
        return HttpResponse(int(status_line.split()[1]), headers, rest, complete=True)
    body, complete = unchunk(rest)
    return HttpResponse(int(status_line.split()[1]), headers, body, complete)


def unchunk(raw: bytes) -> tuple[bytes, bool]:
    """Return a chunked body decoded, and whether it was complete."""
    chunks: list[bytes] = []
    start = 0
    while (line_end := raw.find(b"\r\n", start)) >= 0:
        size, start = int(raw[start:line_end], 16), line_end + 2
        if size == 0:
            return b"".join(chunks), raw[start:] == b"\r\n"
        chunks.append(raw[start : start + size])
        start += size + 2
    return b"".join(chunks), False


def send(base_url: str, request: bytes) -> HttpResponse:
    """Send one request on its own connection, which the request must end."""
    with connect(base_url) as connection:
        connection.sendall(request)
        return parse_response(read_all(connection))


def send_chat(base_url: str, model: str = "sim/exact?ttft_ms=1&gap_ms=1&tokens=4", **fields: object) -> HttpResponse:
    """Send one chat request."""
    return send(base_url, post(chat_body(model, **fields), "connection: close"))


def deltas(reply: HttpResponse, field: str) -> list[str]:
    """Return the text of all chunks on one channel."""
    return [
        choice["delta"][field]
        for event in reply.events
        for choice in event["choices"]  # type: ignore[attr-defined]
        if choice["delta"].get(field)
    ]


def timestamps(reply: HttpResponse) -> list[int]:
    """Return `sent_ns` of the chunks that carry text."""
    return [
        int(str(event["sent_ns"]))
        for event in reply.events
        if event["choices"] and event["choices"][0]["delta"].get("content")  # type: ignore[index]
    ]
