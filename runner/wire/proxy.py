"""Proxies from the environment: HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, the exceptions in NO_PROXY, SOCKS5, and logins.

As with curl, the scheme's own variable takes precedence over ALL_PROXY, and lower case over upper case. A server on
this machine is never reached through a proxy. python-socks, an optional extra, implements SOCKS5.

A single request tries user and password first; if they are refused, no other request tries them: repeating a bad
password may lock an account. All clients of a run share the state of the logins.
"""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

import aiohttp
import httpx2
from yarl import URL

SOCKS_SCHEMES = frozenset({"socks5", "socks5h"})
KNOWN_SCHEMES = SOCKS_SCHEMES | {"http", "https"}
SOCKS_PORT = 1080

PROXY_REFUSALS = frozenset({401, 407})
"""Statuses with which a proxy refuses a login (401 is tinyproxy's). Repeated requests may lock the account."""

RULE = re.compile(r"(?P<bracketed>\[[^\]]*\])(?::(?P<port>\d+))?|(?P<name>[^:]*):(?P<own_port>\d+)")
"""Matches a NO_PROXY rule that may end in a port; an IPv6 address without brackets never does."""


class ProxyRefusal(aiohttp.ClientError):
    """A proxy cannot be reached, or refuses to connect to the host."""


class ProxyLoginRefusal(ProxyRefusal):
    """A proxy refuses the user and password, or requires them."""


class UnusableProxy(aiohttp.ClientError):
    """A variable names a proxy that cannot be used. Its value may hold a password and is not in the message."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the variable that names it."""

    url: URL = field(repr=False)
    variable: str

    @property
    def is_socks(self) -> bool:
        """Whether its protocol is SOCKS, which aiohttp does not support."""
        return self.url.scheme in SOCKS_SCHEMES


def proxy_for(url: httpx2.URL, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy for a URL; None for a direct connection.

    Raises:
        UnusableProxy: the proxy that is named cannot be used.

    """
    _, exceptions = _look_up("no_proxy", environ)
    if is_loopback(url.host) or is_exempt(url, exceptions):
        return None
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        variable, value = _look_up(name, environ)
        if value:
            return Proxy(_parse_address(value, variable), variable)
    return None


def is_login_refusal(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether the response to a forwarded request is the proxy's refusal of user and password.

    A 401 is the provider's, unless its `Server` header names tinyproxy, which does not alter that of a provider.
    """
    return status == 407 or (status == 401 and headers.get("server", "").lower().startswith("tinyproxy"))


def is_proxy_login(error: BaseException) -> bool:
    """Return whether a proxy refuses the user or the password."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.status in PROXY_REFUSALS
    return isinstance(error, ProxyLoginRefusal)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    name = _normalise(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def is_exempt(url: httpx2.URL, exceptions: str) -> bool:
    """Return whether NO_PROXY excepts a URL: by name, parent domain, address or network, with or without a port."""
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return any(_matches(rule, _normalise(url.host), port) for rule in re.split(r"[\s,;]+", exceptions) if rule)


def _look_up(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a variable's spelling and value; a blank one in lower case overrides the one in upper case."""
    spelled = name if name in environ else name.upper()
    return spelled, environ.get(spelled, "").strip()


def _parse_address(text: str, variable: str) -> URL:
    """Return the URL of a proxy's address, in which `http://` may be left out."""
    try:
        url = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        raise UnusableProxy(f"{variable} does not hold an address that can be read") from None
    if url.scheme not in KNOWN_SCHEMES or not url.host:
        raise UnusableProxy(f"{variable} must name an http://, https://, socks5:// or socks5h:// proxy")
    return url


def _matches(rule: str, host: str, port: int | None) -> bool:
    """Return whether a NO_PROXY rule matches a host and port."""
    if rule == "*":
        return True
    split = RULE.fullmatch(rule)
    if split is not None:
        wanted = split["port"] or split["own_port"]
        if wanted is not None and int(wanted) != port:
            return False
        rule = split["bracketed"] or split["name"]
    name = _normalise(rule).lstrip("*").lstrip(".")
    return host == name or host.endswith(f".{name}") or _is_within(host, name)


def _is_within(host: str, network: str) -> bool:
    """Return whether a host is an address of a network such as 10.0.0.0/8, which may be a single address."""
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _normalise(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


LONGEST_PART = 255
INSTALL = "pip install 'compare-runner[socks]'"

LOGIN_REFUSED = re.compile(r"authentication failure|no acceptable authentication", re.IGNORECASE)
"""Matches python-socks's errors for a refused or missing user and password."""


async def open_socket(proxy: Proxy, host: str, port: int, timeout_s: float | None) -> socket.socket:
    """Return a socket that a proxy has connected to a host.

    As with curl, `socks5://` resolves the host's name on this machine, `socks5h://` has the proxy resolve it.

    Raises:
        UnusableProxy: the extra is not installed, or user or password is not ASCII of up to 255 characters.
        ProxyRefusal: the proxy cannot be reached or refuses; the message gives its reason.
        ProxyLoginRefusal: it refuses user and password.
        socket.gaierror: this machine cannot resolve the host's name.
        TimeoutError: it takes longer than `timeout_s`.

    """
    try:
        import python_socks  # noqa: PLC0415 -- an extra
        from python_socks.async_ import asyncio as python_socks_asyncio  # noqa: PLC0415
    except ImportError:
        raise UnusableProxy(f"{proxy.variable} names a SOCKS proxy, which takes one library more: {INSTALL}") from None
    url = proxy.url
    assert url.host is not None
    if not all((part or "").isascii() and len(part or "") <= LONGEST_PART for part in (url.user, url.password)):
        raise UnusableProxy(f"{proxy.variable}: SOCKS takes user and password of up to {LONGEST_PART} ASCII characters")
    tunnel = python_socks_asyncio.Proxy(
        python_socks.ProxyType.SOCKS5,
        url.host,
        url.port or SOCKS_PORT,
        username=url.user,
        password=url.password,
        rdns=url.scheme == "socks5h",
    )
    try:
        return await tunnel.connect(host, port, timeout=timeout_s)
    except (TimeoutError, socket.gaierror):
        raise
    except (python_socks.ProxyError, OSError, UnicodeError) as error:  # UnicodeError: the host cannot be encoded
        refusal = ProxyLoginRefusal if LOGIN_REFUSED.search(str(error)) else ProxyRefusal
        raise refusal(str(error)) from error


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
