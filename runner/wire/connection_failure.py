"""Connection failures: turns an exception into a `Failed` with the stage that failed and a message without secrets."""

import aiohttp
import httpx2

from runner.core.events import Failed, Outcome
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

OWN_FAILURES = {"reply_limit": Outcome.TOO_LARGE, "undecodable": Outcome.BAD_STREAM}
"""`error_type` -> outcome of the failures on this machine's side: a size limit, and a reply that decoding rejects."""

LASTING = frozenset({"bad_proxy", "tls_certificate", "compression", "bad_http", "bad_url"})
"""Stages at which the next attempt would fail in the same way."""


def connection_failure(error: BaseException, at_ns: int) -> Failed:
    """Return the failure of a connection: a timeout if connecting took too long, else `connection`."""
    if isinstance(error, ReplyTooLarge):
        return _too_large(error.limit, at_ns)
    if isinstance(error, TimeoutError):
        return Failed(at_ns, Outcome.TIMEOUT, "no connection in time", error_type="connect", worth_repeating=True)
    if is_proxy_login(error):
        return Failed(
            at_ns, Outcome.AUTH, f"the proxy refused user or password: {_detail(error)}", error_type="proxy_auth"
        )
    stage = next(stage for kind, stage in STAGES if isinstance(error, kind))
    message = f"{DESCRIPTIONS[stage]}: {_detail(error)}"
    return Failed(at_ns, Outcome.CONNECTION, message, error_type=stage, worth_repeating=stage not in LASTING)


def undecodable(error: Exception, at_ns: int) -> Failed:
    """Return the failure of a reply that made the decoder raise."""
    message = f"the reply cannot be decoded: {type(error).__name__}: {_detail(error)}"
    return _own_failure("undecodable", message, at_ns)


def _too_large(limit: int, at_ns: int) -> Failed:
    message = f"the reply is larger than its limit of {describe_size(limit)}"
    return _own_failure("reply_limit", message, at_ns)


def _own_failure(error_type: str, message: str, at_ns: int) -> Failed:
    return Failed(at_ns, OWN_FAILURES[error_type], message, error_type=error_type)


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
