"""The parser of HTTP requests: any bytes at any cuts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.simulator.http_request import (
    MAX_BODY_BYTES,
    MAX_CHUNK_LINE_BYTES,
    MAX_HEAD_BYTES,
    HttpRequest,
    RequestError,
    RequestReader,
)


def read_requests(pieces: list[bytes]) -> list[HttpRequest]:
    """Return the requests in some bytes that are fed piece by piece."""
    reader, requests = RequestReader(), []
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.next_request()) is not None:
            requests.append(request)
    return requests


THREE_REQUESTS = (
    b"\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nx-twice: \t2 \r\nContent-Length: 3\r\n\r\nabc"
    b"POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;why=not\r\nabc\r\n1\r\nd\r\n0\r\ntrailer: t\r\n\r\n"
    b"GET /d HTTP/1.0\r\n\r\n"
)


@given(st.lists(st.integers(0, len(THREE_REQUESTS))))
def test_requests_do_not_depend_on_how_the_bytes_are_cut(cuts: list[int]) -> None:
    """At any cuts, the bytes give the same three requests."""
    edges = [0, *sorted(cuts), len(THREE_REQUESTS)]
    pieces = [THREE_REQUESTS[start:end] for start, end in pairwise(edges)]
    first, second, third = read_requests(pieces)

    assert (first.method, first.path, first.headers["x-twice"], first.body) == ("POST", "/a", "1, 2", b"abc")
    assert (second.body, second.keep_alive, third.keep_alive, third.chunked_allowed) == (b"abcd", True, False, False)
    assert read_requests([bytes([byte]) for byte in THREE_REQUESTS]) == [first, second, third]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nspace : before\r\n\r\n",
        b"GET / HTTP/1.1\r\nfolded: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nbare: a\nb\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n",
    ],
)
def test_ambiguous_or_malformed_requests_are_refused(request_bytes: bytes) -> None:
    """A request that two parsers could read differently is never interpreted."""
    with pytest.raises(RequestError) as refused:
        read_requests([request_bytes])
    assert refused.value.status in (400, 413)


def chunk_of(size: int) -> bytes:
    """Return a chunk of a size in bytes."""
    return b"%x\r\n%b\r\n" % (size, bytes(size))


CHUNKED = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES, 431),
        (b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (CHUNKED + chunk_of(MAX_BODY_BYTES // 2) + chunk_of(MAX_BODY_BYTES // 2) + b"1\r\n", 413),
        (CHUNKED + b"1;" + b"x" * MAX_CHUNK_LINE_BYTES, 400),
    ],
    ids=["head", "body", "chunks", "chunk line"],
)
def test_a_request_beyond_a_limit_is_refused_at_once(request_bytes: bytes, status: int) -> None:
    """A request that is too large is refused before the rest of it arrives."""
    with pytest.raises(RequestError) as refused:
        read_requests([request_bytes])
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("header", "body"), [(b"content-length: 3", b"abc"), (b"transfer-encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")]
)
def test_an_offer_to_upgrade_is_ignored(header: bytes, body: bytes) -> None:
    """A client that offers HTTP/2 with its request is answered by HTTP/1.1, its body included."""
    head = b"POST /a HTTP/1.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n" + header + b"\r\n\r\n"
    first, second = read_requests([head + body + b"GET /b HTTP/1.1\r\n\r\n"])
    assert (first.path, first.body, first.keep_alive, second.path) == ("/a", b"abc", True, "/b")


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"\r\n\r\n", THREE_REQUESTS[:70]]), max_size=8))
def test_arbitrary_bytes_never_crash_the_reader(pieces: list[bytes]) -> None:
    """Any bytes are requests, an incomplete request, or refused."""
    try:
        status = 200 if read_requests(pieces) else 100
    except RequestError as refusal:
        status = refusal.status
    assert status in (100, 200, 400, 413, 431)
