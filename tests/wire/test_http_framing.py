"""HTTP/1.1 framing: any bytes, cut anywhere, are a response or a named error."""

import gzip
import zlib
from itertools import pairwise

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.suite import REPLY_LIMIT
from runner.wire.decompression import BadCompression
from runner.wire.http_framing import LONGEST_HEAD, BadResponse, ResponseReader
from runner.wire.response_body import ReplyTooLarge, ResponseBody

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Id: 7\r\n\r\n5\r\nHello\r\n3;x=y\r\n, w\r\n0\r\nT: t\r\n\r\n"
)
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Id: 7\r\n\r\nHello, w"
HINTED = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + COUNTED
SLOPPY = COUNTED.replace(b"\r\n", b"\n")
LAST = COUNTED.replace(b"X-Id", b"Connection: close\r\nX-Id")
ENDLESS = b"HTTP/1.1 200 OK\r\nX-Id: 7\r\n\r\nHello, w"


def read(raw: bytes, cuts: list[int] | None = None, reader: ResponseReader | None = None) -> ResponseBody:
    """Return the body of a response fed in pieces; the timestamp of each piece is its number, from 1."""
    reader, body = reader or ResponseReader(), ResponseBody()
    reader.begin(body)
    places = [0, *sorted(cut for cut in cuts or [] if cut < len(raw)), len(raw)]
    for number, (start, end) in enumerate(pairwise(places), 1):
        if reader.body is not None:
            reader.feed(number, raw[start:end])
    return body


def content(body: ResponseBody) -> bytes:
    """Return the bytes of a body."""
    return b"".join(data for _, data in body.take())


@pytest.mark.parametrize("raw", [CHUNKED, COUNTED, HINTED, SLOPPY, LAST, ENDLESS])
@given(cuts=st.lists(st.integers(1, 140), max_size=12))
def test_response_is_the_same_at_any_cuts(raw: bytes, cuts: list[int]) -> None:
    """The head and the body are the same, and timestamps ascend."""
    reader = ResponseReader()
    body = read(raw, cuts, reader)
    if raw is ENDLESS:
        assert not body.complete
        reader.close(None)
    arrivals = body.take()
    assert b"".join(data for _, data in arrivals) == b"Hello, w"
    assert body.head is not None
    assert (body.head.status, body.head.headers["x-id"]) == (200, "7")
    assert (body.complete, body.error) == (True, None)
    timestamps = [body.sent_ns, body.headers_ns, *(at for at, _ in arrivals)]
    assert timestamps == sorted(timestamps, key=lambda at_ns: at_ns or 0)
    assert reader.reusable == (raw not in (LAST, ENDLESS))


@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:70], COUNTED[:50]]))
def test_no_bytes_raise_an_error(junk: bytes, before: bytes) -> None:
    """Any bytes are a response, or a named error after which the connection is not reused."""
    reader, body = ResponseReader(), ResponseBody()
    reader.begin(body)
    reader.feed(1, before + junk)
    if not body.complete:
        reader.close(None)
    assert body.complete
    assert body.error is None or not reader.reusable


def test_responses_follow_each_other_on_one_connection() -> None:
    """Headers of one response are not in the next."""
    reader = ResponseReader()
    for raw in (CHUNKED, COUNTED, HINTED, CHUNKED):
        assert content(read(raw, reader=reader)) == b"Hello, w"
        assert reader.reusable
    empty = read(b"HTTP/1.1 204 No Content\r\n\r\n", reader=reader)
    assert (empty.complete, empty.head and empty.head.headers) == (True, {})


@pytest.mark.parametrize("more", [b"x", b"HTTP/1.1 408 Timeout\r\n\r\n"])
def test_unrequested_bytes_make_the_connection_unusable(more: bytes) -> None:
    """Bytes after a response would be taken for the response to the next request."""
    reader = ResponseReader()
    body = read(COUNTED + more, reader=reader)
    assert (content(body), body.error, reader.reusable) == (b"Hello, w", None, False)


@pytest.mark.parametrize(
    ("raw", "broken_by", "error"),
    [
        (b"", None, aiohttp.ServerDisconnectedError),
        (b"HTTP/1.1 200", ConnectionResetError(104, "reset"), aiohttp.ClientOSError),
        (COUNTED[:-1], None, aiohttp.ClientPayloadError),
        (CHUNKED[:-1], None, aiohttp.ClientPayloadError),
        (COUNTED[:-1], ConnectionResetError(104, "reset"), aiohttp.ClientPayloadError),
        (ENDLESS, ConnectionResetError(104, "reset"), aiohttp.ClientPayloadError),
    ],
)
def test_broken_connection_raises_by_where_it_broke(
    raw: bytes, broken_by: OSError | None, error: type[Exception]
) -> None:
    """Before the head, the server did not respond; after it, the response was cut."""
    reader = ResponseReader()
    body = read(raw, reader=reader)
    reader.close(broken_by)
    assert type(body.error) is error


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * LONGEST_HEAD,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (LONGEST_HEAD // 6),
    ],
    ids=["other", "switch", "long-header", "many-headers"],
)
def test_bytes_that_are_no_response_are_a_bad_response(raw: bytes) -> None:
    """Another protocol and a head without end are errors of the body."""
    assert isinstance(read(raw).error, BadResponse)


def test_headers_of_one_name_are_joined() -> None:
    """Values are decoded as UTF-8, else as Latin-1; names are in lower case."""
    body = read(b"HTTP/1.1 200 OK\r\nA: 1\r\na: \xc3\xa9\r\nB: \xe9\r\nContent-Length: 0\r\n\r\n")
    assert body.head is not None
    assert body.head.headers == {"a": "1, é", "b": "é", "content-length": "0"}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@given(cuts=st.lists(st.integers(1, 300), max_size=8))
def test_unrequested_compression_is_undone(coding: str, cuts: list[int]) -> None:
    """The body is decompressed, wherever it is cut."""
    plain = b"data: Hello\n\n" * 20
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(packed))
    body = read(head + packed, cuts)
    assert (content(body), body.compressed, body.error) == (plain, True, None)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [(b"br", b"x"), (b"gzip", b"no gzip at all"), (b"gzip," * 6, gzip.compress(b"x"))],
    ids=["unknown", "broken", "too-many"],
)
def test_unusable_compression_is_a_bad_compression_error(coding: bytes, packed: bytes) -> None:
    """An unknown coding, broken data and very many codings are errors of the body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(packed))
    assert isinstance(read(head + packed).error, BadCompression)


@pytest.mark.parametrize("codings", [1, 2])
def test_a_small_body_that_expands_beyond_the_limit_is_too_large(codings: int) -> None:
    """The part within the limit is kept, for one coding or several, and no more is decompressed."""
    packed = bytes(2**25)
    for _ in range(codings):
        packed = gzip.compress(packed)
    named = b", ".join([b"gzip"] * codings)
    body = read(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (named, len(packed)) + packed
    )
    assert isinstance(body.error, ReplyTooLarge)
    assert sum(len(data) for _, data in body.take()) == REPLY_LIMIT


def test_a_thousand_members_in_one_read_are_joined_in_linear_time() -> None:
    """Each member is added to the others without copying them."""
    packed = gzip.compress(b"x" * 1000) * 1000
    body = read(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    assert body.error is None
    assert sum(len(data) for _, data in body.take()) == 1_000_000


@pytest.mark.parametrize(
    "endless",
    [b"4;ext=" + b"x" * 70_000, b"4\r\nText\r\n0\r\nTrailer: " + b"x" * 70_000],
    ids=["chunk-extension", "trailer"],
)
def test_framing_without_end_is_no_http(endless: bytes) -> None:
    """An endless chunk extension or trailer is refused before it fills the memory."""
    reader, body = ResponseReader(), ResponseBody()
    reader.begin(body)
    reader.feed(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(endless), 1000):
        reader.feed(2, endless[at : at + 1000])
    assert isinstance(body.error, BadResponse)
    assert "without end" in str(body.error)
