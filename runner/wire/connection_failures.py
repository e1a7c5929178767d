"""Failures of connections: an exception becomes a `Failed` that says which stage failed. It has no secrets."""

import aiohttp
import httpx2

from runner.core.events import Failed
from runner.core.failure_kinds import failure
from runner.core.suite import describe_size
from runner.wire.decompression import BadCompression
from runner.wire.http_framing import BadResponse
from runner.wire.proxy import ProxyRefusal, UnusableProxy, is_proxy_login
from runner.wire.response_body import ReplyTooLarge

STAGES: tuple[tuple[type[BaseException], str], ...] = (
    (UnusableProxy, "bad_proxy"),
    (ProxyRefusal, "proxy"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientConnectorCertificateError, "tls_certificate"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientProxyConnectionError, "proxy"),
    (aiohttp.ClientHttpProxyError, "proxy"),
    (aiohttp.ClientConnectorError, "refused"),
    (BadCompression, "compression"),
    (aiohttp.ClientPayloadError, "cut"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.ClientOSError, "reset"),
    (BadResponse, "bad_http"),
    (aiohttp.InvalidURL, "bad_url"),
    (httpx2.InvalidURL, "bad_url"),
    (UnicodeError, "bad_url"),
    (BaseException, "connection"),
)
"""Stages by exception class; the first class that matches counts."""

DESCRIPTIONS = {
    "bad_proxy": "the proxy cannot be used",
    "proxy": "the proxy refused",
    "dns": "the host name does not resolve",
    "tls_certificate": "the server's certificate is not trusted",
    "tls": "the TLS handshake failed",
    "refused": "no connection to the server",
    "compression": "the reply's compression cannot be undone",
    "cut": "the connection broke inside the reply",
    "disconnected": "the server closed the connection without an answer",
    "reset": "the connection was reset",
    "bad_http": "the answer is not HTTP",
    "bad_url": "the base URL cannot be used",
    "connection": "the connection failed",
}


def connection_failure(error: BaseException, at_ns: int) -> Failed:
    """Return the failure of a connection: a timeout if connecting took too long, else by the stage that failed."""
    if isinstance(error, ReplyTooLarge):
        return failure("reply_limit", f"the reply is larger than its limit of {describe_size(error.limit)}", at_ns)
    if isinstance(error, TimeoutError):
        return failure("connect", "no connection in time", at_ns)
    if is_proxy_login(error):
        return failure("proxy_auth", f"the proxy refused user or password: {_detail(error)}", at_ns)
    stage = next(stage for kind, stage in STAGES if isinstance(error, kind))
    return failure(stage, f"{DESCRIPTIONS[stage]}: {_detail(error)}", at_ns)


def _detail(error: BaseException) -> str:
    """Return an exception's message on one line, without URLs: a proxy's URL may hold a password."""
    match error:
        case aiohttp.ClientConnectorError():
            text = str(error.os_error) or type(error.os_error).__name__
        case aiohttp.ClientResponseError():
            text = f"{error.status} {error.message}"
        case aiohttp.InvalidURL():
            text = error.description or ""
        case _:
            text = str(error)
    return next(iter(text.strip().splitlines()), type(error).__name__)[:200]
