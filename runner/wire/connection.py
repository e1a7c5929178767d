"""Connections that stamp what they read; aiohttp opens them, keeps them and lends them.

It owns what is hard about connections: DNS, happy eyeballs, TLS, proxies, keep-alive. From then on each read is
stamped before anything else happens to it, and goes to the response that waits for it.
"""

import asyncio
import socket
import ssl
from functools import partial
from time import perf_counter_ns
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

from runner.wire.framing import ResponseReader
from runner.wire.kernel_clock import KernelReader, hand_over, read_by_kernel
from runner.wire.proxy import Proxy
from runner.wire.response_body import KERNEL_CLOCK, TRANSPORT_CLOCK, ResponseBody, listening
from runner.wire.socks import open_socket

LOOK_S = 0.001
"""Between two looks at whether a request that was sealed by TLS has left."""


class StampingProtocol(ResponseHandler):
    """A connection's two ends of time: requests are stamped as they leave, reads as they come.

    Its constructor runs when TCP is connected and `connection_made` when TLS is done, because aiohttp connects the
    socket itself and then hands it to `create_connection`. aiohttp's own parser hears nothing but what a proxy
    answers to CONNECT, and what comes unasked, after which it does not lend the connection again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.tcp_end = perf_counter_ns()
        self.ready_ns: int | None = None
        self.carrier: asyncio.Transport | None = None
        """What carries TLS's records, where there is TLS."""
        self._reader = ResponseReader()
        self._leaving: ResponseBody | None = None
        self._by_kernel: KernelReader | None = None
        self._arrived_ns: int | None = None
        self._broken_by: OSError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stamp the end of the TLS handshake, or of TCP where there is no TLS."""
        self.ready_ns = perf_counter_ns()
        if isinstance(transport, asyncio.WriteTransport):
            # uvloop keeps small writes until the end of its turn, behind the stamp of `sent`, unless the limit is 0.
            # At 0, TLS would call itself paused with nothing left to write, every second time it looks.
            is_tls = transport.get_extra_info("ssl_object") is not None
            transport.set_write_buffer_limits(high=int(is_tls), low=0)
        super().connection_made(transport)

    def ask(self, message: bytes, body: ResponseBody) -> None:
        """Send a request, whose answer goes into `body`; `sent` is when its last byte was handed over."""
        if self.transport is None:
            raise aiohttp.ServerDisconnectedError
        if self._by_kernel is None:
            hear = self._hear if self.carrier is None else self._hear_sealed
            self._by_kernel = read_by_kernel(self.carrier or self.transport, hear, self._hear_end)
        body.clock = TRANSPORT_CLOCK if self._by_kernel is None else KERNEL_CLOCK
        self._reader.begin(body)
        self.transport.write(message)
        self._leaving = body
        self._see_off()

    def resume_writing(self) -> None:
        """Stamp `sent` of a request that was too long to leave at once."""
        super().resume_writing()
        self._see_off()

    def _see_off(self) -> None:
        """Stamp `sent` once the socket has taken the request's last byte."""
        body, carrier = self._leaving, self.carrier
        if body is None or self.writing_paused:
            return
        if carrier is not None and carrier.get_write_buffer_size():
            self._loop.call_later(LOOK_S, self._see_off)  # TLS is told when that is over, but tells nobody
            return
        self._leaving = None
        if body.sent_ns is None:
            body.mark_sent(perf_counter_ns())

    def data_received(self, data: bytes) -> None:
        """Stamp a read, unless it was stamped before TLS opened it."""
        self._hear(self._arrived_ns or perf_counter_ns(), data)

    def _hear_sealed(self, at_ns: int, data: bytes) -> None:
        """Have TLS open what came by the kernel's clock: it calls `data_received` before this returns."""
        assert self.carrier is not None
        self._arrived_ns = at_ns
        try:
            hand_over(data, cast("asyncio.BufferedProtocol", self.carrier.get_protocol()))
        finally:
            self._arrived_ns = None

    def _hear(self, at_ns: int, data: bytes) -> None:
        reader, body = self._reader, self._reader.body
        if body is None:
            super().data_received(data)
        elif body.sent_ns is not None and at_ns < body.sent_ns:
            reader.feed(body.sent_ns, data)  # by the kernel's clock, it was here before we had looked at ours
        else:
            reader.feed(at_ns, data)

    def _hear_end(self, error: OSError | None) -> None:
        """Close what the other side has ended."""
        self._broken_by = error
        # Not the transport of TLS, which would wait for an answer to its farewell.
        transport = self.carrier or self.transport
        if transport is not None:
            transport.abort() if error else transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Pass on how the connection ended; what had arrived before is kept."""
        if self._by_kernel is not None:
            self._by_kernel.close()
            self._by_kernel = None  # it knows this object, which only the garbage collector could tell
        exc = exc or self._broken_by
        super().connection_lost(exc)
        self._leaving = self._broken_by = self.carrier = None
        self._reader.close(exc)

    @property
    def should_close(self) -> bool:
        """Whether nobody may be lent this connection again."""
        return super().should_close or not self._reader.reusable


class StampingResolver(aiohttp.ThreadedResolver):
    """The system's resolver, stamped. A cached answer does not come here, so its phase stays blank."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        """Look a name up and tell the request that waits for it how long that took."""
        body = listening()
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
        body, protocol = listening(), connection.protocol
        if body is not None and isinstance(protocol, StampingProtocol):
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
        opened = await self._wrap_existing_connection(self._factory, req=req, timeout=timeout, sock=led)
        return opened if tls is None else await self._start_tls_connection(opened[0], req, timeout)

    async def _wrap_create_connection(self, *args: Any, req: Any, timeout: Any, **more: Any) -> Any:  # noqa: ASYNC109
        """Open a connection, and TLS on it in a second step: in one, nobody is told what carries it."""
        tls = more.pop("ssl", None)
        more.pop("server_hostname", None)
        opened = await super()._wrap_create_connection(*args, req=req, timeout=timeout, **more)
        return opened if tls is None else await self._start_tls_connection(opened[0], req, timeout)

    async def _start_tls_connection(self, underlying_transport: Any, req: Any, timeout: Any, *more: Any) -> Any:  # noqa: ASYNC109
        """Open TLS on a connection, whose protocol is then told what carries it."""
        transport, protocol = await super()._start_tls_connection(underlying_transport, req, timeout, *more)
        cast("StampingProtocol", protocol).carrier = underlying_transport
        return transport, protocol
