"""SOCKS5: a socket connected through a proxy. python-socks, an optional extra, implements the protocol."""

import re
import socket

from runner.wire.proxy import SOCKS_PORT, Proxy, ProxyLoginRefusal, ProxyRefusal, UnusableProxy

LONGEST_PART = 255
INSTALL = "pip install 'compare-runner[socks]'"

LOGIN_REFUSED = re.compile(r"authentication failure|no acceptable authentication", re.IGNORECASE)
"""What python-socks says where the proxy refuses user and password, or wants them and there are none."""


async def open_socket(proxy: Proxy, host: str, port: int, timeout_s: float | None) -> socket.socket:
    """Return a socket that a proxy has connected to a host.

    As with curl, `socks5://` resolves the host's name on this machine, `socks5h://` has the proxy resolve it.

    Raises:
        UnusableProxy: the extra is not installed.
        ProxyRefusal: the proxy cannot be reached or refuses; the message holds its reason.
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
    except (python_socks.ProxyError, OSError, UnicodeError) as error:  # UnicodeError: no proxy can be told such a host
        refusal = ProxyLoginRefusal if LOGIN_REFUSED.search(str(error)) else ProxyRefusal
        raise refusal(str(error)) from error
