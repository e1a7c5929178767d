"""A broken connection becomes a `Failed`: which stage broke, in one sentence without secrets."""

import aiohttp
from openai import APIConnectionError

from runner.core.events import Failed, Outcome
from runner.wire.decompression import BadCompression
from runner.wire.framing import BadResponse
from runner.wire.proxy import UnusableProxy
from runner.wire.socks import ProxyRefusal

CONNECTION_ERRORS = (aiohttp.ClientError, OSError, APIConnectionError)
"""What a connection can raise; the SDK wraps what TLS raised. Anything else is a bug of ours, and stays a traceback."""


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
    (BaseException, "connection"),
)
"""Which stage of a connection an error belongs to: the first kind that it is of."""

WORDS = {
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

LASTING = frozenset({"bad_proxy", "tls_certificate", "compression", "bad_http", "bad_url"})
"""What is the same at the next attempt."""


def describe(error: BaseException, at_ns: int) -> Failed:
    """Name a connection's failure. Timeouts of connecting are timeouts, all else is `connection`."""
    if isinstance(error, APIConnectionError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, TimeoutError):
        return Failed(at_ns, Outcome.TIMEOUT, "no connection in time", error_type="connect", worth_repeating=True)
    stage = next(stage for kind, stage in STAGES if isinstance(error, kind))
    message = f"{WORDS[stage]}: {_detail(error)}"
    return Failed(at_ns, Outcome.CONNECTION, message, error_type=stage, worth_repeating=stage not in LASTING)


def _detail(error: BaseException) -> str:
    """Return the library's own words in one line, less the URL it may add: a proxy's holds a password."""
    match error:
        case aiohttp.ClientConnectorError():
            words = str(error.os_error)
        case aiohttp.ClientResponseError():
            words = f"{error.status} {error.message}"
        case aiohttp.InvalidURL():
            words = error.description or ""
        case _:
            words = str(error)
    return next(iter(words.strip().splitlines()), type(error).__name__)[:200]
