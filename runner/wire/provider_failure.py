"""Provider failures: an HTTP status or an error inside a stream becomes a `Failed`, with the provider's own message."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from runner.core.events import Failed
from runner.wire.error_body import ErrorBody, as_status, one_line, parse_error, parse_error_body
from runner.wire.failure_causes import (
    BASE_RESP_CODES,
    BROAD_CAUSES,
    CAPS,
    CAUSES,
    CODES,
    PHRASES,
    STATUS_CLASSES,
    STATUSES,
    TYPES,
    normalise,
)
from runner.wire.json_value import as_object
from runner.wire.retry_after import retry_after_s

REQUEST_ID_HEADERS = (
    "x-request-id",
    "request-id",
    "x-ds-trace-id",
    "x-generation-id",
    "x-litellm-call-id",
    "x-portkey-trace-id",
    "helicone-id",
    "cf-aig-log-id",
    "x-openrouter-generation-id",
    "x-requesty-request-id",
    "x-oneapi-request-id",
    "x-new-api-request-id",
    "x-novita-trace-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-goog-request-id",
    "x-siliconcloud-trace-id",
    "msh-request-id",
    "x-tt-logid",
    "x-log-id",
    "x-requestid",
    "requestid",
    "x-correlation-id",
    "correlation-id",
    "x-kong-request-id",
    "trace-id",
    "x-trace-id",
)
"""Headers under which providers and routers send the id of a request."""

EDGE_ID_HEADERS = ("cf-ray", "x-vercel-id", "x-amz-cf-id", "fly-request-id", "x-railway-request-id")
"""Headers of content delivery networks: the provider's own id in the body takes precedence."""

REQUEST_ID_NAMES = ("request_id", "requestId", "id")
LONGEST_ID = 200


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


def failure(cause: str, message: str, at_ns: int, *, status: int, code: str | None = None) -> Failed:
    """Return the failure with a known cause, a key of `CAUSES`."""
    known = CAUSES[cause]
    return Failed(
        at_ns,
        known.outcome,
        message,
        error_type=cause,
        http_status=status,
        code=code,
        worth_repeating=known.worth_repeating,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id under which the provider or router logs a request, else that of the network before it."""
    return _first_header(headers, REQUEST_ID_HEADERS) or _first_header(headers, EDGE_ID_HEADERS)


def has_own_id(headers: Mapping[str, str]) -> bool:
    """Return whether headers have an id of the provider or router, and not only of the network before it."""
    return _first_header(headers, REQUEST_ID_HEADERS) is not None


def _first_header(headers: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((value[:LONGEST_ID] for name in names if (value := headers.get(name, "").strip())), None)


def request_id_in(value: object) -> str | None:
    """Return the request's id in a JSON object, in its error, message or response; None if there is none."""
    outer = as_object(value)
    layers = (outer, *(as_object(outer.get(name)) for name in ("error", "message", "response")))
    ids = (layer.get(name) for layer in layers for name in REQUEST_ID_NAMES)
    return next((found[:LONGEST_ID] for found in ids if isinstance(found, str) and found), None)


def _failed(error: ErrorBody, status: int, wait_s: float | None, at_ns: int) -> Failed:
    cause = CAUSES[name := _cause(error, status)]
    return Failed(
        at_ns,
        cause.outcome,
        error.message or _describe_status(status),
        error_type=name,
        http_status=status,
        code=error.code,
        retry_after_s=wait_s,
        worth_repeating=cause.worth_repeating,
    )


def _cause(error: ErrorBody, status: int) -> str:
    """Return the cause: by a specific code, else by the message, else by the status, else by a broad type."""
    codes = [normalise(code) for code in error.codes]
    table = BASE_RESP_CODES if error.is_base_resp else CODES
    message = error.message or ""
    by_code = _first(table.get(code) for code in codes)
    if by_code is None or by_code in BROAD_CAUSES:
        # Spent money and daily caps come with the codes of rate limits and of permissions.
        by_code = _cap_of(f"{message} {error.details}", status) or by_code
    if error.is_page and status == 413:
        return "body_size"
    return (
        by_code
        or _first(cause for cause, phrase in PHRASES if phrase.search(message))
        or _cause_of_status(status)
        or _first(_cause_of_status(as_status(code)) for code in error.codes)
        or _first(TYPES.get(code) for code in codes)
        or "server"
    )


def _cap_of(text: str, status: int) -> str | None:
    """Return the cause of a refusal that speaks of spent money or of a cap for a day or longer."""
    if status == 404:
        return None
    return _first(cause for cause, phrase in CAPS if phrase.search(text))


def _cause_of_status(status: int | None) -> str | None:
    if status is None or status < 300:
        return None
    return STATUSES.get(status) or STATUS_CLASSES.get(status // 100, "server")


def _first(causes: Iterable[str | None]) -> str | None:
    return next(filter(None, causes), None)


def _describe_status(status: int) -> str:
    known = status in HTTPStatus.__members__.values()
    return f"HTTP {status} {HTTPStatus(status).phrase}, without a word" if known else f"HTTP {status}, without a word"


def _describe_redirect(location: str | None) -> str:
    """Return where a redirect points to, without its query and user, which may hold secrets."""
    if not location:
        return "redirected, without saying where to"
    try:
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "redirected, to what is not a URL"
    return one_line(f"redirected to {parts.scheme + '://' if parts.scheme else ''}{host}{parts.path}")
