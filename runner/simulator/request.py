"""HTTP/1.1 requests out of bytes, however the bytes are cut. Performs no I/O.

`RequestReader.feed` takes what arrived, `next_request` gives a whole request, None for "need more", or
raises `Refusal`, after which the connection is beyond repair and must be closed.
The grammar is RFC 9112, read strictly: what two parsers could understand differently is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.simulator.refusal import Refusal

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 32 * 1024 * 1024

REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
CHUNK_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
CHUNK_LINE_BYTES_MAX = 4096
LENGTH = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Header names are in lower case; repeated ones are joined by a comma."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    chunked_allowed: bool
    """HTTP/1.0 knows no chunked transfer: such a client reads until the connection closes."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class _Head:
    """A request whose body is still to come; `length` is None for a chunked body."""

    method: str
    target: str
    minor: int
    headers: Mapping[str, str]
    length: int | None


class RequestReader:
    """Collects one connection's bytes, hands out its requests one by one."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._chunks: ChunkedBody | None = None
        self._continue_expected = False

    def feed(self, data: bytes) -> None:
        """Take in what was read from the socket."""
        self._buffer += data

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet handed out."""
        return len(self._buffer)

    def take_expectation(self) -> bool:
        """Tell once whether the client holds its body back until it hears `100 Continue`."""
        expected, self._continue_expected = self._continue_expected, False
        return expected

    def next_request(self) -> HttpRequest | None:
        """Return the next whole request, or None while more bytes are needed."""
        if self._head is None:
            self._head = self._take_head()
            self._continue_expected = self._head is not None and _expects_continue(self._head)
        if self._head is None:
            return None
        body = self._take_body(self._head)
        if body is None:
            return None
        head, self._head, self._chunks = self._head, None, None
        return HttpRequest(
            method=head.method,
            target=head.target,
            headers=head.headers,
            body=body,
            keep_alive=_keeps_alive(head),
            chunked_allowed=head.minor == 1,
        )

    def _take_head(self) -> _Head | None:
        # RFC 9112 2.2: tolerate empty lines before a request line.
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        if end < 0:
            if len(self._buffer) >= HEAD_BYTES_MAX:
                raise Refusal(431, f"The request's head exceeds {HEAD_BYTES_MAX} bytes.")
            return None
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        return _parse_head(lines)

    def _take_body(self, head: _Head) -> bytes | None:
        if head.length is None:
            self._chunks = self._chunks or ChunkedBody()
            return self._chunks.take(self._buffer)
        if len(self._buffer) < head.length:
            return None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        return body


class ChunkedBody:
    """A body in chunked transfer coding; trailers are read over."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._in_trailers = False

    def take(self, buffer: bytearray) -> bytes | None:
        """Move whole chunks out of the buffer; return the body once its end was seen."""
        while not self._in_trailers:
            line_end = _line_end(buffer)
            if line_end is None:
                return None
            size = _chunk_size(bytes(buffer[:line_end]))
            if len(self._body) + size > BODY_BYTES_MAX:
                raise _too_long()
            data_end = line_end + 2 + size
            if size and len(buffer) < data_end + 2:
                return None
            if size and buffer[data_end : data_end + 2] != b"\r\n":
                raise Refusal(400, "A chunk of the body does not end where its size says.")
            self._body += buffer[line_end + 2 : data_end]
            self._in_trailers = size == 0
            del buffer[: data_end + 2 if size else data_end]
        return self._take_trailers(buffer)

    def _take_trailers(self, buffer: bytearray) -> bytes | None:
        while (line_end := _line_end(buffer)) is not None:
            del buffer[: line_end + 2]
            if line_end == 0:
                return bytes(self._body)
        return None


def _line_end(buffer: bytearray) -> int | None:
    """Return where the buffer's first line ends; None if it has not ended yet."""
    end = buffer.find(b"\r\n", 0, CHUNK_LINE_BYTES_MAX)
    if end < 0 and len(buffer) >= CHUNK_LINE_BYTES_MAX:
        raise Refusal(400, f"A line of the chunked body exceeds {CHUNK_LINE_BYTES_MAX} bytes.")
    return end if end >= 0 else None


def _chunk_size(line: bytes) -> int:
    match = CHUNK_SIZE_LINE.fullmatch(line)
    if match is None:
        raise Refusal(400, "A chunk of the body has no valid size.")
    return int(match[1], 16)


def _parse_head(lines: list[bytes]) -> _Head:
    request_line = REQUEST_LINE.fullmatch(lines[0])
    if request_line is None:
        raise Refusal(400, "The request line is not that of an HTTP/1.1 request.")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        field = FIELD_LINE.fullmatch(line)
        if field is None:
            raise Refusal(400, "A header line is malformed.")
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1").rstrip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return _Head(
        method=request_line[1].decode("ascii"),
        target=request_line[2].decode("ascii"),
        minor=int(request_line[3]),
        headers=headers,
        length=_body_length(headers),
    )


def _body_length(headers: Mapping[str, str]) -> int | None:
    """Return the body's length in bytes, None for a chunked one."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        # Both at once is how requests are smuggled (RFC 9112 6.1).
        if length is not None or coding.lower() != "chunked":
            raise Refusal(400, "The request's framing is ambiguous: send Content-Length or chunked, not both.")
        return None
    if length is None:
        return 0
    if LENGTH.fullmatch(length) is None:
        raise Refusal(400, "Content-Length is not a number.")
    if int(length) > BODY_BYTES_MAX:
        raise _too_long()
    return int(length)


def _too_long() -> Refusal:
    return Refusal(413, f"The request's body exceeds {BODY_BYTES_MAX} bytes.")


def _expects_continue(head: _Head) -> bool:
    return head.minor == 1 and head.headers.get("expect", "").lower() == "100-continue"


def _keeps_alive(head: _Head) -> bool:
    options = {option.strip().lower() for option in head.headers.get("connection", "").split(",")}
    return "close" not in options if head.minor == 1 else "keep-alive" in options
