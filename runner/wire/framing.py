"""HTTP/1.1 framing: the bytes of one connection -> the heads and bodies of the responses on it, one after the other.

The grammar is llhttp's, by httptools. What is decided here is what it leaves open: provisional answers, bodies
that end with their connection, compression that nobody asked for. Performs no I/O and reads no clock.
"""

import aiohttp
import httptools

from runner.wire.decompression import BadCompression, Decompressor, is_compressed
from runner.wire.response_body import Head, ResponseBody

LONGEST_HEAD = 64 * 1024
"""Bytes in which a response's head must end: what is longer is no chat, and memory stays bounded."""

BODYLESS = frozenset({204, 304})


class BadResponse(aiohttp.ClientError):
    """What came is not a response as HTTP/1.1 has it."""


class ResponseReader:
    """Reads the responses of one connection into the bodies that wait for them. Raises nothing, whatever the bytes."""

    def __init__(self) -> None:
        self.reusable = True
        """Whether another response can follow: nothing is under way, and the server keeps the connection."""
        self.body: ResponseBody | None = None
        """What the response goes into that is waited for, or under way."""
        self._parser: httptools.HttpResponseParser | None = _make_parser(self)
        self._at_ns = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._size_without_head = 0
        self._inflater: Decompressor | None = None
        self._ends_with_connection = False

    def begin(self, body: ResponseBody) -> None:
        """Read the next response into a body."""
        self.body, self.reusable = body, False
        self._size_without_head = 0

    def feed(self, at_ns: int, data: bytes) -> None:
        """Take one read and its stamp."""
        self._at_ns = at_ns
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, BadCompression):
                raise
            self._end(error.__context__)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(BadResponse(str(error)))
        if self.body is not None and self.body.head is None:
            self._bound_head(len(data))

    def _bound_head(self, size: int) -> None:
        self._size_without_head += size
        if self._size_without_head > LONGEST_HEAD:
            self._end(BadResponse("a head without end"))

    def close(self, error: BaseException | None) -> None:
        """Take the end of the connection; `error` is what broke it, if it was not closed in order."""
        self._parser = None  # it holds this object, which only the garbage collector could tell
        body = self.body
        if body is None:
            return
        if body.head is not None:
            whole = error is None and self._ends_with_connection
            self._end(None if whole else aiohttp.ClientPayloadError(str(error or "not all came that was announced")))
        elif isinstance(error, OSError):
            self._end(aiohttp.ClientOSError(*error.args))
        else:
            self._end(aiohttp.ServerDisconnectedError())

    def _end(self, error: BaseException | None) -> None:
        """Finish the body that is being read; without one, bytes came that nobody asked for."""
        body, self.body = self.body, None
        self.reusable = self.reusable and error is None
        if body is not None:
            body.finish(error)

    def on_message_begin(self) -> None:
        """Forget the headers of the response before; one that nobody asked for spoils the connection."""
        self.reusable = self.reusable and self.body is not None
        self._headers = []
        self._inflater = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; what trails a body is of no use here."""
        if self.body is not None and self.body.head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the head over, unless it is a provisional answer's."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200 or self.body is None:
            return
        head = Head(status, _join(self._headers))
        coding = head.headers.get("content-encoding", "")
        self._inflater = Decompressor(coding) if is_compressed(coding) else None
        framed = "content-length" in head.headers or "chunked" in head.headers.get("transfer-encoding", "").lower()
        self._ends_with_connection = not framed and status not in BODYLESS
        self.body.open(self._at_ns, head)

    def on_body(self, data: bytes) -> None:
        """Hand a piece of the body over."""
        if self.body is None:
            return
        if self._inflater is not None:
            data = self._inflater.feed(data)
        self.body.receive(self._at_ns, data)

    def on_message_complete(self) -> None:
        """End the response, unless it was a provisional answer."""
        assert self._parser is not None
        if self.body is None or self.body.head is None:
            return
        self.reusable = self._parser.should_keep_alive()
        self._end(None)


def _make_parser(reader: ResponseReader) -> httptools.HttpResponseParser:
    """Return a parser that forgives servers what aiohttp forgives them."""
    parser = httptools.HttpResponseParser(reader)
    parser.set_dangerous_leniencies(
        lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
    )
    return parser


def _join(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), _decode(raw_value)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _decode(value: bytes) -> str:
    """Read a header as UTF-8, which some servers write though none may; else as what it was once meant to be."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
