"""Incremental parser of HTTP/1.1 requests. Performs no I/O.

llhttp (`httptools`) parses heads and chunked bodies, and refuses a request that two parsers could read differently
(RFC 9112). Four things are checked here, because it does not check them:

- the sizes of the head, of a line between chunks and of the body, which it does not limit
- the request line, since it also reads RTSP, HTTP/0.9 and HTTP/2.0, and skips repeated spaces
- the transfer coding, since it also reads a body whose codings only end with `chunked`
- the end of a request, since it reads on into a pipelined one: it gets the head alone, then lines of the body
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest body in bytes: more than the files of one request may have in base64."""
MAX_CHUNK_LINE_BYTES = 4096

REQUEST_LINE = re.compile(rb"(\S+) (\S+) HTTP/1\.([01])")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+")
CHUNKED_HEAD = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


class RequestError(Exception):
    """The reason why a request is answered with an error, in the form that OpenAI's clients expect."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind

    @property
    def body(self) -> Mapping[str, object]:
        """The error as JSON."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Header names are in lower case; the values of repeated headers are joined by a comma."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    chunked_allowed: bool
    """Whether the response may be chunked. HTTP/1.0 has no chunks; such a client reads until the connection closes."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class RequestReader:
    """A parser that splits the bytes of one connection into requests.

    `feed` takes bytes that were read from the socket. `next_request` returns a request, or None while bytes are
    missing. After it raises `RequestError`, the connection must be closed.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: HttpRequest | None = None
        self._chunks: _ChunkedBody | None = None
        self._continue_expected = False

    def feed(self, data: bytes) -> None:
        """Add bytes that were read from the socket."""
        self._buffer += data

    @property
    def buffered(self) -> int:
        """Number of bytes that were fed and are not yet parsed."""
        return len(self._buffer)

    def take_expectation(self) -> bool:
        """Return whether the client waits for `100 Continue` before it sends the body; True once for each request."""
        expected, self._continue_expected = self._continue_expected, False
        return expected

    def next_request(self) -> HttpRequest | None:
        """Return the next complete request, or None while more bytes are needed.

        Raises:
            RequestError: the bytes are not a valid request, or the request is too large.

        """
        if self._head is None:
            self._head = self._take_head()
        if self._head is None:
            return None
        body = self._take_body(self._head)
        if body is None:
            return None
        request, self._head, self._chunks = replace(self._head, body=body), None, None
        return request

    def _take_head(self) -> HttpRequest | None:
        # RFC 9112 2.2: ignore empty lines before a request line.
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                raise RequestError(431, f"The request's head exceeds {MAX_HEAD_BYTES} bytes.")
            return None
        head = parse_head(bytes(self._buffer[: end + 4]))
        del self._buffer[: end + 4]
        self._continue_expected = head.chunked_allowed and head.headers.get("expect", "").lower() == "100-continue"
        if "transfer-encoding" in head.headers:
            self._chunks = _ChunkedBody()
        return head

    def _take_body(self, head: HttpRequest) -> bytes | None:
        if self._chunks is not None:
            return self._chunks.take(self._buffer)
        length = int(head.headers.get("content-length", "0"))
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body


class _HeadFields:
    """The callbacks by which `httptools` reports the parts of a head, and the collected values."""

    def __init__(self) -> None:
        self.parser = HttpRequestParser(self)
        self.headers: dict[str, str] = {}
        self.keep_alive = False

    def on_header(self, field: bytes, content: bytes) -> None:
        name, value = field.decode("ascii").lower(), content.decode("latin-1").rstrip(" \t")
        self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()


def parse_head(data: bytes) -> HttpRequest:
    """Parse the head of a request; the body of the result is empty.

    Raises:
        RequestError: the head is not valid HTTP/1.1, its framing is ambiguous, or the body would be too large.

    """
    line = REQUEST_LINE.fullmatch(data.partition(b"\r\n")[0])
    if line is None:
        raise _wrong_request_line()
    fields = _HeadFields()
    with suppress(HttpParserUpgrade):  # a server may ignore an offer of an upgrade
        _feed(fields.parser, data)
    if fields.headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise RequestError(400, "The only transfer coding of a request that is understood is chunked.")
    if int(fields.headers.get("content-length", "0")) > MAX_BODY_BYTES:
        raise _too_long()
    return HttpRequest(
        method=line[1].decode("ascii"),
        target=line[2].decode("latin-1"),
        headers=fields.headers,
        body=b"",
        keep_alive=fields.keep_alive,
        chunked_allowed=line[3] == b"1",
    )


class _ChunkedBody:
    """A decoder of a body in chunked transfer coding; it drops trailers."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._line = b""
        """The part of a line read so far; lines are everything except the data of chunks."""
        self._in_data = self._ended = False
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(CHUNKED_HEAD)

    def take(self, buffer: bytearray) -> bytes | None:
        """Move the body's bytes out of a buffer; return the body once it is complete.

        Raises:
            RequestError: the body is too long, or is not in chunked coding.

        """
        # Reading line by line leaves the bytes after the body in the buffer.
        while buffer and not self._ended:
            end = buffer.find(b"\n") + 1 or len(buffer)
            piece = bytes(buffer[:end])
            del buffer[:end]
            if not self._in_data:
                self._line += piece
            if len(self._line) > MAX_CHUNK_LINE_BYTES:
                raise RequestError(400, f"A line of the chunked body exceeds {MAX_CHUNK_LINE_BYTES} bytes.")
            _feed(self._parser, piece)
            if piece.endswith(b"\n"):
                self._line = b""
        return bytes(self._body) if self._ended else None

    def on_chunk_header(self) -> None:
        size = CHUNK_SIZE.match(self._line)
        if size is None or len(self._body) + int(size[0], 16) > MAX_BODY_BYTES:
            raise _too_long()
        self._in_data = True

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_chunk_complete(self) -> None:
        self._in_data = False

    def on_message_complete(self) -> None:
        self._ended = True


def _feed(parser: HttpRequestParser, data: bytes) -> None:
    try:
        parser.feed_data(data)
    except HttpParserInvalidMethodError as error:
        raise _wrong_request_line() from error
    except HttpParserError as error:
        if isinstance(error.__context__, RequestError):
            raise error.__context__ from None
        raise RequestError(400, f"The request is not valid HTTP/1.1: {error}.") from error


def _wrong_request_line() -> RequestError:
    return RequestError(400, "The request line is not that of an HTTP/1.1 request.")


def _too_long() -> RequestError:
    return RequestError(413, f"The request's body exceeds {MAX_BODY_BYTES} bytes.")
