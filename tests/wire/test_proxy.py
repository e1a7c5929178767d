"""Proxies: the one that the environment names, and SOCKS over real sockets."""

import asyncio
import gc
import select
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Outcome
from runner.core.suite import Timeouts
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client
from runner.wire.proxy import (
    ProxyLogin,
    ProxyLoginRefusal,
    ProxyLogins,
    UnusableProxy,
    is_exempt,
    is_loopback,
    proxy_for,
)
from runner.wire.transport import TimestampingTransport
from tests.conftest import RunCli
from tests.support.certificate import make_certificate, server_context
from tests.support.client_requests import QUESTION, ask, ask_once, endpoint_at, failure
from tests.support.scripted_server import ScriptedReply, ScriptedServer, json_reply, serve, streamed_reply, unused_port

WORD = "pass" + "word-of-proxy"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop whose name look-ups a test can replace."""
    return "asyncio", {"use_uvloop": False}


@pytest.mark.parametrize(
    ("url", "environ", "named"),
    [
        ("https://a.test", {"https_proxy": "http://p.test:1", "all_proxy": "http://q.test:2"}, "http://p.test:1"),
        ("http://a.test", {"https_proxy": "http://p.test:1", "all_proxy": "http://q.test:2"}, "http://q.test:2"),
        ("https://a.test", {"HTTPS_PROXY": "http://p.test:1"}, "http://p.test:1"),
        ("https://a.test", {"HTTPS_PROXY": "http://p.test:1", "https_proxy": "http://q.test:2"}, "http://q.test:2"),
        ("https://a.test", {"HTTPS_PROXY": "http://p.test:1", "https_proxy": ""}, None),
        ("http://a.test", {"HTTP_PROXY": "p.test:1"}, "http://p.test:1"),
        ("http://a.test", {"HTTP_PROXY": " http://p.test:1\n"}, "http://p.test:1"),
        ("http://a.test", {"HTTP_PROXY": "http://[::7]:1"}, "http://[::7]:1"),
        ("https://a.test", {"ALL_PROXY": "socks5h://p.test"}, "socks5h://p.test"),
        ("https://a.test", {"ALL_PROXY": "SOCKS5://p.test:9"}, "socks5://p.test:9"),
        ("https://127.0.0.2", {"ALL_PROXY": "socks4://p.test"}, None),
        ("http://localhost:8000/v1", {"ALL_PROXY": "http://p.test"}, None),
        ("http://[::1]:8000/v1", {"ALL_PROXY": "http://p.test"}, None),
        ("https://a.test", {"ALL_PROXY": "http://p.test", "NO_PROXY": "b.test a.test"}, None),
        ("https://a.test", {}, None),
    ],
)
def test_proxy_variable_with_precedence_is_used(url: str, environ: dict[str, str], named: str | None) -> None:
    """The scheme's own variable precedes ALL_PROXY, lower case precedes upper case, loopback is never proxied."""
    proxy = proxy_for(httpx2.URL(url), environ)
    assert (proxy and str(proxy.url).rstrip("/")) == named


@pytest.mark.parametrize(
    "address", [f"socks4://u:{WORD}@p.test:1", f"http://u:{WORD}@:80:80", f"http://u:{WORD}@", f"ftp://{WORD}"]
)
def test_unusable_proxy_is_reported_by_its_variable_alone(address: str) -> None:
    """The message holds nothing of the value."""
    with pytest.raises(UnusableProxy, match=r"^HTTPS_PROXY ") as unusable:
        proxy_for(httpx2.URL("https://a.test"), {"HTTPS_PROXY": address})
    assert WORD not in str(unusable.value)


def test_repr_of_a_proxy_holds_no_password() -> None:
    """A proxy may be logged without showing its password."""
    proxy = proxy_for(httpx2.URL("https://a.test"), {"HTTPS_PROXY": f"http://u:{WORD}@p.test"})
    assert proxy is not None
    assert WORD not in repr(proxy)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_environment_names_a_proxy_or_raises_unusable_proxy(address: str, exceptions: str) -> None:
    """No value of the variables raises another exception."""
    with suppress(UnusableProxy):
        proxy = proxy_for(httpx2.URL("https://a.test"), {"HTTPS_PROXY": address, "NO_PROXY": exceptions})
        assert proxy is None or proxy.url.host


@pytest.mark.parametrize(
    ("exceptions", "exempt"),
    [
        ("a.test", True),
        (".a.test", True),
        ("*.a.test", True),
        ("test", True),
        ("A.TEST.", True),
        ("b.test,a.test", True),
        ("b.test , a.test", True),
        ("b.test\na.test\n", True),
        ("b.test a.test", True),
        ("api.a.test:8443", True),
        ("api.a.test:443", False),
        ("*", True),
        ("", False),
        ("x.api.a.test", False),
        ("pi.a.test", False),
        (",, ,", False),
        (":8443", False),
    ],
)
def test_no_proxy_excepts_names(exceptions: str, exempt: bool) -> None:
    """A name covers its subdomains, rules have various separators, and a rule with a port covers that port."""
    assert is_exempt(httpx2.URL("https://api.a.test:8443/v1"), exceptions) is exempt


@pytest.mark.parametrize(
    ("url", "exceptions", "exempt"),
    [
        ("http://10.1.2.3/v1", "10.0.0.0/8", True),
        ("http://10.1.2.3/v1", "10.1.2.3", True),
        ("http://10.1.2.3/v1", "10.1.2.3:80", True),
        ("https://10.1.2.3/v1", "10.1.2.3:80", False),
        ("http://11.1.2.3/v1", "10.0.0.0/8", False),
        ("http://[fd00::7]/v1", "fd00::7", True),
        ("http://[fd00::7]/v1", "[fd00::7]", True),
        ("http://[fd00::7]:81/v1", "[fd00::7]:81", True),
        ("http://[fd00::7]:81/v1", "[fd00::7]:80", False),
        ("http://[fd00::7]/v1", "[fd00:0::7]", True),
        ("http://[fd00::7]/v1", "fd00::/8", True),
        ("http://[fd00::7]/v1", "10.0.0.0/8", False),
    ],
)
def test_no_proxy_excepts_addresses_and_networks(url: str, exceptions: str, exempt: bool) -> None:
    """IPv4 and IPv6, alone, as networks, and with ports."""
    assert is_exempt(httpx2.URL(url), exceptions) is exempt


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("x.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False),
        ("127.example.com", False),
        ("localhost.example.com", False),
        ("::2", False),
    ],
)
def test_loopback_hosts_are_recognised(host: str, here: bool) -> None:
    """A name that only starts like a loopback address is none."""
    assert is_loopback(host) is here


@dataclass
class SocksProxy:
    """A SOCKS5 proxy that connects every client to one server, and keeps the hosts and users that it received."""

    server_port: int
    password: bytes | None = None
    refusal: int = 0
    port: int = 0
    hosts: list[str] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)

    def serve(self, client: socket.socket) -> None:
        """Serve one connection, or refuse it."""
        with suppress(OSError), client:
            if not self._authenticate(client):
                return
            self.hosts.append(_read_host(client))
            client.sendall(bytes([5, self.refusal, 0, 1, 0, 0, 0, 0, 0, 0]))
            if self.refusal == 0:
                with socket.create_connection(("127.0.0.1", self.server_port)) as server:
                    _relay(client, server)

    def _authenticate(self, client: socket.socket) -> bool:
        _read(client, _read(client, 2)[1])
        if self.password is None:
            client.sendall(b"\x05\x00")
            return True
        client.sendall(b"\x05\x02")
        self.users.append(_read(client, _read(client, 2)[1]))
        fits = _read(client, _read(client, 1)[0]) == self.password
        client.sendall(b"\x01\x00" if fits else b"\x01\x01")
        return fits


def _read(client: socket.socket, size: int) -> bytes:
    data = client.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise ConnectionError
    return data


def _read_host(client: socket.socket) -> str:
    kind = _read(client, 4)[3]
    host = _read(client, _read(client, 1)[0]).decode() if kind == 3 else socket.inet_ntoa(_read(client, 4))
    _read(client, 2)
    return host


def _relay(client: socket.socket, server: socket.socket) -> None:
    other = {client: server, server: client}
    while data := (ready := select.select(list(other), [], [], 10)[0][0]).recv(65536):
        other[ready].sendall(data)


@contextmanager
def socks_to(server: ScriptedServer, **more: object) -> Iterator[SocksProxy]:
    """Run a SOCKS5 proxy while the block lasts."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=socks.serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        socks = SocksProxy(server.port, port=listener.getsockname()[1], **more)  # type: ignore[arg-type]
        threading.Thread(target=accept, daemon=True).start()
        yield socks
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.anyio
async def test_socks5h_has_the_proxy_resolve_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections through it are timestamped and reused."""
    with serve(streamed_reply("Hello")) as server, socks_to(server) as socks:
        monkeypatch.setenv("all_proxy", f"socks5h://127.0.0.1:{socks.port}")
        first, second = await ask(endpoint_at("http://fake.test/v1"), times=2)
    assert (socks.hosts, server.connections, server.requests[0].target) == (["fake.test"], 1, "/v1/chat/completions")
    assert [attempt.fold.outcome() for attempt in (first, second)] == [Outcome.OK, Outcome.OK]
    phases, sent_ns = first.body.phases, first.body.sent_ns
    assert phases.tcp_start is not None
    assert phases.tcp_end is not None
    assert sent_ns is not None
    assert phases.tcp_start <= phases.tcp_end <= sent_ns
    assert (phases.reused, second.body.phases.reused) == (False, True)


@pytest.mark.anyio
async def test_socks5_resolves_the_name_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy receives an address, as with curl; an unknown name is a `dns` failure."""
    look_up = socket.getaddrinfo
    known = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 80))
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *of, **how: [known] if of[0] == "fake.test" else look_up(*of, **how)
    )
    with serve(streamed_reply("Hello")) as server, socks_to(server) as socks:
        monkeypatch.setenv("http_proxy", f"socks5://127.0.0.1:{socks.port}")
        assert (await ask_once("http://fake.test/v1")).fold.outcome() is Outcome.OK
        assert failure(await ask_once("http://nowhere.invalid/v1")) == (Outcome.CONNECTION, "dns")
    assert socks.hosts == ["192.0.2.7"]


@pytest.mark.anyio
async def test_tls_through_socks_is_end_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The certificate is checked against the server's name, not the proxy's."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(streamed_reply("Hello"), server_context(certificate)) as server, socks_to(server) as socks:
        monkeypatch.setenv("https_proxy", f"socks5h://127.0.0.1:{socks.port}")
        fitting = await ask_once("https://fake.test/v1")
        other = await ask_once("https://other.test/v1")
    assert fitting.fold.outcome() is Outcome.OK
    assert fitting.body.phases.tls_end is not None
    assert failure(other) == (Outcome.CONNECTION, "tls_certificate")


@pytest.mark.anyio
@pytest.mark.parametrize("fits", [True, False])
async def test_socks_user_and_password_are_sent_and_never_shown(fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are taken from the proxy's address; the message of a refusal holds neither."""
    with serve(streamed_reply("Hello")) as server, socks_to(server, password=b"p@ss" if fits else b"other") as socks:
        monkeypatch.setenv("all_proxy", f"socks5h://me:p%40ss@127.0.0.1:{socks.port}")
        attempt = await ask_once("http://fake.test/v1")
    assert socks.users == [b"me"]
    assert (attempt.fold.outcome() is Outcome.OK) is fits
    if not fits:
        assert failure(attempt) == (Outcome.AUTH, "proxy_auth")
        assert attempt.fold.failed is not None
        assert "p@ss" not in attempt.fold.failed.message


@pytest.mark.anyio
async def test_failing_socks_proxy_is_a_proxy_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot reach the host, or cannot be reached itself, is named in the failure."""
    with serve(streamed_reply("never")) as server, socks_to(server, refusal=4) as socks:
        for port in (socks.port, unused_port()):
            monkeypatch.setenv("all_proxy", f"socks5h://me:{WORD}@127.0.0.1:{port}")
            attempt = await ask_once("http://fake.test/v1")
            assert failure(attempt) == (Outcome.CONNECTION, "proxy")
            assert attempt.fold.failed is not None
            assert WORD not in attempt.fold.failed.message
    assert server.requests == []


@pytest.mark.anyio
async def test_socks_without_its_library_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and the extra; nothing is sent without the proxy."""
    monkeypatch.setitem(sys.modules, "python_socks", None)
    monkeypatch.setenv("ALL_PROXY", f"socks5h://me:{WORD}@127.0.0.1:1")
    attempt = await ask_once("http://fake.test/v1")
    assert failure(attempt) == (Outcome.CONNECTION, "bad_proxy")
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.message == (
        "the proxy cannot be used: ALL_PROXY names a SOCKS proxy, which takes one library more: "
        "pip install 'compare-runner[socks]'"
    )


def test_unusable_proxy_is_a_failed_row_and_no_traceback(run_cli: RunCli, tmp_path: Path) -> None:
    """The message names the variable to correct; its password is not printed or written."""
    rows = "version: 1\nproviders:\n  acme: {base_url: http://fake.test/v1, keyless: true}\n"
    (tmp_path / "compare.yaml").write_text(rows, encoding="utf-8")
    proxy = {"ALL_PROXY": f"socks4://me:{WORD}@p.test:1"}
    allowed = ("--allow-host", "fake.test")
    done = run_cli("ask", "Hello", "-m", "acme/m-1", *allowed, "-o", "run", cwd=tmp_path, env=proxy)
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "run").iterdir() if path.is_file())
    assert done.returncode == 3
    assert "ALL_PROXY must name" in done.stdout
    assert "Traceback" not in done.stderr
    assert WORD not in done.stdout + done.stderr + written


@pytest.mark.anyio
async def test_warm_up_raises_nothing_for_an_unusable_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is opened; the first request reports the failure."""
    monkeypatch.setenv("all_proxy", "socks4://p.test:1")
    transport = TimestampingTransport(ssl.create_default_context(), connect_s=5)
    assert await transport.open_connections("http://fake.test/v1", 2) == []
    await transport.aclose()


async def ask_all(clients: list[Client], times: int) -> list[Attempt]:
    """Send a request with each client at the same time, and then once more; return the attempts."""
    attempts = [Attempt() for _ in range(2 * times * len(clients))]

    async def ask_share(share: list[Attempt]) -> None:
        async with anyio.create_task_group() as asking:
            for number, attempt in enumerate(share):
                client = clients[number % len(clients)]
                asking.start_soon(client.ask, AttemptRequest("m-1", QUESTION, {}, Timeouts()), attempt)

    try:
        for client in clients:
            await client.warm_up(2)
        await ask_share(attempts[::2])
        await ask_share(attempts[1::2])
    finally:
        for client in clients:
            await client.aclose()
    return attempts


def check_refusals(attempts: list[Attempt]) -> None:
    """Check that a proxy's refusal of the password is each attempt's failure, is final, and does not show it."""
    for attempt in attempts:
        assert failure(attempt) == (Outcome.AUTH, "proxy_auth")
        assert attempt.fold.failed is not None
        assert not attempt.fold.failed.worth_repeating
        assert WORD not in attempt.fold.failed.message


def clients_of(*hosts: str, scheme: str = "https") -> list[Client]:
    """Return a client for each host, as a run of several providers has them."""
    logins = ProxyLogins()
    return [Client(endpoint_at(f"{scheme}://{host}/v1"), logins=logins) for host in hosts]


TINYPROXY = "HTTP/1.1 401 Unauthorized\r\nServer: tinyproxy/1.11.1\r\nContent-Length: 2\r\n\r\n{}"
REFUSALS = [json_reply("407 Proxy Authentication Required", {}), ScriptedReply([(0, TINYPROXY.encode())])]


@pytest.mark.anyio
@pytest.mark.parametrize("reply", REFUSALS, ids=["407", "tinyproxy"])
@pytest.mark.parametrize(("scheme", "method"), [("https", "CONNECT"), ("http", "POST")])
async def test_http_proxy_that_refuses_the_password_is_asked_once_in_a_run(
    reply: ScriptedReply, scheme: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad password, tried by every provider and connection, locks an account; tinyproxy answers with 401."""
    with serve(reply) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://me:{WORD}@127.0.0.1:{proxy.port}")
        attempts = await ask_all(clients_of("a.test", "b.test", scheme=scheme), times=2)
    assert [asked.method for asked in proxy.requests] == [method]
    check_refusals(attempts)


@pytest.mark.anyio
async def test_socks_proxy_that_refuses_the_password_is_asked_once_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with HTTP proxies, across providers and warm-up."""
    with serve(streamed_reply("never")) as server, socks_to(server, password=b"other") as socks:
        monkeypatch.setenv("all_proxy", f"socks5h://me:{WORD}@127.0.0.1:{socks.port}")
        attempts = await ask_all(clients_of("a.test", "b.test"), times=2)
    assert socks.users == [b"me"]
    check_refusals(attempts)


@pytest.mark.anyio
async def test_provider_behind_a_forwarding_proxy_refuses_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 401 that is not the proxy's is the provider's, and each request is sent."""
    with serve(json_reply("401 Unauthorized", {"error": {"message": "bad key"}})) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:{WORD}@127.0.0.1:{proxy.port}")
        attempts = await ask_all(clients_of("a.test", scheme="http"), times=1)
    assert [failure(attempt) for attempt in attempts] == [(Outcome.AUTH, "key")] * 2
    assert len(proxy.requests) == 2


@pytest.mark.anyio
async def test_a_proxy_may_refuse_one_host_and_serve_the_others() -> None:
    """A proxy that has accepted the password for one host may demand another one for the next."""
    login, asked = ProxyLogin(), list[str]()

    def answer(*, refuses: bool) -> None:
        if refuses:
            raise ProxyLoginRefusal("no")

    async def ask(host: str, *, refuses: bool) -> bool:
        try:
            async with login.alone_at_first(host):
                asked.append(host)
                answer(refuses=refuses)
        except ProxyLoginRefusal:
            return False
        return True

    assert await ask("a.test", refuses=False)
    assert not await ask("b.test", refuses=True)
    assert not await ask("b.test", refuses=False)
    assert await ask("a.test", refuses=False)
    assert await ask("c.test", refuses=False)
    assert asked == ["a.test", "b.test", "a.test", "c.test"]


@pytest.mark.anyio
async def test_dead_host_behind_a_proxy_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait a moment for the first login, and then ask the proxy themselves."""
    monkeypatch.setattr("runner.wire.proxy.FIRST_ALONE_S", 0.01)
    login, healthy = ProxyLogin(), anyio.Event()

    async def ask_dead_host() -> None:
        async with login.alone_at_first("dead.test"):
            await healthy.wait()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as asking:
            asking.start_soon(ask_dead_host)
            await anyio.lowlevel.checkpoint()
            async with login.alone_at_first("a.test"):
                healthy.set()


@pytest.mark.anyio
async def test_connections_after_an_accepted_login_are_opened_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once the proxy has accepted the password, all of them may ask it at the same time."""
    monkeypatch.setattr("runner.wire.proxy.FIRST_ALONE_S", 60)
    login, entered, all_entered = ProxyLogin(), list[str](), anyio.Event()

    async def ask(host: str) -> None:
        async with login.alone_at_first(host):
            entered.append(host)
            if len(entered) == 2:
                all_entered.set()
            await all_entered.wait()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as asking, login.alone_at_first("first.test"):
            asking.start_soon(ask, "a.test")
            asking.start_soon(ask, "b.test")
            await anyio.sleep(0.01)
            assert entered == []


@pytest.mark.anyio
async def test_proxy_without_a_user_is_asked_by_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no password that several attempts could lock."""
    monkeypatch.setattr("runner.wire.proxy.FIRST_ALONE_S", 60)
    proxy = proxy_for(httpx2.URL("https://a.test"), {"HTTPS_PROXY": "http://p.test:1"})
    assert proxy is not None
    logins = ProxyLogins()
    with anyio.fail_after(10):
        async with logins.alone_at_first(proxy, "a.test"), logins.alone_at_first(proxy, "b.test"):
            pass


def test_logins_keep_no_closed_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs many loops, such as a notebook, keeps none of them, although a lock refers to its loop."""
    with serve(REFUSALS[0]) as proxy, asyncio.Runner() as runner:
        monkeypatch.setenv("https_proxy", f"http://me:{WORD}@127.0.0.1:{proxy.port}")
        loop = weakref.ref(runner.get_loop())

        async def run() -> None:
            check_refusals(await ask_all(clients_of("a.test", "b.test"), times=2))

        runner.run(run())
    del runner
    gc.collect()
    assert loop() is None


@pytest.mark.anyio
@pytest.mark.parametrize("user", ["m%C3%A9", "m" * 256])
async def test_user_that_socks_cannot_carry_is_a_failed_row(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS has one byte for its length, and no encoding."""
    monkeypatch.setenv("all_proxy", f"socks5h://{user}:{WORD}@127.0.0.1:1")
    attempt = await ask_once("http://fake.test/v1")
    assert failure(attempt) == (Outcome.CONNECTION, "bad_proxy")
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.message.endswith("SOCKS takes user and password of up to 255 ASCII characters")


@pytest.mark.anyio
async def test_host_that_socks_cannot_carry_is_a_failed_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of a name have up to 63 characters; a longer one is found before the proxy is asked."""
    with serve(streamed_reply("never")) as server, socks_to(server) as socks:
        monkeypatch.setenv("all_proxy", f"socks5h://127.0.0.1:{socks.port}")
        assert failure(await ask_once(f"http://{'a' * 64}.test/v1")) == (Outcome.CONNECTION, "bad_url")
