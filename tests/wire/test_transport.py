"""Stamps over real sockets: what is stamped where, and that nothing of a body is lost on the way."""

import gzip
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from time import perf_counter_ns

import aiohttp
import anyio
import httpx2
import pytest
from aiohttp.client_proto import ResponseHandler

from runner.wire.connection import StampingProtocol
from runner.wire.kernel_clock import SO_TIMESTAMPNS
from runner.wire.response_body import ResponseBody, listen
from runner.wire.transport import RequestHead, StampingTransport
from tests.support.certificate import make_certificate, serve_with
from tests.support.scripted_server import STREAM_HEAD, Asked, Reply, Tape, frame, head, play
from tests.support.wait_until import until

pytestmark = pytest.mark.anyio

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both loops: they hand over reads in different ways."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(autouse=True)
def no_proxy_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep proxies of this machine out."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass(frozen=True)
class Fetched:
    """A response heard to its end."""

    response: httpx2.Response
    body: ResponseBody
    arrivals: list[tuple[int, bytes]]

    @property
    def content(self) -> bytes:
        """All bytes in the order in which they were handed over."""
        return b"".join(data for _, data in self.arrivals)


@asynccontextmanager
async def open_transport(tls: ssl.SSLContext | None = None) -> AsyncIterator[StampingTransport]:
    """Open a transport, and close it."""
    transport = StampingTransport(tls or ssl.create_default_context(), connect_s=5)
    try:
        yield transport
    finally:
        await transport.aclose()


async def fetch(transport: StampingTransport, url: str, slowness_s: float = 0.0) -> Fetched:
    """Post something, and read the answer to its end as slowly as told."""
    body = listen()
    with anyio.fail_after(20):
        response = await transport.handle_async_request(httpx2.Request("POST", url, content=b"{}"))
        arrivals = []
        while not body.complete:
            await body.wait(None)
            arrivals += body.take()
            await anyio.sleep(slowness_s)
        arrivals += body.take()
        await response.aclose()
    return Fetched(response, body, arrivals)


def whole(content: bytes, **headers: str) -> Reply:
    """Return a reply whose length is told."""
    return Reply([(0, head(content_length=str(len(content)), **headers) + content)])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate that nobody has signed."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    """Return how a server shows that certificate."""
    return serve_with(certificate)


@pytest.fixture(params=["plain", "tls"])
def tls(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext | None:
    """Run a test without TLS and with it, by a certificate that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return server_tls if request.param == "tls" else None


async def test_stamps_come_in_order() -> None:
    """Connect, then send, then head, then each read of the body: the order of the stamps is that of the world."""
    with play(Reply([(0.01, STREAM_HEAD), (0.01, frame(b"one")), (0.01, frame(b"two") + b"0\r\n\r\n")])) as tape:
        async with open_transport() as transport:
            fetched = await fetch(transport, tape.url)
    phases, body = fetched.body.phases, fetched.body
    stamps = [phases.tcp_start, phases.tcp_end, body.sent_ns, body.headers_ns, *(at for at, _ in fetched.arrivals)]
    present = [stamp for stamp in stamps if stamp is not None]
    assert len(present) == len(stamps)
    assert present == sorted(present)
    assert (phases.tls_end, phases.dns_start, phases.reused) == (None, None, False)


async def test_each_read_has_its_own_stamp(tls: ssl.SSLContext | None) -> None:
    """Reads that come while nobody looks keep the stamps of their own arrival, and wake nobody."""
    contents = [b"zero", b"one", b"two", b"three", b"[DONE]"]
    permits = [threading.Event() for _ in contents]
    pieces = [(permit, frame(content)) for permit, content in zip(permits, contents, strict=True)]
    with play(Reply([(0, STREAM_HEAD), *pieces], linger_s=5), tls) as tape:
        async with open_transport() as transport:
            body = listen()
            response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
            for place, permit in enumerate(permits):
                permit.set()
                await until(lambda count=place + 1: body.undecoded == count)  # type: ignore[misc]
            await body.wait(None)
            arrivals = body.take()
            await response.aclose()
    assert [data for _, data in arrivals] == contents
    assert all(before < after for (before, _), (after, _) in pairwise(arrivals))


async def test_nothing_but_the_end_wakes_the_reader() -> None:
    """A token is stamped and stored; decoding waits for [DONE], for 64 KiB, for the end, or for a timer."""
    permit = threading.Event()
    small, large = frame(b"x" * 100), frame(b"x" * 70_000)
    with play(Reply([(0, STREAM_HEAD + small), (permit, large)], linger_s=5)) as tape:
        async with open_transport() as transport:
            body = listen()
            response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
            with anyio.move_on_after(0.05) as waiting:
                await body.wait(None)
            assert waiting.cancelled_caught
            permit.set()
            with anyio.fail_after(10):
                await body.wait(None)
            assert not body.complete
            await response.aclose()


async def test_a_connection_is_used_again(tls: ssl.SSLContext | None) -> None:
    """A second request opens nothing: its phases are blank and it says so."""
    with play(whole(b"hello"), tls) as tape:
        async with open_transport() as transport:
            first, second = [await fetch(transport, tape.url) for _ in range(2)]
    assert (first.content, second.content, tape.connections) == (b"hello", b"hello", 1)
    assert (first.body.phases.reused, second.body.phases.reused) == (False, True)
    phases = second.body.phases
    assert {phases.dns_start, phases.dns_end, phases.tcp_start, phases.tcp_end, phases.tls_end} == {None}
    assert second.body.sent_ns is not None
    assert second.body.headers_ns is not None
    assert first.arrivals[-1][0] < second.body.sent_ns <= second.body.headers_ns


async def test_the_clock_starts_before_the_answer(tls: ssl.SSLContext | None) -> None:
    """Each request on a connection is stamped as sent by itself, and not when its answer shows that it was."""
    permits = [threading.Event() for _ in range(4)]
    with play([Reply([(permit, head(content_length="2") + b"ok")]) for permit in permits], tls) as tape:
        async with open_transport() as transport:
            for permit in permits:
                body = listen()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_set_when_sent, permit, body)
                    response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
                await body.wait(None)
                await response.aclose()
    assert tape.connections == 1


async def _set_when_sent(permit: threading.Event, body: ResponseBody) -> None:
    await until(lambda: body.sent_ns is not None)
    permit.set()


async def test_a_broken_off_reading_does_not_give_its_connection_back(tls: ssl.SSLContext | None) -> None:
    """What was not read to its end would be heard by the next request."""
    with play([Reply([(0, STREAM_HEAD + frame(b"one"))], linger_s=5), whole(b"two")], tls) as tape:
        async with open_transport() as transport:
            listen()
            response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
            await response.aclose()
            assert (await fetch(transport, tape.url)).content == b"two"
    assert tape.connections == 2


async def test_a_connection_the_server_closed_meanwhile_is_not_used(tls: ssl.SSLContext | None) -> None:
    """An idle connection that has died is noticed, and a new one is opened."""
    with play(Reply([(0, head(content_length="2") + b"ok")], ending="close"), tls) as tape:
        async with open_transport() as transport:
            await fetch(transport, tape.url)
            await anyio.sleep(0.05)
            again = await fetch(transport, tape.url)
    assert (again.content, again.body.phases.reused, tape.connections) == (b"ok", False, 2)


async def test_the_name_look_up_is_stamped() -> None:
    """A name that had to be looked up has its phase, before the connection's."""
    with play(whole(b"")) as tape:
        async with open_transport() as transport:
            phases = (await fetch(transport, tape.url.replace("127.0.0.1", "localhost"))).body.phases
    stamps = [phases.dns_start, phases.dns_end, phases.tcp_start, phases.tcp_end]
    present = [stamp for stamp in stamps if stamp is not None]
    assert len(present) == 4
    assert present == sorted(present)


async def test_bytes_split_anywhere_are_the_same_bytes() -> None:
    """Wherever the network cuts a response, head and chunk sizes included, its body is the same."""
    content = [b"data: \xe4\xbd\xa0\n\n", b"x" * 300, b"\r\n0\r\n\r\n", b"data: [DONE]\n\n"]
    raw = STREAM_HEAD + b"".join(map(frame, content)) + b"0\r\n\r\n"

    def cut(asked: Asked) -> Reply:
        places = sorted(Random(asked.number).sample(range(1, len(raw)), 12))
        return Reply([(0.001, raw[start:end]) for start, end in pairwise([0, *places, len(raw)])])

    with play(cut) as tape:
        async with open_transport() as transport:
            for _ in range(12):
                assert (await fetch(transport, tape.url)).content == b"".join(content)
    assert tape.connections == 1


@pytest.mark.parametrize("slowness_s", [0.0, 0.002])
@pytest.mark.parametrize("coding", ["plain", "chunked", "gzip"])
async def test_a_long_body_arrives_whole(coding: str, slowness_s: float, tls: ssl.SSLContext | None) -> None:
    """Five megabytes come complete and in order, also through a reader that is slower than the network."""
    content = b"".join(b"%07d\n" % place for place in range(5_000_000 // 8))
    replies = {
        "plain": whole(content),
        "chunked": Reply([(0, STREAM_HEAD + frame(content[:3_000_000]) + frame(content[3_000_000:]) + b"0\r\n\r\n")]),
        "gzip": whole(gzip.compress(content, 1), content_encoding="gzip"),
    }
    with play(replies[coding], tls) as tape:
        async with open_transport() as transport:
            for _ in range(2):
                assert (await fetch(transport, tape.url, slowness_s)).content == content
    assert tape.connections == 1


async def test_compression_is_undone_and_told() -> None:
    """A compressed body comes out plain; nobody is told to undo it again, but it is known that it was."""
    with play([whole(gzip.compress(b"hello"), content_encoding="gzip"), whole(b"plain")]) as tape:
        async with open_transport() as transport:
            zipped, plain = [await fetch(transport, tape.url) for _ in range(2)]
    assert (zipped.content, plain.content) == (b"hello", b"plain")
    assert "content-encoding" not in zipped.response.headers
    assert (zipped.body.compressed, plain.body.compressed) == (True, False)
    assert tape.asked[0].headers["accept-encoding"] == "identity"


async def test_broken_compression_is_an_error_of_the_body() -> None:
    """Bytes that claim to be compressed and are not end the body with an error, and nothing else."""
    with play(whole(b"this is no gzip at all", content_encoding="gzip")) as tape:
        async with open_transport() as transport:
            assert isinstance((await fetch(transport, tape.url)).body.error, aiohttp.ClientPayloadError)


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_cut_keeps_what_came(ending: str, tls: ssl.SSLContext | None) -> None:
    """A connection that breaks inside a chunk leaves the bytes before the break, and the error."""
    permit = threading.Event()
    half = frame(b"two")[:4]
    reply = Reply([(0, STREAM_HEAD + frame(b"one") + half), (permit, b"")], ending=ending)  # type: ignore[arg-type]
    with play(reply, tls) as tape:
        async with open_transport() as transport:
            body = listen()
            response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
            permit.set()
            with anyio.fail_after(10):
                await body.wait(None)
            assert b"".join(data for _, data in body.take()) == b"one" + half[3:]
            await response.aclose()
    assert body.complete
    assert isinstance(body.error, aiohttp.ClientError)


async def test_a_body_without_a_length_ends_with_its_connection(tls: ssl.SSLContext | None) -> None:
    """An answer as HTTP/1.0 gives it is complete when the server hangs up."""
    with play(Reply([(0, b"HTTP/1.0 200 OK\r\n\r\none"), (0.01, b"two")], ending="close"), tls) as tape:
        async with open_transport() as transport:
            fetched = await fetch(transport, tape.url)
    assert (fetched.content, fetched.body.error) == (b"onetwo", None)


async def test_empty_bodies_are_complete_at_once() -> None:
    """An answer without a body has a head's stamp and an end, the second time on a connection, too."""
    with play(Reply([(0, head("204 No Content"))])) as tape:
        async with open_transport() as transport:
            for _ in range(2):
                fetched = await fetch(transport, tape.url)
                assert fetched.content == b""
                assert fetched.body.headers_ns is not None
    assert tape.connections == 1


async def test_a_provisional_answer_is_not_the_answer() -> None:
    """Early hints come before the head; neither are they its stamp, nor do they end the body."""
    permit = threading.Event()
    hints = head("103 Early Hints", link="</style.css>")
    with play(Reply([(0, hints), (permit, STREAM_HEAD), (0.01, frame(b"one") + b"0\r\n\r\n")])) as tape:
        async with open_transport() as transport:
            body = listen()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_set_later, permit, body)
                response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
            await body.wait(None)
            assert (response.status_code, body.take()[0][1]) == (200, b"one")
            await response.aclose()


async def _set_later(permit: threading.Event, body: ResponseBody) -> None:
    await anyio.sleep(0.05)
    assert (body.headers_ns, body.complete) == (None, False)
    permit.set()


async def test_a_certificate_named_by_ssl_cert_file_is_trusted(
    server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE makes a private authority known; the handshake has its own phase, before `sent`."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with play(whole(b"hello"), server_tls) as tape:
        async with open_transport() as transport:
            first, second = [await fetch(transport, tape.url) for _ in range(2)]
    phases = first.body.phases
    stamps = [phases.tcp_start, phases.tcp_end, phases.tls_end, first.body.sent_ns, first.body.headers_ns]
    present = [stamp for stamp in stamps if stamp is not None]
    assert len(present) == len(stamps)
    assert present == sorted(present)
    assert (first.content, second.content, second.body.phases.reused) == (b"hello", b"hello", True)


async def test_an_unknown_certificate_is_refused(server_tls: ssl.SSLContext) -> None:
    """Nothing is sent to a server that cannot prove who it is."""
    with play(whole(b"hello"), server_tls) as tape:
        async with open_transport() as transport:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await fetch(transport, tape.url)
    assert tape.asked == []


@contextmanager
def tunnel_to(tape: Tape) -> Iterator[tuple[str, list[bytes]]]:
    """Run a proxy that leads every CONNECT to one server; yield its address and the heads it was sent."""
    heads: list[bytes] = []

    def carry(client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", tape.port)) as server:
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


async def test_https_goes_through_a_proxys_tunnel(
    server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY carries the request end to end encrypted; the proxy sees the host's name and its own password."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with play(whole(b"hello"), server_tls) as tape, tunnel_to(tape) as (address, heads):
        monkeypatch.setenv("HTTPS_PROXY", address)
        async with open_transport() as transport:
            first, second = [await fetch(transport, "https://fake.test/v1") for _ in range(2)]
    assert (first.content, second.content, len(heads)) == (b"hello", b"hello", 1)
    assert heads[0].startswith(b"CONNECT fake.test:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in heads[0]
    assert "proxy-authorization" not in tape.asked[0].headers
    body = first.body
    assert body.phases.tcp_start is not None
    assert body.phases.tls_end is not None
    assert body.sent_ns is not None
    assert body.phases.tcp_start <= body.phases.tls_end <= body.sent_ns
    assert second.body.phases.reused


async def test_http_goes_through_a_proxy_in_absolute_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is asked for the whole URL."""
    with play(whole(b"hello")) as tape:
        monkeypatch.setenv("http_proxy", tape.url.removesuffix("/v1"))
        async with open_transport() as transport:
            assert (await fetch(transport, "http://fake.test/v1")).content == b"hello"
    assert tape.asked[0].target == "http://fake.test/v1"


async def test_a_server_on_this_machine_is_never_proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the proxy variables say, loopback is asked directly."""
    with play(whole(b"hello")) as tape:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
        async with open_transport() as transport:
            assert (await fetch(transport, tape.url)).content == b"hello"
    assert tape.asked[0].target == "/v1"


def unused_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_a_closed_port_is_refused() -> None:
    """No listener, no connection, and no `sent`."""
    async with open_transport() as transport:
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetch(transport, f"http://127.0.0.1:{unused_port()}")


async def test_an_unknown_name_does_not_resolve() -> None:
    """A name that cannot exist fails as a name."""
    async with open_transport() as transport:
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await fetch(transport, "http://nowhere.invalid")


async def test_what_is_relied_on_inside_aiohttp_is_there() -> None:
    """The private parts of aiohttp that stamping hooks into: when an upgrade moves them, this says so first."""
    connector = aiohttp.TCPConnector()
    assert connector._factory.func is ResponseHandler
    await connector.close()
    for name in (
        "_create_direct_connection",
        "_get_ssl_context",
        "_start_tls_connection",
        "_wrap_create_connection",
        "_wrap_existing_connection",
    ):
        assert hasattr(aiohttp.TCPConnector, name), name
    for name in ("connection_made", "resume_writing", "data_received", "connection_lost", "should_close"):
        assert hasattr(ResponseHandler, name), name
        assert name in vars(StampingProtocol), name
    assert hasattr(ResponseHandler, "writing_paused")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of a reset in other ways")
async def test_a_break_right_behind_bytes_is_noticed() -> None:
    """Bytes and a reset that are met in one look at the socket are bytes, then an error."""
    permit = threading.Event()
    reply = Reply([(0, STREAM_HEAD), (permit, frame(b"one"))], ending="reset")
    with play(reply) as tape:
        async with open_transport() as transport:
            body = listen()
            response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
            poll = select.poll()
            poll.register(descriptor_of(body), select.POLLIN)
            permit.set()
            while not any(event & select.POLLERR for _, event in poll.poll(10_000)):
                pass  # this holds the loop up until both are here
            with anyio.fail_after(10):
                await body.wait(None)
            assert [data for _, data in body.take()] == [b"one"]
            await response.aclose()
    assert isinstance(body.error, aiohttp.ClientPayloadError)


def descriptor_of(body: ResponseBody) -> int:
    """Return the descriptor of the connection on which a body comes."""
    number: int = body._connection.protocol.transport.get_extra_info("socket").fileno()  # type: ignore[union-attr]
    return number


@pytest.fixture
def stamping_kernel() -> Iterator[None]:
    """Have the kernel stamp all that comes: it begins to a moment after the first socket has asked for it."""
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        time.sleep(0.1)
        yield


@pytest.mark.usefixtures("stamping_kernel")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a read arrived")
async def test_a_late_loop_does_not_make_a_read_late(tls: ssl.SSLContext | None) -> None:
    """A stamp is when the bytes came, though the loop looked later; TLS is opened behind the stamp."""
    permit = threading.Event()
    pieces = [(0, STREAM_HEAD), (permit, frame(b"one")), (0.01, b"0\r\n\r\n")]
    with play(Reply(pieces), tls) as tape:  # type: ignore[arg-type]
        async with open_transport() as transport:
            body = listen()
            response = await transport.handle_async_request(httpx2.Request("POST", tape.url))
            permit.set()
            select.select([descriptor_of(body)], [], [])  # this holds the loop up until the bytes are here
            here_ns = perf_counter_ns()
            time.sleep(0.1)  # noqa: ASYNC251 -- and this for long after
            await body.wait(None)
            [(at_ns, data)] = body.take()
            await response.aclose()
    assert (data, body.clock) == (b"one", "kernel")
    assert at_ns < here_ns + 50_000_000


async def test_a_long_request_is_sent_when_its_last_byte_has_left(tls: ssl.SSLContext | None) -> None:
    """The clock must not start while a part of the request waits for the socket, be it sealed or not."""
    content, waiting = b"x" * 20_000_000, []
    with play(whole(b"ok"), tls) as tape:
        async with open_transport() as transport:
            body = listen()
            body.when_sent = lambda: waiting.append(bytes_waiting(body))
            response = await transport.handle_async_request(httpx2.Request("POST", tape.url, content=content))
            assert body.sent_ns is not None
            assert body.headers_ns is not None
            assert body.sent_ns <= body.headers_ns
            await response.aclose()
    assert waiting == [0]
    assert tape.asked[0].headers["content-length"] == str(len(content))


def bytes_waiting(body: ResponseBody) -> int:
    """Return how many bytes of a request the socket has not taken yet."""
    protocol = body._connection.protocol  # type: ignore[union-attr]
    layers = [protocol.transport, *([protocol.carrier] if protocol.carrier else [])]
    return sum(layer.get_write_buffer_size() for layer in layers)


async def test_a_header_cannot_smuggle_another() -> None:
    """A line end in a header is a bug of the caller's, told before anything is sent."""
    request = httpx2.Request("POST", "http://127.0.0.1:9", headers={"x": "1\r\ny: 2"})
    with pytest.raises(ValueError, match="end of a line"):
        RequestHead.of(request)
