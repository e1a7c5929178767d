"""Failures: an exception of a connection, an HTTP status or an error inside a stream becomes a `Failed`.

The message is the provider's own, or says which stage of the connection failed. It has no secrets.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
import httpx2

from runner.core.events import Failed
from runner.core.failure_kinds import NO_MESSAGE, failure
from runner.core.suite import describe_size
from runner.wire.decompression import BadCompression
from runner.wire.error_body import ErrorBody, as_status, one_line, parse_error, parse_error_body
from runner.wire.failure_codes import (
    BASE_RESP_CODES,
    BROAD_KINDS,
    CAPS,
    CODES,
    PHRASES,
    STATUS_CLASSES,
    STATUSES,
    TYPES,
    normalise,
)
from runner.wire.http_framing import BadResponse
from runner.wire.proxy import ProxyRefusal, UnusableProxy, is_proxy_login
from runner.wire.response_body import ReplyTooLarge
from runner.wire.retry_after import retry_after_s


def classify_response(
    status: int, headers: Mapping[str, str], body: bytes, *, at_ns: int, now: datetime | None = None
) -> Failed:
    """Return the failure that an HTTP response with a status other than 2xx reports."""
    fields = {name.lower(): value for name, value in headers.items()}
    if 300 <= status < 400:
        return failure("redirect", _describe_redirect(fields.get("location")), at_ns, status=status)
    error = parse_error_body(body)
    wait_s = retry_after_s(fields, now)
    waits = [wait for wait in (wait_s, error.retry_after_s) if wait is not None]
    return _failed(error, status, max(waits, default=None), at_ns)


def classify_error(value: object, *, at_ns: int, status: int = 200) -> Failed:
    """Return the failure that a JSON value inside a stream reports."""
    error = parse_error(value)
    return _failed(error, status, error.retry_after_s, at_ns)


def _failed(error: ErrorBody, status: int, wait_s: float | None, at_ns: int) -> Failed:
    message = error.message or _describe_status(status)
    return failure(_kind_of(error, status), message, at_ns, status=status, code=error.code, retry_after_s=wait_s)


def _kind_of(error: ErrorBody, status: int) -> str:
    """Return the kind of a failure, given by a specific code, else the message, else the status, else a broad type."""
    codes = [normalise(code) for code in error.codes]
    table = BASE_RESP_CODES if error.is_base_resp else CODES
    message = error.message or ""
    by_code = _first(table.get(code) for code in codes)
    if by_code is None or by_code in BROAD_KINDS:
        # Providers report exhausted credit and daily limits with the codes of rate limits and permissions.
        by_code = _cap_of(f"{message} {error.details}", status) or by_code
    if error.is_page and status == 413:
        return "body_size"
    return (
        by_code
        or _first(kind for kind, phrase in PHRASES if phrase.search(message))
        or _kind_of_status(status)
        or _first(_kind_of_status(as_status(code)) for code in error.codes)
        or _first(TYPES.get(code) for code in codes)
        or "server"
    )


def _cap_of(text: str, status: int) -> str | None:
    """Return the kind of a refusal for exhausted credit or for a limit of a day or longer; None for any other."""
    if status == 404:
        return None
    return _first(kind for kind, phrase in CAPS if phrase.search(text))


def _kind_of_status(status: int | None) -> str | None:
    if status is None or status < 300:
        return None
    return STATUSES.get(status) or STATUS_CLASSES.get(status // 100, "server")


def _first(kinds: Iterable[str | None]) -> str | None:
    return next(filter(None, kinds), None)


def _describe_status(status: int) -> str:
    known = status in HTTPStatus.__members__.values()
    phrase = f" {HTTPStatus(status).phrase}" if known else ""
    return f"HTTP {status}{phrase}, {NO_MESSAGE}"


def _describe_redirect(location: str | None) -> str:
    """Return a description of a redirect's target, without query and user, which may hold secrets."""
    if not location:
        return "redirected without a Location header"
    try:
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "redirected to an invalid URL"
    return one_line(f"redirected to {parts.scheme + '://' if parts.scheme else ''}{host}{parts.path}")


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


def undecodable(error: Exception, at_ns: int) -> Failed:
    """Return the failure of a reply that made the decoder raise."""
    message = f"the reply cannot be decoded: {type(error).__name__}: {_detail(error)}"
    return failure("undecodable", message, at_ns)


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
