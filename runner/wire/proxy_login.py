"""A proxy's user and password are tried by one request alone; if they are refused, no other request tries them.

A bad password, repeated, locks an account. All clients of an event loop, and so of a run, share what they know of a
proxy.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakKeyDictionary

import aiohttp

from runner.wire.connection_failure import is_proxy_login
from runner.wire.proxy import Proxy


class ProxyLogin:
    """The state of a login at a proxy: accepted, refused for some hosts, or not tried yet."""

    def __init__(self) -> None:
        self._first = asyncio.Lock()
        self._accepted = False
        self._refusals: dict[str, aiohttp.ClientError] = {}
        """Host behind the proxy -> its refusal."""

    @asynccontextmanager
    async def alone_at_first(self, host: str, longest_s: float | None = None) -> AsyncIterator[None]:
        """Run a block that asks the proxy for a host, by itself until the proxy has accepted user and password.

        Args:
            host: the host behind the proxy. Others are refused with it, unless the proxy has accepted one of them.
            longest_s: how long to wait at most for the request before.

        Raises:
            aiohttp.ClientError: the refusal of user and password, without asking again.

        """
        async with AsyncExitStack() as turn:
            if not self._accepted:
                await self._wait_for_turn(turn, longest_s)
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

    async def _wait_for_turn(self, turn: AsyncExitStack, longest_s: float | None) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self._first.acquire()
        except TimeoutError:
            return
        turn.callback(self._first.release)


_LOGINS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, ProxyLogin]] = WeakKeyDictionary()


def proxy_login(proxy: Proxy) -> ProxyLogin:
    """Return the state of a login at a proxy, which the running loop's clients share."""
    return _LOGINS.setdefault(asyncio.get_running_loop(), {}).setdefault(str(proxy.url), ProxyLogin())
