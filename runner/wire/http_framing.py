"""HTTP/1.1 framing: the bytes of one connection become the heads and bodies of the responses on it.

The grammar is llhttp's, through httptools. This file decides what llhttp leaves open: provisional responses, bodies
that end with their connection, unrequested compression. It performs no I/O and reads no clock.
"""

import re
from contextlib import suppress

import aiohttp
import httptools

from runner.wire.decoders.response_head import ResponseHead
from runner.wire.decompression import BadCompression, Decompression, find_codings
from runner.wire.response_body import ResponseBody

LONGEST_HEAD = 64 * 1024
"""Maximum size of a response's head, of a chunk's head, and of the trailer, in bytes. It bounds the memory used."""

BODYLESS = frozenset({204, 304})
LENGTH_LINE = re.compile(rb"\r?\ncontent-length[ \t]*:[ \t]*([^\r\n]*)(?=\r?\n)", re.IGNORECASE)
CHUNKED_LINE = re.compile(rb"\r?\ntransfer-encoding[ \t]*:[^\r\n]*chunked", re.IGNORECASE)
HEAD_END = re.compile(rb"\r?\n\r?\n")


class BadResponse(aiohttp.ClientError):
    """The bytes received are not a valid HTTP/1.1 response."""


class ResponseReader:
    """Parses the responses of one connection into their bodies. Never raises, whatever the bytes."""

    def __init__(self) -> None:
        self.reusable = True
        """Whether another request can be sent: no response is in progress, and the server keeps the connection."""
        self.body: ResponseBody | None = None
        """The body of the response that is expected or in progress."""
        self._parser: httptools.HttpResponseParser | None = _make_parser(self)
        self._at_ns = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._framing_size = 0
        """Number of bytes since the request, or since the last piece of the body."""
        self._head = bytearray()
        """Bytes of the incomplete head, kept to parse it again if it states its length twice."""
        self._decompressor: Decompression | None = None
        self._ends_with_connection = False

    def begin(self, body: ResponseBody) -> None:
        """Read the next response into `body`."""
        self.body, self.reusable = body, False
        self._framing_size = 0
        self._head.clear()

    def feed(self, at_ns: int, data: bytes) -> None:
        """Parse one read, which arrived at `at_ns`."""
        self._at_ns = at_ns
        if self.body is not None and self.body.head is None:
            self._head += data
            data = self._with_one_length(data)
        assert self._parser is not None
        self._framing_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._end(error.__context__ or error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(BadResponse(str(error)))
        if self._framing_size > LONGEST_HEAD and self.body is not None:
            part = "head" if self.body.head is None else "chunk's head or a trailer"
            self._end(BadResponse(f"a {part} without end"))

    def _with_one_length(self, data: bytes) -> bytes:
        """Return what to parse: the read, or for a new parser the head with a form of its length that llhttp accepts.

        A head may state the length several times if all are equal, and beside chunked encoding, which takes precedence
        (RFC 9112, 6.3).
        """
        end = HEAD_END.search(self._head)
        if end is None:
            return data
        head, lengths = bytes(self._head[: end.start() + 2]), LENGTH_LINE.findall(self._head[: end.start() + 2])
        values = {value.strip() for length in lengths for value in length.split(b",")}
        is_chunked = CHUNKED_LINE.search(head) is not None
        is_repeated = len(lengths) > 1 or (lengths and b"," in lengths[0])
        if not lengths or not (is_chunked or (is_repeated and len(values) == 1)):
            return data
        once = b"" if is_chunked else b"\r\nContent-Length: " + values.pop()
        self._parser, rest = _make_parser(self), bytes(self._head[end.start() + 2 :])
        line_end = head.find(b"\n") - (head[: head.find(b"\n")].endswith(b"\r"))
        bare = LENGTH_LINE.sub(b"", head)
        return bare[:line_end] + once + bare[line_end:] + rest

    def close(self, error: BaseException | None) -> None:
        """End the response in progress with the connection; `error` is what broke it, None if it was closed."""
        self._parser = None  # it refers to this object; only the garbage collector frees such a cycle
        body = self.body
        if body is None:
            return
        if body.head is not None:
            with suppress(BadCompression):
                self._finish_decompression()
            whole = error is None and self._ends_with_connection
            self._end(
                None if whole else aiohttp.ClientPayloadError(str(error or "the response is shorter than announced"))
            )
        elif isinstance(error, OSError):
            self._end(aiohttp.ClientOSError(*error.args))
        else:
            self._end(aiohttp.ServerDisconnectedError())

    def _finish_decompression(self) -> None:
        """Add what decompression held back.

        Raises:
            BadCompression: it cannot be decompressed.

        """
        if self._decompressor is not None and self.body is not None and (data := self._decompressor.finish()):
            self.body.receive(self._at_ns, data)

    def _end(self, error: BaseException | None) -> None:
        """Finish the body in progress; there is none if unsolicited bytes arrive."""
        body, self.body = self.body, None
        self.reusable = self.reusable and error is None
        if body is not None:
            body.finish(error)

    def on_message_begin(self) -> None:
        """Reset the headers of the previous response; an unsolicited response makes the connection unusable."""
        self.reusable = self.reusable and self.body is not None
        self._headers = []
        self._decompressor = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; trailers after the body are ignored."""
        if self.body is not None and self.body.head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Set the body's head, unless the response is provisional (1xx)."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200 or self.body is None:
            return
        head = ResponseHead(status, _join(self._headers))
        codings = find_codings(head.headers)
        self._decompressor = Decompression(codings, self.body.limit) if codings else None
        framed = "content-length" in head.headers or "chunked" in head.headers.get("transfer-encoding", "").lower()
        self._ends_with_connection = not framed and status not in BODYLESS
        self.body.start(self._at_ns, head)

    def on_body(self, data: bytes) -> None:
        """Add a piece to the body."""
        if self.body is None:
            return
        self._framing_size = 0
        if self._decompressor is None:
            self.body.receive(self._at_ns, data)
            return
        plain = self._decompressor.feed(data)
        self.body.compressed = self._decompressor.is_compressed
        if plain:
            self.body.receive(self._at_ns, plain)
        if self._decompressor.overflowed:
            self.body.exceed()

    def on_message_complete(self) -> None:
        """End the response, unless it was provisional."""
        assert self._parser is not None
        if self.body is None or self.body.head is None:
            return
        self._finish_decompression()
        self.reusable = self._parser.should_keep_alive()
        self._end(None)


def _make_parser(reader: ResponseReader) -> httptools.HttpResponseParser:
    """Return a parser that tolerates the same deviations as aiohttp."""
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
    """Return a header's value decoded as UTF-8, which some servers send against the standard, else as Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
