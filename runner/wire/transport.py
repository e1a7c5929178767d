"""An httpx2 transport that stamps what it sends and every read of what it hears.

aiohttp opens and keeps the connections, llhttp takes the framing off; in between, a stamp is the first thing to
happen to a read, and decoding never stands between two stamps.
"""

import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import aiohttp
import anyio
import httpx2
from aiohttp.connector import Connection
from yarl import URL

from runner.wire.connection import StampingConnector, StampingProtocol
from runner.wire.proxy import Proxy, proxy_for
from runner.wire.response_body import Head, Phases, ResponseBody, listen, listening

OURS = frozenset({b"accept-encoding", b"content-length", b"transfer-encoding"})
"""Headers of a request that are written here, whatever the caller has."""

IDENTITY = (b"accept-encoding", b"identity")
"""Compressed text arrives in bursts, which no stamp can undo."""

SCHEMES = frozenset({"http", "https"})
LINE_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """All of a request but its content: for one endpoint it is the same every time."""

    method: str
    url: httpx2.URL
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, request: httpx2.Request) -> "RequestHead":
        """Return what stands above a request's content.

        Raises:
            ValueError: a header would not end where it seems to end.

        """
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        if any(LINE_END.search(name + value) for name, value in headers):
            raise ValueError("a header holds the end of a line")
        return cls(
            request.method, request.url, (*((name, value) for name, value in headers if name not in OURS), IDENTITY)
        )

    def write(self, content: bytes, *further: tuple[bytes, bytes], absolute: bool = False) -> bytes:
        """Return a whole request as HTTP/1.1 has it; `absolute` is how a proxy wants to be told where to."""
        target = self._absolute_target() if absolute else self.url.raw_path
        lines = [b"%b %b HTTP/1.1" % (self.method.encode(), target)]
        lines += [b"%b: %b" % header for header in (*self.headers, *further)]
        if content or self.method != "GET":
            lines.append(b"content-length: %d" % len(content))
        return b"\r\n".join([*lines, b"", content])

    def _absolute_target(self) -> bytes:
        return str(self.url.copy_with(userinfo=b"", fragment=None)).encode()


class UnjudgedResponse(httpx2.Response):
    """A response that is heard out whatever its status: the SDK would read an error's body without any bound."""

    def raise_for_status(self) -> "UnjudgedResponse":
        """Leave it to whoever hears the body to say what the status means."""
        return self


@dataclass(frozen=True, slots=True)
class _Way:
    """How the one host of a transport is reached."""

    connector: StampingConnector
    dialled: aiohttp.ClientRequest
    proxy: Proxy | None

    @property
    def is_relayed(self) -> bool:
        """Whether a proxy reads each request and asks in our place, instead of leading a tunnel."""
        return self.proxy is not None and not self.proxy.is_socks and not self.dialled.is_ssl()


class StampingTransport(httpx2.AsyncBaseTransport):
    """Sends requests to one host; the response's stamped `Body` is `response.stream`.

    aiohttp's exceptions pass through untouched: the one caller, `wire.client`, names them.
    """

    def __init__(self, tls: ssl.SSLContext, connect_s: float) -> None:
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
        self._way: _Way | None = None

    async def send(self, letterhead: RequestHead, content: bytes, body: ResponseBody) -> Head:
        """Send a request; return when the response's head is here. `body` is to be closed by the caller."""
        body.dial()
        way = self._find_way(str(letterhead.url))
        connection = await self._borrow(way)
        body.hold(connection)
        protocol = cast("StampingProtocol", connection.protocol)
        protocol.ask(letterhead.write(content, *_proxy_headers(way), absolute=way.is_relayed), body)
        return await body.wait_for_head()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request of the SDK's; return when the response's head is here."""
        body = listening() or listen()
        try:
            head = await self.send(RequestHead.of(request), request.content, body)
        except BaseException:
            await body.aclose()
            raise
        # Compression has been undone; httpx2 must not try again.
        headers = {name: value for name, value in head.headers.items() if name != "content-encoding"}
        return UnjudgedResponse(head.status, headers=headers, stream=body, request=request)

    async def open_connections(self, url: str, count: int) -> list[Phases]:
        """Open connections and leave them idle, so that the first requests need not wait for theirs.

        Costs the server a handshake each and no request. One that cannot be opened is left out: the request that
        will need it says why.
        """
        held: list[tuple[Connection, Phases]] = []

        async def open_one() -> None:
            body = listen()
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                held.append((await self._borrow(self._find_way(url)), body.phases))

        async with anyio.create_task_group() as opening:
            for _ in range(count):
                opening.start_soon(open_one)
        # Released only now: an early one would be lent to a task that is to open its own.
        for connection, _ in held:
            connection.release()
        return [phases for _, phases in held]

    async def aclose(self) -> None:
        """Close all connections."""
        if self._way is not None:
            await self._way.connector.close()

    def _find_way(self, url: str) -> _Way:
        """Return how to reach the host, which the first request finds out: one transport asks one host."""
        if self._way is None:
            proxy = proxy_for(httpx2.URL(url))
            dialled = _dial(url, None if proxy is None or proxy.is_socks else proxy.url)
            socks = proxy if proxy is not None and proxy.is_socks else None
            self._way = _Way(StampingConnector(self._tls, socks), dialled, proxy)
        return self._way

    async def _borrow(self, way: _Way) -> Connection:
        return cast("Connection", await way.connector.connect(way.dialled, [], self._timeout))


def _dial(url: str, proxy: URL | None) -> aiohttp.ClientRequest:
    """Return what tells aiohttp where a connection is to lead; it is never sent."""
    try:
        address = URL(url)
    except ValueError as error:
        raise aiohttp.InvalidUrlClientError(url) from error
    if address.scheme not in SCHEMES:
        raise aiohttp.NonHttpUrlClientError(url)
    return aiohttp.ClientRequest("GET", address, proxy=proxy)


def _proxy_headers(way: _Way) -> tuple[tuple[bytes, bytes], ...]:
    """Return what a proxy wants to see of us in each request; aiohttp has put it on what it dialled with."""
    name = "Proxy-Authorization"
    said = way.dialled.headers.get(name) if way.is_relayed else None
    return () if said is None else ((name.encode(), said.encode()),)
