"""The transport over real sockets: each timestamp is taken at the right moment, and no byte of a body is lost."""

import gzip
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from time import perf_counter_ns
from typing import Any

import aiohttp
import anyio
import httpx2
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from runner.wire.connection_pool import LookUpTrace, TimestampingProtocol
from runner.wire.decoders.response_head import ResponseHead
from runner.wire.kernel_clock import SO_TIMESTAMPNS
from runner.wire.response_body import ResponseBody
from runner.wire.transport import RequestHead, TimestampingTransport
from tests.support.certificate import make_certificate, server_context
from tests.support.scripted_server import (
    STREAM_HEAD,
    ReceivedRequest,
    ScriptedReply,
    ScriptedServer,
    http_chunk,
    http_head,
    serve,
    unused_port,
)
from tests.support.wait_until import until

pytestmark = pytest.mark.anyio

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both loops: they deliver reads in different ways."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(autouse=True)
def no_proxy_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the proxy variables of this machine."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass(frozen=True)
class Fetched:
    """A response read to its end."""

    head: ResponseHead
    body: ResponseBody
    arrivals: list[tuple[int, bytes]]

    @property
    def content(self) -> bytes:
        """All bytes in the order in which they arrived."""
        return b"".join(data for _, data in self.arrivals)


@cache
def trusting(_: str | None) -> ssl.SSLContext:
    """Return the TLS context that trusts what this file holds, else the system's certificates."""
    return ssl.create_default_context()


@asynccontextmanager
async def open_transport(tls: ssl.SSLContext | None = None) -> AsyncIterator[TimestampingTransport]:
    """Open a transport, and close it."""
    transport = TimestampingTransport(tls or trusting(os.environ.get("SSL_CERT_FILE")), connect_s=5)
    try:
        yield transport
    finally:
        await transport.aclose()


async def post(transport: TimestampingTransport, url: str, body: ResponseBody, content: bytes = b"") -> ResponseHead:
    """Send a request; return the response's head."""
    return await transport.send(RequestHead.of(httpx2.Request("POST", url, content=content)), content, body)


async def fetch(transport: TimestampingTransport, url: str, slowness_s: float = 0.0) -> Fetched:
    """Send a request and read the response to its end, with a pause after each read."""
    body = ResponseBody()
    with anyio.fail_after(20):
        response_head = await post(transport, url, body, b"{}")
        arrivals = []
        while not body.complete:
            await body.wait(None)
            arrivals += body.take()
            await anyio.sleep(slowness_s)
        arrivals += body.take()
        await body.aclose()
    return Fetched(response_head, body, arrivals)


def whole(content: bytes, **headers: str) -> ScriptedReply:
    """Return a reply with a content-length."""
    return ScriptedReply([(0, http_head(content_length=str(len(content)), **headers) + content)])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a self-signed certificate."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    """Return the TLS context of a server with that certificate."""
    return server_context(certificate)


@pytest.fixture(params=["plain", "tls"])
def tls(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext | None:
    """Run a test without TLS, and with TLS and a trusted certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return server_tls if request.param == "tls" else None


async def test_timestamps_are_in_order() -> None:
    """The connection, the request, the head and each read of the body have ascending timestamps."""
    with serve(
        ScriptedReply([(0.01, STREAM_HEAD), (0.01, http_chunk(b"one")), (0.01, http_chunk(b"two") + b"0\r\n\r\n")])
    ) as server:
        async with open_transport() as transport:
            fetched = await fetch(transport, server.url)
    phases, body = fetched.body.phases, fetched.body
    timestamps = [phases.tcp_start, phases.tcp_end, body.sent_ns, body.headers_ns, *(at for at, _ in fetched.arrivals)]
    present = [at_ns for at_ns in timestamps if at_ns is not None]
    assert len(present) == len(timestamps)
    assert present == sorted(present)
    assert (phases.tls_end, phases.dns_start, phases.reused) == (None, None, False)


async def test_each_read_has_its_own_timestamp(tls: ssl.SSLContext | None) -> None:
    """Reads that arrive while the loop is busy keep the times of their arrival, and wake no reader."""
    contents = [b"zero", b"one", b"two", b"three", b"[DONE]"]
    permits = [threading.Event() for _ in contents]
    pieces = [(permit, http_chunk(content)) for permit, content in zip(permits, contents, strict=True)]
    with serve(ScriptedReply([(0, STREAM_HEAD), *pieces], linger_s=5), tls) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            await post(transport, server.url, body)
            for place, permit in enumerate(permits):
                permit.set()
                await until(lambda count=place + 1: len(body._pieces) == count)  # type: ignore[misc]
            await body.wait(None)
            arrivals = body.take()
            await body.aclose()
    assert [data for _, data in arrivals] == contents
    assert all(before < after for (before, _), (after, _) in pairwise(arrivals))


async def test_reader_is_woken_by_the_end_or_64_kib_and_not_by_a_token() -> None:
    """A token is timestamped and stored; decoding waits for [DONE], for 64 KiB, for the end, or for a timeout."""
    permit = threading.Event()
    small, large = http_chunk(b"x" * 100), http_chunk(b"x" * 70_000)
    with serve(ScriptedReply([(0, STREAM_HEAD + small), (permit, large)], linger_s=5)) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            await post(transport, server.url, body)
            with anyio.move_on_after(0.05) as waiting:
                await body.wait(None)
            assert waiting.cancelled_caught
            permit.set()
            with anyio.fail_after(10):
                await body.wait(None)
            assert not body.complete
            await body.aclose()


async def test_closing_does_not_wait_for_the_other_side(tls: ssl.SSLContext | None) -> None:
    """An abandoned connection is closed at once, even if the server never answers TLS's closing message."""
    permit = threading.Event()
    with serve(ScriptedReply([(0, STREAM_HEAD), (permit, b"")]), tls) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            await post(transport, server.url, body)
            protocol = protocol_of(body)
            await body.aclose()
        with anyio.fail_after(10):
            await until(lambda: protocol._connection_lost_called)
        permit.set()


async def test_idle_connection_is_reused(tls: ssl.SSLContext | None) -> None:
    """A second request opens no connection: its phases are blank and it is marked as reused."""
    with serve(whole(b"hello"), tls) as server:
        async with open_transport() as transport:
            first, second = [await fetch(transport, server.url) for _ in range(2)]
    assert (first.content, second.content, server.connections) == (b"hello", b"hello", 1)
    assert (first.body.phases.reused, second.body.phases.reused) == (False, True)
    phases = second.body.phases
    assert {phases.dns_start, phases.dns_end, phases.tcp_start, phases.tcp_end, phases.tls_end} == {None}
    assert second.body.sent_ns is not None
    assert second.body.headers_ns is not None
    assert first.arrivals[-1][0] < second.body.sent_ns <= second.body.headers_ns


async def test_sent_is_timestamped_before_the_response(tls: ssl.SSLContext | None) -> None:
    """Each request on a connection has its own `sent`, taken before the server responds."""
    permits = [threading.Event() for _ in range(4)]
    with serve([ScriptedReply([(permit, http_head(content_length="2") + b"ok")]) for permit in permits], tls) as server:
        async with open_transport() as transport:
            for permit in permits:
                body = ResponseBody()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_set_when_sent, permit, body)
                    await post(transport, server.url, body)
                await body.wait(None)
                await body.aclose()
    assert server.connections == 1


@pytest.mark.parametrize("by_kernel", [True, False], ids=["kernel", "transport"])
async def test_server_that_answers_before_write_returns_shortens_no_time(
    tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch, *, by_kernel: bool
) -> None:
    """The server has the request after `sent`, even if this process loses the CPU right after the write."""
    asked_ns: list[int] = []

    def answer(_: ReceivedRequest) -> ScriptedReply:
        asked_ns.append(perf_counter_ns())
        return whole(b"ok")

    timestamp_sent = TimestampingProtocol._timestamp_sent

    def lose_the_cpu(protocol: TimestampingProtocol) -> None:
        until_ns = perf_counter_ns() + 300_000_000
        count = len(asked_ns)
        while len(asked_ns) == count and perf_counter_ns() < until_ns:
            time.sleep(0.01)
        timestamp_sent(protocol)

    monkeypatch.setattr(TimestampingProtocol, "_timestamp_sent", lose_the_cpu)
    if not by_kernel:
        monkeypatch.setattr("runner.wire.connection_pool.take_over_reading", lambda *_: None)
    with serve(answer, tls) as server:
        async with open_transport() as transport:
            bodies = [(await fetch(transport, server.url)).body for _ in range(3)]
    for body, at_ns in zip(bodies, asked_ns, strict=True):
        assert body.sent_ns is not None
        assert body.sent_by_ns is not None
        assert body.headers_ns is not None
        assert body.sent_ns < at_ns < body.headers_ns
        if sys.platform == "linux" and by_kernel:
            assert body.sent_ns == body.sent_by_ns
        else:
            assert body.sent_ns < at_ns < body.sent_by_ns


@contextmanager
def refuse_half_a_request() -> Iterator[tuple[str, threading.Event]]:
    """Run a server that reads the beginning of a request and refuses it; yield its URL and a function that ends it."""
    over = threading.Event()

    def answer() -> None:
        with listener.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(http_head("413 Content Too Large", content_length="0"))
            over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", over
        over.set()
        thread.join()


async def test_answer_before_the_request_was_written_is_not_clamped_to_zero() -> None:
    """A server that refuses half a request may have known since its first byte; the row's error includes that time."""
    with refuse_half_a_request() as (url, over):
        async with open_transport() as transport:
            body = ResponseBody()
            with anyio.fail_after(10):
                assert (await post(transport, url, body, b"x" * 30_000_000)).status == 413
            over.set()
            await body.aclose()
    assert body.sent_ns is not None
    assert body.headers_ns is not None
    assert body.sent_ns < body.headers_ns == body.sent_by_ns


async def _set_when_sent(permit: threading.Event, body: ResponseBody) -> None:
    await until(lambda: body.sent_ns is not None)
    permit.set()


async def test_connection_of_an_unread_body_is_closed(tls: ssl.SSLContext | None) -> None:
    """The rest of the body would be read as the response to the next request."""
    with serve([ScriptedReply([(0, STREAM_HEAD + http_chunk(b"one"))], linger_s=5), whole(b"two")], tls) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            await post(transport, server.url, body)
            await body.aclose()
            assert (await fetch(transport, server.url)).content == b"two"
    assert server.connections == 2


async def test_connection_that_the_server_closed_is_not_reused(tls: ssl.SSLContext | None) -> None:
    """An idle connection that the server has closed is replaced by a new one."""
    with serve(ScriptedReply([(0, http_head(content_length="2") + b"ok")], ending="close"), tls) as server:
        async with open_transport() as transport:
            await fetch(transport, server.url)
            await anyio.sleep(0.05)
            again = await fetch(transport, server.url)
    assert (again.content, again.body.phases.reused, server.connections) == (b"ok", False, 2)


async def test_name_look_up_is_timestamped() -> None:
    """The look-up of a name has a phase, before that of the connection."""
    with serve(whole(b"")) as server:
        async with open_transport() as transport:
            phases = (await fetch(transport, server.url.replace("127.0.0.1", "localhost"))).body.phases
    timestamps = [phases.dns_start, phases.dns_end, phases.tcp_start, phases.tcp_end]
    present = [at_ns for at_ns in timestamps if at_ns is not None]
    assert len(present) == 4
    assert present == sorted(present)


async def test_body_is_the_same_wherever_the_network_cuts_the_response() -> None:
    """Cuts may be inside the head and inside chunk sizes."""
    content = [b"data: \xe4\xbd\xa0\n\n", b"x" * 300, b"\r\n0\r\n\r\n", b"data: [DONE]\n\n"]
    raw = STREAM_HEAD + b"".join(map(http_chunk, content)) + b"0\r\n\r\n"

    def cut(asked: ReceivedRequest) -> ScriptedReply:
        places = sorted(Random(asked.number).sample(range(1, len(raw)), 12))
        return ScriptedReply([(0.001, raw[start:end]) for start, end in pairwise([0, *places, len(raw)])])

    with serve(cut) as server:
        async with open_transport() as transport:
            for _ in range(12):
                assert (await fetch(transport, server.url)).content == b"".join(content)
    assert server.connections == 1


@cache
def long_content() -> bytes:
    """Return five megabytes in which every offset is distinguishable."""
    return b"".join(b"%07d\n" % place for place in range(5_000_000 // 8))


@cache
def long_reply(coding: str) -> ScriptedReply:
    """Return a reply with five megabytes."""
    content = long_content()
    match coding:
        case "chunked":
            halves = http_chunk(content[:3_000_000]) + http_chunk(content[3_000_000:])
            return ScriptedReply([(0, STREAM_HEAD + halves + b"0\r\n\r\n")])
        case "gzip":
            return whole(gzip.compress(content, 1), content_encoding="gzip")
    return whole(content)


@pytest.mark.parametrize("slowness_s", [0.0, 0.002])
@pytest.mark.parametrize("coding", ["plain", "chunked", "gzip"])
async def test_long_body_arrives_complete(coding: str, slowness_s: float, tls: ssl.SSLContext | None) -> None:
    """Five megabytes arrive complete and in order, even if the reader is slower than the network."""
    with serve(long_reply(coding), tls) as server:
        async with open_transport() as transport:
            for _ in range(2):
                assert (await fetch(transport, server.url, slowness_s)).content == long_content()
    assert server.connections == 1


async def test_compressed_body_is_decompressed_and_marked() -> None:
    """The body is plain, and flagged as compressed."""
    with serve([whole(gzip.compress(b"hello"), content_encoding="gzip"), whole(b"plain")]) as server:
        async with open_transport() as transport:
            zipped, plain = [await fetch(transport, server.url) for _ in range(2)]
    assert (zipped.content, plain.content) == (b"hello", b"plain")
    assert (zipped.body.compressed, plain.body.compressed) == (True, False)
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_broken_compression_ends_the_body_with_an_error() -> None:
    """The error is kept in the body, and not raised in the read callback."""
    with serve(whole(b"this is not gzip at all", content_encoding="gzip")) as server:
        async with open_transport() as transport:
            assert isinstance((await fetch(transport, server.url)).body.error, aiohttp.ClientPayloadError)


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_cut_body_keeps_the_bytes_before_the_cut(ending: str, tls: ssl.SSLContext | None) -> None:
    """A connection that breaks inside a chunk leaves the bytes before the break and an error."""
    permit = threading.Event()
    half = http_chunk(b"two")[:4]
    reply = ScriptedReply([(0, STREAM_HEAD + http_chunk(b"one") + half), (permit, b"")], ending=ending)  # type: ignore[arg-type]
    with serve(reply, tls) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            await post(transport, server.url, body)
            permit.set()
            with anyio.fail_after(10):
                await body.wait(None)
            assert b"".join(data for _, data in body.take()) == b"one" + half[3:]
            await body.aclose()
    assert body.complete
    assert isinstance(body.error, aiohttp.ClientError)


async def test_body_without_a_length_ends_with_its_connection(tls: ssl.SSLContext | None) -> None:
    """An HTTP/1.0 response is complete when the server closes the connection."""
    with serve(ScriptedReply([(0, b"HTTP/1.0 200 OK\r\n\r\none"), (0.01, b"two")], ending="close"), tls) as server:
        async with open_transport() as transport:
            fetched = await fetch(transport, server.url)
    assert (fetched.content, fetched.body.error) == (b"onetwo", None)


async def test_empty_body_is_complete_at_once() -> None:
    """A response without a body has a timestamp of its head and an end, also the second one on a connection."""
    with serve(ScriptedReply([(0, http_head("204 No Content"))])) as server:
        async with open_transport() as transport:
            for _ in range(2):
                fetched = await fetch(transport, server.url)
                assert fetched.content == b""
                assert fetched.body.headers_ns is not None
    assert server.connections == 1


async def test_early_hints_are_not_the_response() -> None:
    """A provisional response sets neither the timestamp of the head nor the end of the body."""
    permit = threading.Event()
    hints = http_head("103 Early Hints", link="</style.css>")
    with serve(ScriptedReply([(0, hints), (permit, STREAM_HEAD), (0.01, http_chunk(b"one") + b"0\r\n\r\n")])) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_set_later, permit, body)
                response_head = await post(transport, server.url, body)
            await body.wait(None)
            assert (response_head.status, body.take()[0][1]) == (200, b"one")
            await body.aclose()


async def _set_later(permit: threading.Event, body: ResponseBody) -> None:
    await anyio.sleep(0.05)
    assert (body.headers_ns, body.complete) == (None, False)
    permit.set()


async def test_certificate_named_by_ssl_cert_file_is_trusted(
    server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The TLS handshake has its own phase, before `sent`."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(whole(b"hello"), server_tls) as server:
        async with open_transport() as transport:
            first, second = [await fetch(transport, server.url) for _ in range(2)]
    phases = first.body.phases
    timestamps = [phases.tcp_start, phases.tcp_end, phases.tls_end, first.body.sent_ns, first.body.headers_ns]
    present = [at_ns for at_ns in timestamps if at_ns is not None]
    assert len(present) == len(timestamps)
    assert present == sorted(present)
    assert (first.content, second.content, second.body.phases.reused) == (b"hello", b"hello", True)


async def test_untrusted_certificate_is_refused(server_tls: ssl.SSLContext) -> None:
    """A server with an untrusted certificate receives no request."""
    with serve(whole(b"hello"), server_tls) as server:
        async with open_transport() as transport:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await fetch(transport, server.url)
    assert server.requests == []


@contextmanager
def tunnel_to(scripted: ScriptedServer) -> Iterator[tuple[str, list[bytes]]]:
    """Run a proxy that connects every CONNECT to one server; yield its address and the heads that it received."""
    heads: list[bytes] = []

    def carry(client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", scripted.port)) as server:
            heads.append(client.recv(65536))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other = {client: server, server: client}
            while data := (ready := select.select(list(other), [], [], 10)[0][0]).recv(65536):
                other[ready].sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://user:word@127.0.0.1:{listener.getsockname()[1]}", heads
        listener.shutdown(socket.SHUT_RDWR)


async def test_https_goes_through_a_tunnel_of_the_proxy(
    server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is encrypted end to end; the proxy receives the host's name and its own password."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(whole(b"hello"), server_tls) as server, tunnel_to(server) as (address, heads):
        monkeypatch.setenv("HTTPS_PROXY", address)
        async with open_transport() as transport:
            first, second = [await fetch(transport, "https://fake.test/v1") for _ in range(2)]
    assert (first.content, second.content, len(heads)) == (b"hello", b"hello", 1)
    assert heads[0].startswith(b"CONNECT fake.test:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in heads[0]
    assert "proxy-authorization" not in server.requests[0].headers
    body = first.body
    assert body.phases.tcp_start is not None
    assert body.phases.tls_end is not None
    assert body.sent_ns is not None
    assert body.phases.tcp_start <= body.phases.tls_end <= body.sent_ns
    assert second.body.phases.reused


async def test_http_request_to_a_proxy_has_an_absolute_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request's first line holds the whole URL."""
    with serve(whole(b"hello")) as server:
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
        async with open_transport() as transport:
            assert (await fetch(transport, "http://fake.test/v1")).content == b"hello"
    assert server.requests[0].target == "http://fake.test/v1"


async def test_look_up_of_a_proxys_name_is_timestamped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through an HTTP proxy the name that is looked up is the proxy's."""
    with serve(whole(b"hello")) as server:
        monkeypatch.setenv("http_proxy", f"http://localhost:{server.port}")
        async with open_transport() as transport:
            phases = (await fetch(transport, "http://fake.test/v1")).body.phases
    timestamps = [phases.dns_start, phases.dns_end, phases.tcp_start, phases.tcp_end]
    present = [at_ns for at_ns in timestamps if at_ns is not None]
    assert len(present) == 4
    assert present == sorted(present)


async def test_server_on_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback addresses are reached directly, whatever the proxy variables are."""
    with serve(whole(b"hello")) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
        async with open_transport() as transport:
            assert (await fetch(transport, server.url)).content == b"hello"
    assert server.requests[0].target == "/v1"


async def test_closed_port_is_refused() -> None:
    """Without a listener there is no connection."""
    async with open_transport() as transport:
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetch(transport, f"http://127.0.0.1:{unused_port()}")


async def test_unknown_name_is_a_dns_error() -> None:
    """A name that cannot exist fails in the look-up."""
    async with open_transport() as transport:
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await fetch(transport, "http://nowhere.invalid")


async def test_private_parts_of_aiohttp_that_are_overridden_exist() -> None:
    """Timestamps depend on them: if an upgrade of aiohttp moves one, this test fails first."""
    connector = aiohttp.TCPConnector()
    assert connector._factory.func is ResponseHandler
    await connector.close()
    for name in (
        "_create_direct_connection",
        "_create_proxy_connection",
        "_get_ssl_context",
        "_start_tls_connection",
        "_update_proxy_auth_header_and_build_proxy_req",
        "_wrap_create_connection",
        "_wrap_existing_connection",
    ):
        assert hasattr(aiohttp.TCPConnector, name), name
    for name in ("send_dns_resolvehost_start", "send_dns_resolvehost_end"):
        assert hasattr(Trace, name), name
        assert name in vars(LookUpTrace), name
    for name in ("connection_made", "resume_writing", "data_received", "connection_lost", "should_close"):
        assert hasattr(ResponseHandler, name), name
        assert name in vars(TimestampingProtocol), name
    assert hasattr(ResponseHandler, "writing_paused")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems report a reset differently")
async def test_reset_directly_behind_bytes_is_noticed() -> None:
    """Bytes and a reset that are ready in the same poll become bytes, then an error."""
    permit = threading.Event()
    reply = ScriptedReply([(0, STREAM_HEAD), (permit, http_chunk(b"one"))], ending="reset")
    with serve(reply) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            await post(transport, server.url, body)
            poll = select.poll()
            poll.register(descriptor_of(body), select.POLLIN)
            permit.set()
            while not any(event & select.POLLERR for _, event in poll.poll(10_000)):
                pass  # blocks the loop until both are here
            with anyio.fail_after(10):
                await body.wait(None)
            assert [data for _, data in body.take()] == [b"one"]
            await body.aclose()
    assert isinstance(body.error, aiohttp.ClientPayloadError)


def protocol_of(body: ResponseBody) -> Any:
    """Return the protocol of a body's connection."""
    return body._connection.protocol  # type: ignore[union-attr]


def descriptor_of(body: ResponseBody) -> int:
    """Return the descriptor of a body's connection."""
    number: int = protocol_of(body).transport.get_extra_info("socket").fileno()
    return number


@pytest.fixture
def kernel_timestamps() -> Iterator[None]:
    """Make the kernel timestamp what arrives: it starts shortly after the first socket has asked for it."""
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        time.sleep(0.1)
        yield


@pytest.mark.usefixtures("kernel_timestamps")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports when a read arrived")
async def test_blocked_loop_does_not_delay_the_kernels_timestamp(tls: ssl.SSLContext | None) -> None:
    """It is the time of arrival, although the loop read the bytes later; TLS is decrypted afterwards."""
    permit = threading.Event()
    pieces = [(0, STREAM_HEAD), (permit, http_chunk(b"one")), (0.01, b"0\r\n\r\n")]
    with serve(ScriptedReply(pieces), tls) as server:  # type: ignore[arg-type]
        async with open_transport() as transport:
            body = ResponseBody()
            await post(transport, server.url, body)
            permit.set()
            select.select([descriptor_of(body)], [], [])  # blocks the loop until the bytes are here
            here_ns = perf_counter_ns()
            time.sleep(0.1)  # noqa: ASYNC251 -- blocks it for long after
            await body.wait(None)
            [(at_ns, data)] = body.take()
            await body.aclose()
    assert (data, body.clock) == (b"one", "kernel")
    assert at_ns < here_ns + 50_000_000


async def test_long_request_is_sent_when_the_socket_has_taken_its_last_byte(tls: ssl.SSLContext | None) -> None:
    """The clock must not start while a part of the request waits for the socket, with or without TLS."""
    content, waiting = b"x" * 20_000_000, []
    with serve(whole(b"ok"), tls) as server:
        async with open_transport() as transport:
            body = ResponseBody()
            body.when_sent = lambda: waiting.append(bytes_waiting(body))
            await post(transport, server.url, body, content)
            assert body.sent_ns is not None
            assert body.headers_ns is not None
            assert body.sent_ns <= body.headers_ns
            await body.aclose()
    assert waiting == [0]
    assert server.requests[0].headers["content-length"] == str(len(content))


def bytes_waiting(body: ResponseBody) -> int:
    """Return how many bytes of a request the socket has not taken yet."""
    protocol = protocol_of(body)
    layers = [protocol.transport, *([protocol.raw_transport] if protocol.raw_transport else [])]
    return sum(layer.get_write_buffer_size() for layer in layers)


async def test_line_end_in_a_header_is_refused() -> None:
    """A line end would smuggle in another header; the error is raised before anything is sent."""
    request = httpx2.Request("POST", "http://127.0.0.1:9", headers={"x": "1\r\ny: 2"})
    with pytest.raises(ValueError, match="end of a line"):
        RequestHead.of(request)
