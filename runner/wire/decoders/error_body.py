"""Error bodies: a provider's message, codes and waiting time, parsed from a body of any shape."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import unescape

from runner.wire.decoders.lenient_json import as_object, read_json, write_json
from runner.wire.decoders.retry_after import EPOCH_S, parse_duration_s, retry_in_message_s
from runner.wire.decoders.sse import BYTE_ORDER_MARK, FrameReader

LONGEST_MESSAGE = 500
"""Maximum number of characters kept of a provider's message."""

READ_LIMIT = 16 * 1024
"""Number of characters of a body in which a page's title or an error's message is searched."""

MESSAGE_NAMES = (
    *("message", "msg", "status_msg", "error_msg", "error_message", "errorMessage", "detail", "error_description"),
)
WAIT_NAMES = {
    **dict.fromkeys(("retry_after", "retryAfter", "retry_after_seconds", "retry_after_s", "retryAfterSeconds"), 1.0),
    **dict.fromkeys(("retry_after_ms", "retryAfterMs"), 0.001),
}
"""Fields of an error that hold the time to wait -> their units in seconds."""

CODE_NAMES = ("code", "error_code", "errorCode", "status_code", "status", "type")
NO_CODES = frozenset({"", "error", "none", "null", "0"})
FAILED = ("error", "failed", "failure")
SUCCESS_CODES = frozenset({"", "0", "200", "ok", "success", "none"})


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's message, None if it sent none, and every code it sent, innermost first."""

    message: str | None
    codes: tuple[str, ...] = ()
    retry_after_s: float | None = None
    is_base_resp: bool = False
    details: str = ""
    """Details beside the message, as JSON: Google names the limit that was exceeded only there."""
    is_page: bool = False
    """Whether it is a web page, which a proxy or gateway sent in place of the provider."""

    @property
    def code(self) -> str | None:
        """The most specific code: the first that does not just repeat an HTTP status."""
        specific = (code for code in self.codes if as_status(code) is None)
        return next(specific, self.codes[0] if self.codes else None)


def find_error(value: object) -> dict[str, object] | None:
    """Return the object that reports an error, a JSON value or the first of a list; None if there is none."""
    found = first_object(value)
    return found if reports_error(found) or _is_flat_error(found) else None


def first_object(value: object) -> dict[str, object]:
    """Return a JSON object, or the first of a list; an empty one for any other value."""
    return as_object(value[0] if isinstance(value, list) and value else value)


def reports_error(value: Mapping[str, object]) -> bool:
    """Return whether a JSON object holds an `error`, or a `base_resp` that reports a failure."""
    base_resp = value.get("base_resp")
    return has_error_object(value) or (
        isinstance(base_resp, dict) and _code_text(base_resp.get("status_code")) not in SUCCESS_CODES
    )


def has_error_object(value: Mapping[str, object]) -> bool:
    """Return whether a JSON object holds an `error` with content: some gateways send an empty one with every chunk."""
    error = value.get("error")
    return any(error.values()) if isinstance(error, dict) else bool(error)


def parse_error(error: object) -> ErrorBody:
    """Return the message and codes of an error of any shape: nested, flat, a list or a text."""
    outer = error[0] if isinstance(error, list) and error else error
    if not isinstance(outer, dict):
        return ErrorBody(one_line(outer if isinstance(outer, str) else write_json(outer)) if outer else None)
    inner = outer.get("error") or outer.get("base_resp") or {}
    inner = inner[0] if isinstance(inner, list) else inner
    layers = [layer for layer in (inner, outer) if isinstance(layer, dict)]
    message = inner if isinstance(inner, str) else next(filter(None, map(_message_of, layers)), None)
    return ErrorBody(
        message=one_line(message or write_json(outer)),
        codes=tuple(dict.fromkeys(code for layer in layers for code in _codes_of(layer))),
        retry_after_s=_longest_wait_s(layers, message),
        details=write_json(as_object(inner).get("details") or as_object(inner).get("metadata") or "")[:READ_LIMIT],
        is_base_resp=not outer.get("error") and "base_resp" in outer,
    )


def parse_error_body(body: bytes) -> ErrorBody:
    """Return the message and codes of an error's body, which may be JSON, events, a web page or plain text."""
    body = body.removeprefix(BYTE_ORDER_MARK)
    text = body[: READ_LIMIT * 4].decode(errors="replace")
    if is_markup(text):
        return ErrorBody(page_title(text), is_page=True)
    value = find_json(body)
    if value is None:
        return ErrorBody(one_line(text) or None, retry_after_s=retry_in_message_s(text[:READ_LIMIT]))
    return parse_error(value)


def find_json(body: bytes) -> object:
    """Return the JSON value of a body, or of the first event in it; None if there is none."""
    reader = FrameReader()
    frames = [*reader.feed(body, 0), *reader.close()]
    for data in (body, *(frame.data for frame in frames)):
        try:
            value, _ = read_json(data)
        except ValueError:
            continue
        return value
    return None


def is_markup(text: str) -> bool:
    """Return whether a text is a web page or XML."""
    return text.lstrip().startswith("<")


def page_title(page: str) -> str | None:
    """Return a web page's title, else its first heading, else None."""
    head = page[:READ_LIMIT]
    for tag in ("title", "h1", "message"):
        opening = re.search(rf"<{tag}\b[^<>]*>", head, re.IGNORECASE)
        if opening:
            title = one_line(unescape(head[opening.end() :].partition("<")[0]))
            if title:
                return title
    return None


def one_line(text: str) -> str:
    """Return a text on one line, cut to `LONGEST_MESSAGE` characters."""
    line = " ".join(text[:READ_LIMIT].split())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def as_status(code: str) -> int | None:
    """Return the HTTP status that a code repeats; None if the code is not a failure's status."""
    return int(code) if re.fullmatch(r"[45]\d\d", code, re.ASCII) else None


def has_message(value: Mapping[str, object]) -> bool:
    """Return whether an object has a message in one of the fields of error messages, and does not report success."""
    if value.get("success") is True or any(_is_success(value.get(name)) for name in ("code", "status", "status_code")):
        return False
    return any(isinstance(text := value.get(name), str) and text.strip() for name in MESSAGE_NAMES)


def _is_success(code: object) -> bool:
    return _code_text(code) != "" and _code_text(code).lower() in SUCCESS_CODES


def _is_flat_error(value: Mapping[str, object]) -> bool:
    """Return whether an object without choices is itself an error, by its type or by a code beside its message."""
    if value.get("object") == "error" or value.get("type") == "error":
        return True
    if _message_of(value) is None:
        return False
    if value.get("success") is False or value.get("status") in FAILED:
        return True
    return any(_code_text(value.get(name)).lower() not in SUCCESS_CODES for name in ("code", "error_code", "errorCode"))


def _message_of(layer: Mapping[str, object]) -> str | None:
    values = (layer.get(name) for name in MESSAGE_NAMES)
    message = next((rendered for value in values if (rendered := _render(value))), None)
    upstream = as_object(layer.get("metadata")).get("raw")  # the message of the vendor behind OpenRouter
    return f"{message}: {upstream}" if message and isinstance(upstream, str) and upstream else message


def _render(message: object) -> str | None:
    """Return a message as text; validation errors are lists of locations and messages."""
    if isinstance(message, dict):
        return _render(message["detail"]) if isinstance(message.get("detail"), list | str) else write_json(message)
    if isinstance(message, list):
        return "; ".join(_render_detail(detail) for detail in message)
    return message if isinstance(message, str) and message.strip() else None


def _render_detail(detail: object) -> str:
    place, message = as_object(detail).get("loc"), as_object(detail).get("msg")
    if not isinstance(place, list) or not isinstance(message, str):
        return detail if isinstance(detail, str) else write_json(detail)
    return f"{'.'.join(str(step) for step in place)}: {message}"


def _codes_of(layer: Mapping[str, object]) -> Iterable[str]:
    named = [_code_text(layer.get(name)) for name in CODE_NAMES]
    named.append(_code_text(as_object(layer.get("innererror")).get("code")))
    named.append(_code_text(as_object(layer.get("details")).get("error_code")))
    return [code for code in named if code.lower() not in NO_CODES]


def _code_text(value: object) -> str:
    """Return a code as text; empty for a value that is not a code."""
    is_code = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value)[:100].strip() if is_code else ""


def _longest_wait_s(layers: list[dict[str, object]], message: str | None) -> float | None:
    """Return the longest wait, in seconds, in an error's fields, Google's RetryInfo or the message; None if none."""
    waits = [retry_in_message_s((message or "")[:READ_LIMIT])]
    for layer in layers:
        waits.append(_retry_delay_s(layer.get("details")))
        for place in (layer, as_object(layer.get("metadata"))):
            waits += [_wait_of(place.get(name), unit_s) for name, unit_s in WAIT_NAMES.items()]
    return max((wait for wait in waits if wait is not None), default=None)


def _wait_of(value: object, unit_s: float) -> float | None:
    if isinstance(value, str):
        return parse_duration_s(value)
    sensible = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < EPOCH_S
    return value * unit_s if sensible else None  # type: ignore[operator]


def _retry_delay_s(details: object) -> float | None:
    """Return the delay in seconds that Google's RetryInfo asks for; None if there is none."""
    listed = details if isinstance(details, list) else []
    delays = (as_object(detail).get("retryDelay") for detail in listed)
    return next((parse_duration_s(delay) for delay in delays if isinstance(delay, str)), None)
