"""Logins at proxies: a single request tries user and password first; if they are refused, no other request tries them.

Repeating a bad password may lock an account. All clients of a run share the state of the logins.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext

import aiohttp

from runner.wire.connection_failure import is_proxy_login
from runner.wire.proxy import Proxy

FIRST_ALONE_S = 1.0
"""Maximum wait of other requests for the first request to a proxy, in seconds. A refusal comes sooner, since the proxy
itself sends it; a host behind it may be down, and a model may think for minutes before its response starts."""


class ProxyLogin:
    """The state of a login at a proxy: accepted, refused for some hosts, or not tried yet."""

    def __init__(self) -> None:
        self._first = asyncio.Lock()
        self._accepted = False
        self._refusals: dict[str, aiohttp.ClientError] = {}
        """Host behind the proxy -> its refusal."""

    @asynccontextmanager
    async def alone_at_first(self, host: str) -> AsyncIterator[None]:
        """Run a block that connects to a host through the proxy, alone until the proxy has accepted user and password.

        Args:
            host: the host behind the proxy. A refusal applies to all hosts until the proxy has accepted one.

        Raises:
            aiohttp.ClientError: user and password were refused; after an earlier refusal the block does not run.

        """
        async with AsyncExitStack() as turn:
            if not self._accepted:
                await self._wait_for_turn(turn)
            refusal = self._refusals.get(host) or next(iter(() if self._accepted else self._refusals.values()), None)
            if refusal is not None:
                raise refusal
            try:
                yield
            except aiohttp.ClientError as error:
                if is_proxy_login(error):
                    self._refusals[host] = error
                raise
            self._accepted = True

    async def _wait_for_turn(self, turn: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(FIRST_ALONE_S):
                await self._first.acquire()
        except TimeoutError:
            return
        if self._accepted:
            self._first.release()
        else:
            turn.callback(self._first.release)


class ProxyLogins:
    """The logins at all proxies of a run, which its clients share."""

    def __init__(self) -> None:
        self._by_url: dict[str, ProxyLogin] = {}

    def alone_at_first(self, proxy: Proxy, host: str) -> AbstractAsyncContextManager[None]:
        """Return a context manager for connecting to a host through a proxy; without a user it does nothing."""
        if proxy.url.user is None:
            return nullcontext()
        return self._by_url.setdefault(str(proxy.url), ProxyLogin()).alone_at_first(host)
