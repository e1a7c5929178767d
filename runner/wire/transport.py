"""An httpx2 transport over aiohttp that stamps every read beneath the HTTP parser.

aiohttp owns what is hard about connections: DNS, happy eyeballs, TLS, proxies, keep-alive, HTTP/1.1 framing.
Its protocol is extended at three points, so that a stamp is the first thing to happen to a read and decoding
never stands between two stamps: `data_received` keeps (stamp, body bytes) pairs and wakes the reader only
when there is a reason to, not for every token.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Any

import aiohttp
import anyio
import httpx2
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from yarl import URL

from runner.wire.airtime import Airtime
from runner.wire.proxy import Proxy, UnusableProxy, proxy_for
from runner.wire.socks import open_socket

CLOCK = "transport"
"""What a row's `clock` says: stamped in user space, when the event loop handed the read over."""

UNDECODED_LIMIT = 64 * 1024
"""Bytes a stream may pile up before its reader is woken to decode them: memory stays bounded."""

DONE_MARK = b"[DONE]"
ERROR_MARK = b"error"
"""Behind either mark nothing may come for long: the reader is woken to see whether it is the end."""

IDENTITY = {"accept-encoding": "identity"}  # compressed text arrives in bursts, which no stamp can undo


@dataclass(slots=True)
class Phases:
    """When a request's connection went through each stage, in `perf_counter_ns`; None where it did not."""

    dns_start: int | None = None
    dns_end: int | None = None
    tcp_start: int | None = None
    tcp_end: int | None = None
    tls_end: int | None = None
    reused: bool | None = None


_LISTENING: ContextVar["Body | None"] = ContextVar("listening", default=None)
"""The body that the running task's request will fill: how a connection learns for whom it stamps."""


class Body(httpx2.AsyncByteStream):
    """A response's body as it arrived: pairs of stamp and bytes, taken out by whoever decodes them."""

    def __init__(self, airtime: Airtime | None = None) -> None:
        self._airtime = airtime
        self._urgent = False
        self._total_bytes = 0
        self.sent_ns: int | None = None
        self.when_sent: Callable[[], None] | None = None
        self.headers_ns: int | None = None
        self.phases = Phases()
        self.error: BaseException | None = None
        self.compressed = False
        self.complete = False
        self._arrivals: list[tuple[int, bytes]] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._response: aiohttp.ClientResponse | None = None

    def mark_sent(self, at_ns: int) -> None:
        """Start the request's clock."""
        self.sent_ns = at_ns
        if self.when_sent is not None:
            self.when_sent()

    def receive(self, at_ns: int, payload: StreamReader) -> None:
        """Keep what a read brought. Runs for every token: it stamps, stores, and rarely wakes anyone."""
        if self.headers_ns is None:
            self.headers_ns = at_ns
        self.error = self.error or payload.exception()
        while self.error is None and self._total_bytes < payload.total_bytes:
            data = payload.read_nowait()
            self._arrivals.append((at_ns, data))
            self._size += len(data)
            self._total_bytes += len(data)
            if self._size > UNDECODED_LIMIT or DONE_MARK in data[-24:] or ERROR_MARK in data:
                self._urgent = True
                self.wake()
        if self.error is not None or payload.is_eof():
            self.finish()

    def attach(self, response: aiohttp.ClientResponse) -> None:
        """Take over the response whose head has been read; what its body already brought is here."""
        self._response = response
        self.compressed = "Content-Encoding" in response.headers
        if self.headers_ns is None:
            self.headers_ns = perf_counter_ns()  # a head alone, which came without a body to be received
        if response.content.is_eof():
            self.finish()

    def dial(self) -> None:
        """Give back the turn in which the request was built: from here on it waits for the network."""
        if self._airtime is not None:
            self._airtime.release()

    def finish(self) -> None:
        """Nothing more will come."""
        self.complete = True
        self.wake()

    def wake(self) -> None:
        """Let the reader look at what has come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take(self) -> list[tuple[int, bytes]]:
        """Hand over all that has come since the last call."""
        taken, self._arrivals, self._size, self._urgent = self._arrivals, [], 0, False
        return taken

    async def wait(self, until_ns: int | None) -> None:
        """Return when the body is complete, needs decoding, or a moment has come, whichever is first."""
        if self.complete or self._urgent:
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None
        if until_ns is not None:
            timer = loop.call_later(max(0.0, (until_ns - perf_counter_ns()) / 1e9), self.wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body for readers that need no stamps, as the SDK does with a list of models."""
        while not self.complete:
            await self.wait(None)
            for _, data in self.take():
                yield data
        for _, data in self.take():
            yield data
        if self.error is not None:
            raise self.error

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if self._response is None:
            return
        if self.complete and self.error is None:
            self._response.release()
        else:
            self._response.close()


def listen(airtime: Airtime | None = None) -> Body:
    """Return the body that the next request of this task will fill, also when that request fails."""
    body = Body(airtime)
    _LISTENING.set(body)
    return body


class StampingProtocol(ResponseHandler):
    """aiohttp's protocol with a clock beneath its parser.

    Its constructor runs when TCP is connected and `connection_made` when TLS is done, because aiohttp
    connects the socket itself and then hands it to `create_connection`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.tcp_end = perf_counter_ns()
        self.ready_ns: int | None = None
        self.body: Body | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stamp the end of the TLS handshake, or of TCP where there is no TLS."""
        self.ready_ns = perf_counter_ns()
        if isinstance(transport, asyncio.WriteTransport):
            # uvloop keeps small writes until the end of its turn, behind the stamp of `sent`, unless the limit is 0.
            transport.set_write_buffer_limits(0)
        super().connection_made(transport)

    def set_response_params(self, **params: Any) -> None:
        """Prepare for the next response: what was parsed for the one before is none of its business."""
        self._payload = None
        super().set_response_params(**params)

    def start_timeout(self) -> None:
        """Stamp `sent`: aiohttp calls this once the request's last byte has been handed to the transport."""
        if self.body is not None:
            self.body.mark_sent(perf_counter_ns())
        super().start_timeout()

    def data_received(self, data: bytes) -> None:
        """Stamp a read, then let aiohttp parse it."""
        at_ns = perf_counter_ns()
        super().data_received(data)
        if not data:
            return  # aiohttp resuming its own parser from inside `receive`, which takes what that brings
        payload, body = self._payload, self.body
        # Early hints have the empty payload, and are not what is waited for; `attach` knows an empty body, too.
        if body is not None and payload is not None and payload is not EMPTY_PAYLOAD:
            body.receive(at_ns, payload)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Resume only what was paused: aiohttp asks after every read, and its parser would be run for nothing."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Pass on how the connection ended; what had arrived before is kept."""
        at_ns = perf_counter_ns()
        payload, body = self._payload, self.body
        super().connection_lost(exc)
        if body is not None and payload is not None:
            body.receive(at_ns, payload)
            body.finish()


class StampingResolver(aiohttp.ThreadedResolver):
    """The system's resolver, stamped. A cached answer does not come here, so its phase stays blank."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        """Look a name up and tell the request that waits for it how long that took."""
        body = _LISTENING.get()
        if body is not None:
            body.phases.dns_start = perf_counter_ns()
        addresses = await super().resolve(host, port, family)
        if body is not None:
            body.phases.dns_end = perf_counter_ns()
        return addresses


class StampingConnector(aiohttp.TCPConnector):
    """A connector whose connections stamp what they read, and tell each request how it got one."""

    def __init__(self, tls: ssl.SSLContext, socks: Proxy | None = None) -> None:
        # Lanes limit concurrency; a second limit here would be a hidden queue.
        super().__init__(limit=0, ssl=tls, keepalive_timeout=60, resolver=StampingResolver())
        self._socks = socks
        self._factory = partial(StampingProtocol, loop=self._loop)  # type: ignore[assignment]  # a subclass will do

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 -- aiohttp's signature
        """Lend a connection to the request that this task is sending."""
        start_ns = perf_counter_ns()
        connection = await super().connect(req, traces, timeout)
        body, protocol = _LISTENING.get(), connection.protocol
        if body is not None and isinstance(protocol, StampingProtocol):
            protocol.body = body
            phases = body.phases
            phases.reused = protocol.tcp_end < start_ns
            if not phases.reused:
                phases.tcp_start = phases.dns_end or start_ns
                phases.tcp_end = protocol.tcp_end
                phases.tls_end = protocol.ready_ns if req.is_ssl() else None
        return connection

    async def _create_direct_connection(self, req: Any, traces: Any, timeout: Any, **more: Any) -> Any:  # noqa: ASYNC109
        """Open a connection, through a SOCKS proxy if there is one; aiohttp itself knows the other kinds."""
        if self._socks is None:
            return await super()._create_direct_connection(req, traces, timeout, **more)
        host, tls = req.url.raw_host, self._get_ssl_context(req)
        try:
            led = await open_socket(self._socks, host, req.port, timeout.connect)
        except socket.gaierror as error:
            raise aiohttp.ClientConnectorDNSError(req.connection_key, error) from error
        name = host if tls else None
        return await self._wrap_existing_connection(
            self._factory, req=req, timeout=timeout, ssl=tls, server_hostname=name, sock=led
        )


class UnjudgedResponse(httpx2.Response):
    """A response that is heard out whatever its status: the SDK would read an error's body without any bound."""

    def raise_for_status(self) -> "UnjudgedResponse":
        """Leave it to whoever hears the body to say what the status means."""
        return self


class StampingTransport(httpx2.AsyncBaseTransport):
    """Sends requests through aiohttp; the response's stamped `Body` is `response.stream`.

    aiohttp's exceptions pass through untouched: the one caller, `wire.client`, names them.
    """

    def __init__(self, tls: ssl.SSLContext, connect_s: float) -> None:
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
        self._session: aiohttp.ClientSession | None = None

    def _open_session(self, proxy: Proxy | None) -> aiohttp.ClientSession:
        """Return the session, which is opened by the first request: one transport asks one host."""
        if self._session is None:
            socks = proxy if proxy is not None and proxy.is_socks else None
            self._session = aiohttp.ClientSession(
                connector=StampingConnector(self._tls, socks),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                skip_auto_headers=("User-Agent",),
            )
        return self._session

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; return when the response's head is here."""
        body = _LISTENING.get() or listen()
        body.dial()
        proxy = proxy_for(request.url)
        response = await self._open_session(proxy).request(
            request.method,
            URL(str(request.url), encoded=True),
            headers={**request.headers, **IDENTITY},
            data=request.content or None,
            allow_redirects=False,
            proxy=_http_address(proxy),
        )
        body.attach(response)
        # aiohttp has undone any compression; httpx2 must not try again.
        headers = [(name, value) for name, value in response.raw_headers if name.lower() != b"content-encoding"]
        return UnjudgedResponse(response.status, headers=headers, stream=body, request=request)

    async def open_connections(self, url: str, count: int) -> list[Phases]:
        """Open connections and leave them idle, so that the first requests need not wait for theirs.

        Costs the server a handshake each and no request. One that cannot be opened is left out: the request that
        will need it says why.
        """
        try:
            proxy = proxy_for(httpx2.URL(url))
        except UnusableProxy:
            return []
        connector = self._open_session(proxy).connector
        assert connector is not None
        held: list[tuple[Connection, Phases]] = []

        async def open_one() -> None:
            body = listen()
            request = aiohttp.ClientRequest("GET", URL(url), proxy=_http_address(proxy))
            try:
                held.append((await connector.connect(request, [], self._timeout), body.phases))
            except (aiohttp.ClientError, OSError, TimeoutError):
                return

        async with anyio.create_task_group() as opening:
            for _ in range(count):
                opening.start_soon(open_one)
        # Released only now: an early one would be lent to a task that is to open its own.
        for connection, _ in held:
            connection.release()
        return [phases for _, phases in held]

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _http_address(proxy: Proxy | None) -> URL | None:
    """Return the proxy that aiohttp is to ask; a SOCKS proxy is the connector's affair."""
    return None if proxy is None or proxy.is_socks else proxy.url
