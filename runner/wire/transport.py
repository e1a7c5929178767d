"""The HTTP transport: sends requests to one host and timestamps every read of the responses.

aiohttp opens connections and keeps them alive; llhttp parses the framing. Each read is timestamped before anything
else is done with it, and decoding never delays the next read.
"""

import os
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import cast

import aiohttp
import anyio
import httpx2
from aiohttp.connector import Connection
from yarl import URL

from runner.wire.connection_pool import TimestampingConnector, TimestampingProtocol
from runner.wire.decoders.response_head import ResponseHead
from runner.wire.proxy import Proxy, ProxyLoginRefusal, ProxyLogins, is_login_refusal, proxy_for
from runner.wire.response_body import Phases, ResponseBody

OWN_HEADERS = frozenset({b"accept-encoding", b"content-length", b"transfer-encoding"})
"""Request headers that the transport sets; it drops the caller's."""

IDENTITY = (b"accept-encoding", b"identity")
"""Header that asks for an uncompressed response: compressed text arrives in bursts, which timestamps cannot undo."""

SCHEMES = frozenset({"http", "https"})
LONGEST_LABEL, LONGEST_NAME = 63, 253
"""Maximum lengths of a label of a host name and of the whole name, in characters (RFC 1035)."""

LINE_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its content; it is the same for all requests to one endpoint in one dialect."""

    method: str
    url: httpx2.URL
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, request: httpx2.Request) -> "RequestHead":
        """Return the head of a request.

        Raises:
            ValueError: a header holds a line end.

        """
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        if any(LINE_END.search(name + value) for name, value in headers):
            raise ValueError("a header holds the end of a line")
        kept = ((name, value) for name, value in headers if name not in OWN_HEADERS)
        return cls(request.method, request.url, (*kept, IDENTITY))

    def write(self, content: bytes, *further: tuple[bytes, bytes], absolute: bool = False) -> bytes:
        """Return an HTTP/1.1 request; `absolute` puts the whole URL into the request line, as a proxy needs it."""
        target = self._absolute_target() if absolute else self.url.raw_path
        lines = [b"%b %b HTTP/1.1" % (self.method.encode(), target)]
        lines += [b"%b: %b" % header for header in (*self.headers, *further)]
        if content or self.method != "GET":
            lines.append(b"content-length: %d" % len(content))
        return b"\r\n".join([*lines, b"", content])

    def _absolute_target(self) -> bytes:
        return str(self.url.copy_with(userinfo=b"", fragment=None)).encode()


CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that name the certificates to trust in place of the system's."""


def tls_context() -> ssl.SSLContext:
    """Return the TLS context that all clients share as long as the variables in `CERTIFICATES` stay the same."""
    return _load_certificates(*map(os.environ.get, CERTIFICATES))


@cache
def _load_certificates(*_: str | None) -> ssl.SSLContext:
    return ssl.create_default_context()  # takes 20 ms


@dataclass(frozen=True, slots=True)
class _Route:
    """The way to a transport's host: its connector, destination and proxy."""

    connector: TimestampingConnector
    destination: aiohttp.ClientRequest
    """Request that tells aiohttp where to connect to; it is never sent."""
    proxy: Proxy | None

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy reads and forwards each request, instead of opening a tunnel."""
        return self.proxy is not None and not self.proxy.is_socks and not self.destination.is_ssl()

    @property
    def proxy_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Credentials that a forwarding proxy needs in each request; aiohttp adds them to the destination."""
        name = "Proxy-Authorization"
        credentials = self.destination.headers.get(name) if self.is_forwarded else None
        return () if credentials is None else ((name.encode(), credentials.encode()),)


class TimestampingTransport:
    """Sends requests to one host and reads the responses into `ResponseBody` objects.

    aiohttp's exceptions pass through unchanged: the one caller, `wire.client`, describes them.
    """

    def __init__(self, tls: ssl.SSLContext, connect_s: float, logins: ProxyLogins | None = None) -> None:
        self._tls = tls
        self._logins = logins or ProxyLogins()
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
        self._route: _Route | None = None

    async def send(self, head: RequestHead, content: bytes, body: ResponseBody) -> ResponseHead:
        """Send a request and return the response's head; the response is read into `body`, which the caller closes.

        Raises:
            ProxyLoginRefusal: the proxy refused the name and password.

        """
        body.release_slice()
        route = self._find_route(str(head.url))
        if route.proxy is None or not route.is_forwarded:
            return await self._send_on(route, head, content, body)
        async with self._logins.alone_at_first(route.proxy, head.url.host):
            response = await self._send_on(route, head, content, body)
            if is_login_refusal(response.status, response.headers):
                raise ProxyLoginRefusal(f"HTTP {response.status}")
            return response

    async def _send_on(self, route: _Route, head: RequestHead, content: bytes, body: ResponseBody) -> ResponseHead:
        connection = await route.connector.lend(route.destination, self._timeout, body.phases)
        body.hold(connection)
        protocol = cast("TimestampingProtocol", connection.protocol)
        protocol.send_request(head.write(content, *route.proxy_headers, absolute=route.is_forwarded), body)
        return await body.wait_for_head()

    async def open_connections(self, url: str, count: int) -> list[Phases]:
        """Open connections for the first requests, leave them idle, and return the phases of each.

        The server sees a handshake for each and no request. A connection that cannot be opened is left out: the
        request that needs it reports the failure.
        """
        held: list[tuple[Connection, Phases]] = []

        async def open_one() -> None:
            phases = Phases()
            with suppress(Exception):
                route = self._find_route(url)
                held.append((await route.connector.lend(route.destination, self._timeout, phases), phases))

        async with anyio.create_task_group() as opening:
            for _ in range(count):
                opening.start_soon(open_one)
        # Released together at the end: an earlier release would lend the connection to a task that should open its own.
        for connection, _ in held:
            connection.release()
        return [phases for _, phases in held]

    async def aclose(self) -> None:
        """Close all connections."""
        if self._route is not None:
            await self._route.connector.close()

    def _find_route(self, url: str) -> _Route:
        """Return the route to the host. The first request sets it, since a transport serves one host."""
        if self._route is None:
            proxy = proxy_for(httpx2.URL(url))
            destination = _destination(url, None if proxy is None or proxy.is_socks else proxy.url)
            self._route = _Route(TimestampingConnector(self._tls, proxy, self._logins), destination, proxy)
        return self._route


def host_fault(host: str) -> str | None:
    """Return why a resolver would reject a host name (in its encoded form); None if it would not."""
    if ":" in host:
        return None  # an IPv6 address
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        return "its host name has a part between two dots that is empty"
    if any(len(label) > LONGEST_LABEL for label in labels):
        return f"a part of its host name is longer than {LONGEST_LABEL} characters"
    return f"its host name is longer than {LONGEST_NAME} characters" if len(host) > LONGEST_NAME else None


def _destination(url: str, proxy: URL | None) -> aiohttp.ClientRequest:
    """Return a request that gives aiohttp the host of a URL and its proxy.

    Raises:
        aiohttp.InvalidURL: the URL cannot be parsed, has another scheme, or a host name that cannot be resolved.

    """
    try:
        address = URL(url)
    except ValueError as error:
        raise aiohttp.InvalidUrlClientError(url) from error
    if address.scheme not in SCHEMES:
        raise aiohttp.NonHttpUrlClientError(url)
    if fault := host_fault(address.raw_host or ""):
        raise aiohttp.InvalidUrlClientError(url, fault)
    return aiohttp.ClientRequest("GET", address, proxy=proxy)
