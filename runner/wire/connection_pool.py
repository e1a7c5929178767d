"""Connections that timestamp their reads; aiohttp opens them, keeps them alive and lends them.

aiohttp does the hard part of connections: DNS, happy eyeballs, TLS, proxies, keep-alive. Once a connection is open,
each read is timestamped before anything else is done with it, and passed to the response in progress.
"""

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from copy import copy
from functools import partial
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
from aiohttp.base_protocol import PAUSE_RESUME_READING_ERRORS
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from runner.wire.http_framing import ResponseReader
from runner.wire.kernel_clock import KernelReader, feed_protocol, take_over_reading
from runner.wire.proxy import Proxy, ProxyLogins, open_socket
from runner.wire.response_body import KERNEL_CLOCK, TRANSPORT_CLOCK, Phases, ResponseBody

DATA = b"data:"
BEFORE_DATA = re.compile(rb"(?:\r\n)?(?:[0-9A-Fa-f]+\r\n)?(?:(?:event|id):[^\n]*\n)*")
"""Matches what precedes the data of an event: at most a chunk's framing and other fields of the event."""

POLL_S = 0.001
"""Time between two checks whether the socket has taken a request that is too long for one write, in seconds."""


class TimestampingProtocol(ResponseHandler):
    """The protocol of one connection: timestamps requests as they leave and reads as they arrive.

    Its constructor runs when TCP is connected and `connection_made` when TLS is done, because aiohttp connects the
    socket itself and then passes it to `create_connection`. aiohttp's own parser receives only a proxy's response to
    CONNECT, and unsolicited bytes, after which aiohttp does not lend the connection again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.tcp_end = perf_counter_ns()
        self.ready_ns: int | None = None
        self.raw_transport: asyncio.Transport | None = None
        """The transport beneath TLS; None without TLS."""
        self._reader = ResponseReader()
        self._leaving: ResponseBody | None = None
        self._unsent_ns = 0
        """Latest time at which the request's last byte was known not to have been handed to the socket."""
        self._kernel_reader: KernelReader | None = None
        self._arrival: tuple[int, str] | None = None
        """Arrival time and clock of the read that TLS is decrypting."""
        self._broken_by: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Timestamp the end of the TLS handshake, or of the TCP handshake without TLS."""
        self.ready_ns = perf_counter_ns()
        if isinstance(transport, asyncio.WriteTransport):
            # uvloop delays small writes until the end of its iteration, after `sent` is timestamped, unless the limit
            # is 0. With 0, TLS would report paused writing at every second check, with nothing left to write.
            is_tls = transport.get_extra_info("ssl_object") is not None
            transport.set_write_buffer_limits(high=int(is_tls), low=0)
        super().connection_made(transport)

    def send_request(self, message: bytes, body: ResponseBody) -> None:
        """Send a request whose response is read into `body`, and timestamp when it left.

        A server on the same machine may read and answer the request before `write` returns, so a time taken afterwards
        would be too late. `sent` is the kernel's timestamp of the last byte; until that is known, the time before the
        write.

        Raises:
            aiohttp.ServerDisconnectedError: the server has closed the connection.

        """
        if self.transport is None:
            raise aiohttp.ServerDisconnectedError
        if self._kernel_reader is None:
            on_read = self._feed if self.raw_transport is None else self._feed_tls
            raw = self.raw_transport or self.transport
            self._kernel_reader = take_over_reading(raw, on_read, self._on_departure, self._on_end)
        body.clock = TRANSPORT_CLOCK if self._kernel_reader is None else KERNEL_CLOCK
        self._reader.begin(body)
        self._leaving = body
        body.begin_sending(perf_counter_ns(), self)
        self._unsent_ns = perf_counter_ns()
        self.transport.write(message)
        self._timestamp_sent()

    def resume_writing(self) -> None:
        """Timestamp `sent` of a request that was too long to be written at once."""
        super().resume_writing()
        self._timestamp_sent()

    def _timestamp_sent(self) -> None:
        """Timestamp `sent` once the socket has taken the request's last byte."""
        body, raw, now_ns = self._leaving, self.raw_transport, perf_counter_ns()
        if body is None:
            return
        if self.writing_paused or (raw is not None and raw.get_write_buffer_size()):
            # `resume_writing` is not enough: TLS does not call it, and the bounds of `sent` would be far apart.
            self._unsent_ns = now_ns
            self._loop.call_later(POLL_S, self._timestamp_sent)
            return
        self._leaving = None
        if body.sent_ns is None:
            body.mark_sent(self._unsent_ns, now_ns)
        if self._kernel_reader is not None:
            self._kernel_reader.note_write()

    def _on_departure(self, at_ns: int) -> None:
        """Set `sent` to the kernel's timestamp of the request's last byte."""
        body = self._reader.body
        if body is not None and self._leaving is None and at_ns >= self._unsent_ns:
            body.refine_sent(at_ns)

    def data_received(self, data: bytes) -> None:
        """Timestamp a read, unless it was timestamped before TLS decrypted it."""
        self._feed(data, *(self._arrival or (perf_counter_ns(), TRANSPORT_CLOCK)))

    def _feed_tls(self, data: bytes, at_ns: int, clock: str) -> None:
        """Pass a read with its timestamp to TLS, which calls `data_received` before this returns."""
        assert self.raw_transport is not None
        self._arrival = at_ns, clock
        try:
            feed_protocol(data, cast("asyncio.BufferedProtocol", self.raw_transport.get_protocol()))
        finally:
            self._arrival = None

    def _feed(self, data: bytes, at_ns: int, clock: str) -> None:
        reader = self._reader
        body = reader.body
        if body is None:
            super().data_received(data)
            return
        if body.sent_ns is not None and at_ns < body.sent_ns:
            at_ns, clock = perf_counter_ns(), TRANSPORT_CLOCK  # the wall clock was set between the two timestamps
        if clock == TRANSPORT_CLOCK:
            body.clock = clock
        else:
            # An event arrives with its last byte, which has the timestamp. A read with more may have arrived in parts.
            last = data.rfind(DATA)
            is_one_event = last == 0 or (last > 0 and BEFORE_DATA.fullmatch(data, 0, last) is not None)
            is_hidden = body.compressed or self.raw_transport is not None
            if (is_hidden or not is_one_event) and not self._was_one_segment():
                body.merged_ns.add(at_ns)
        reader.feed(at_ns, data)

    def pause_reads(self) -> None:
        """Stop reading: data stays in the kernel, which makes the server wait."""
        if self._kernel_reader is not None:
            self._kernel_reader.pause()
        elif self.transport is not None:
            with suppress(*PAUSE_RESUME_READING_ERRORS):
                self.transport.pause_reading()

    def resume_reads(self) -> None:
        """Resume reading."""
        if self._kernel_reader is not None:
            self._kernel_reader.resume()
        elif self.transport is not None:
            with suppress(*PAUSE_RESUME_READING_ERRORS):
                self.transport.resume_reading()

    def _was_one_segment(self) -> bool:
        return self._kernel_reader is not None and self._kernel_reader.segments.was_one_segment()

    def _on_end(self, error: Exception | None) -> None:
        """Close a connection that the server has closed, or whose bytes could not be processed."""
        self._broken_by = error
        # Not the TLS transport, which would wait for the answer to its close_notify.
        transport = self.raw_transport or self.transport
        if transport is not None:
            transport.abort() if error else transport.close()

    def close(self) -> None:
        """Close the connection, without waiting for the answer to a TLS close_notify."""
        super().close()
        if self.raw_transport is not None:
            self.raw_transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the response in progress; what arrived before is kept."""
        if self._kernel_reader is not None:
            self._kernel_reader.close()
            self._kernel_reader = None  # it refers back to this object; only the garbage collector could free the cycle
        exc = exc or self._broken_by
        super().connection_lost(exc)
        self._leaving = self._broken_by = self.raw_transport = None
        self._reader.close(exc)

    @property
    def should_close(self) -> bool:
        """Whether the connection must not be lent again."""
        return super().should_close or not self._reader.reusable


_NO_CALLBACKS = aiohttp.TraceConfig()
_NO_CALLBACKS.freeze()


class LookUpTrace(Trace):
    """Timestamps a name look-up. aiohttp reports a look-up to the traces of the request that causes it.

    A cached address causes no look-up, so its phase stays None.
    """

    def __init__(self, phases: Phases) -> None:
        super().__init__(cast("aiohttp.ClientSession", None), _NO_CALLBACKS, SimpleNamespace())
        self._phases = phases

    async def send_dns_resolvehost_start(self, host: str) -> None:  # noqa: ARG002 -- aiohttp's signature
        """Timestamp the start of the look-up."""
        self._phases.dns_start = perf_counter_ns()

    async def send_dns_resolvehost_end(self, host: str) -> None:  # noqa: ARG002 -- aiohttp's signature
        """Timestamp its end."""
        self._phases.dns_end = perf_counter_ns()


class TimestampingConnector(aiohttp.TCPConnector):
    """A connector whose connections timestamp their reads, and which records how each request got its connection."""

    def __init__(self, tls: ssl.SSLContext, proxy: Proxy | None, logins: ProxyLogins) -> None:
        # Lanes limit concurrency; a second limit here would be a hidden queue.
        super().__init__(limit=0, ssl=tls, keepalive_timeout=60, resolver=aiohttp.ThreadedResolver())
        self._socks = proxy if proxy is not None and proxy.is_socks else None
        self._proxy = proxy
        self._logins = logins
        self._factory = partial(TimestampingProtocol, loop=self._loop)  # type: ignore[assignment]  # a subclass will do

    async def lend(self, request: aiohttp.ClientRequest, timeout: aiohttp.ClientTimeout, phases: Phases) -> Connection:  # noqa: ASYNC109 -- aiohttp's type
        """Return a connection from the pool or a new one, and record in `phases` how it was made."""
        start_ns = perf_counter_ns()
        connection = await self.connect(request, [LookUpTrace(phases)], timeout)
        protocol = cast("TimestampingProtocol", connection.protocol)
        phases.reused = protocol.tcp_end < start_ns
        if not phases.reused:
            phases.tcp_start = phases.dns_end or start_ns
            phases.tcp_end = protocol.tcp_end
            phases.tls_end = protocol.ready_ns if request.is_ssl() else None
        return connection

    async def _create_proxy_connection(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 -- aiohttp's signature
        """Open a connection through an HTTP proxy.

        aiohttp does not trace the look-up of the proxy's name. The traces are therefore attached to the request, and
        copied to the request to the proxy that aiohttp derives from it.
        """
        traced = copy(req)
        traced.traces = traces
        if not req.is_ssl():  # a forwarding proxy reads the password in each request, not here
            return await super()._create_proxy_connection(traced, traces, timeout)
        assert self._proxy is not None
        async with self._logins.alone_at_first(self._proxy, req.url.raw_host):
            return await super()._create_proxy_connection(traced, traces, timeout)

    def _update_proxy_auth_header_and_build_proxy_req(self, req: Any) -> Any:
        to_proxy: Any = super()._update_proxy_auth_header_and_build_proxy_req(req)
        to_proxy.traces = getattr(req, "traces", [])
        return to_proxy

    async def _create_direct_connection(self, req: Any, traces: Any, timeout: Any, **more: Any) -> Any:  # noqa: ASYNC109
        """Open a connection, through a SOCKS proxy if there is one; aiohttp itself supports the other kinds."""
        if self._socks is None:
            traces = traces or getattr(req, "traces", [])
            return await super()._create_direct_connection(req, traces, timeout, **more)
        host, tls = req.url.raw_host, self._get_ssl_context(req)
        try:
            async with self._logins.alone_at_first(self._socks, host):
                tunnel = await open_socket(self._socks, host, req.port, timeout.connect)
        except socket.gaierror as error:
            raise aiohttp.ClientConnectorDNSError(req.connection_key, error) from error
        opened = await self._wrap_existing_connection(self._factory, req=req, timeout=timeout, sock=tunnel)
        return opened if tls is None else await self._start_tls_connection(opened[0], req, timeout)

    async def _wrap_create_connection(self, *args: Any, req: Any, timeout: Any, **more: Any) -> Any:  # noqa: ASYNC109
        """Open a connection, and TLS on it in a second step: a single step gives no access to the raw transport."""
        tls = more.pop("ssl", None)
        more.pop("server_hostname", None)
        opened = await super()._wrap_create_connection(*args, req=req, timeout=timeout, **more)
        return opened if tls is None else await self._start_tls_connection(opened[0], req, timeout)

    async def _start_tls_connection(self, underlying_transport: Any, req: Any, timeout: Any, *more: Any) -> Any:  # noqa: ASYNC109
        """Start TLS on a connection, and give its protocol the raw transport."""
        try:
            transport, protocol = await super()._start_tls_connection(underlying_transport, req, timeout, *more)
        except aiohttp.ClientSSLError:
            raise
        except aiohttp.ClientConnectorError as error:  # the server was reached but ended the handshake
            raise aiohttp.ClientConnectorSSLError(req.connection_key, error.os_error) from error
        cast("TimestampingProtocol", protocol).raw_transport = underlying_transport
        return transport, protocol
