"""What a provider says went wrong, read out of any body: its words, its codes, how long to wait."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import unescape

from runner.wire.json_value import as_object, read_json, write_json
from runner.wire.retry_after import parse_duration_s
from runner.wire.sse import BYTE_ORDER_MARK, FrameReader

LONGEST_MESSAGE = 500
"""Characters of a provider's words that are kept."""

READ_LIMIT = 16 * 1024
"""Characters in which a page's title or an error's words are looked for."""

WORDS = ("message", "msg", "status_msg", "error_msg", "error_message", "errorMessage", "detail", "error_description")
CODES = ("code", "error_code", "errorCode", "status_code", "status", "type")
NO_CODES = frozenset({"", "error", "none", "null", "0"})
SUCCESS_CODES = frozenset({"", "0", "200", "ok", "success", "none"})


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's words, None if it had none, and every code it gave, innermost first."""

    words: str | None
    codes: tuple[str, ...] = ()
    retry_after_s: float | None = None
    is_base_resp: bool = False

    @property
    def code(self) -> str | None:
        """The code that tells most: one that does not just repeat an HTTP status."""
        telling = (code for code in self.codes if as_status(code) is None)
        return next(telling, self.codes[0] if self.codes else None)


def find_error(value: object) -> dict[str, object] | None:
    """Return the object within a JSON value that reports an error; None if none does."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if error and not _is_hollow(error):
        return value
    base_resp = value.get("base_resp")
    if isinstance(base_resp, dict) and _code_of(base_resp.get("status_code")) not in SUCCESS_CODES:
        return value
    if value.get("choices"):
        return _find_in_choice(value["choices"])
    return value if _is_flat_error(value) else None


def read_complaint(error: object) -> ErrorBody:
    """Return what an error says, whatever its shape: nested, flat, a list, a text."""
    outer = error[0] if isinstance(error, list) and error else error
    if not isinstance(outer, dict):
        return ErrorBody(shorten(outer if isinstance(outer, str) else write_json(outer)) if outer else None)
    inner = outer.get("error") or outer.get("base_resp") or {}
    inner = inner[0] if isinstance(inner, list) else inner
    layers = [layer for layer in (inner, outer) if isinstance(layer, dict)]
    words = inner if isinstance(inner, str) else next(filter(None, map(_words_of, layers)), None)
    return ErrorBody(
        words=shorten(words or write_json(outer)),
        codes=tuple(dict.fromkeys(code for layer in layers for code in _codes_of(layer))),
        retry_after_s=_retry_delay_s(as_object(inner).get("details")),
        is_base_resp=not outer.get("error") and "base_resp" in outer,
    )


def read_body(body: bytes) -> ErrorBody:
    """Return what an error's body says, be it JSON, events, a web page or plain text."""
    body = body.removeprefix(BYTE_ORDER_MARK)
    text = body[: READ_LIMIT * 4].decode(errors="replace")
    if is_markup(text):
        return ErrorBody(page_title(text))
    value = find_value(body)
    return ErrorBody(shorten(text) or None) if value is None else read_complaint(value)


def find_value(body: bytes) -> object:
    """Return the JSON value that a body is, or that the first event in it holds; None for neither."""
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
    """Whether a text is a web page or XML."""
    return text.lstrip().startswith("<")


def page_title(page: str) -> str | None:
    """Return a web page's title, else its first heading, else None."""
    head = page[:READ_LIMIT]
    for tag in ("title", "h1", "message"):
        opening = re.search(rf"<{tag}\b[^<>]*>", head, re.IGNORECASE)
        if opening:
            title = shorten(unescape(head[opening.end() :].partition("<")[0]))
            if title:
                return title
    return None


def shorten(text: str) -> str:
    """Return a text on one line and within bounds."""
    line = " ".join(text[:READ_LIMIT].split())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def as_status(code: str) -> int | None:
    """Return the HTTP status that a code repeats, if it is one of failure."""
    return int(code) if re.fullmatch(r"[45]\d\d", code, re.ASCII) else None


def _find_in_choice(choices: object) -> dict[str, object] | None:
    first = as_object(choices[0]) if isinstance(choices, list) else {}
    error = first.get("error")
    return first if error and not _is_hollow(error) else None


def _is_hollow(error: object) -> bool:
    """Whether an error object says nothing: some gateways send one with every chunk."""
    return isinstance(error, dict) and not any(error.values())


def _is_flat_error(value: Mapping[str, object]) -> bool:
    """Whether an object without choices is an error itself, by its kind or by a code beside its words."""
    if value.get("object") == "error" or value.get("type") == "error":
        return True
    if _words_of(value) is None:
        return False
    return value.get("success") is False or any(
        _code_of(value.get(name)).lower() not in SUCCESS_CODES for name in ("code", "error_code", "errorCode")
    )


def _words_of(layer: Mapping[str, object]) -> str | None:
    values = (layer.get(name) for name in WORDS)
    words = next((rendered for value in values if (rendered := _render(value))), None)
    upstream = as_object(layer.get("metadata")).get("raw")  # what the vendor behind OpenRouter said
    return f"{words}: {upstream}" if words and isinstance(upstream, str) and upstream else words


def _render(words: object) -> str | None:
    """Return words as text; validation errors come as a list of places and messages."""
    if isinstance(words, dict):
        return _render(words["detail"]) if isinstance(words.get("detail"), list | str) else write_json(words)
    if isinstance(words, list):
        return "; ".join(_render_detail(detail) for detail in words)
    return words if isinstance(words, str) and words.strip() else None


def _render_detail(detail: object) -> str:
    place, message = as_object(detail).get("loc"), as_object(detail).get("msg")
    if not isinstance(place, list) or not isinstance(message, str):
        return detail if isinstance(detail, str) else write_json(detail)
    return f"{'.'.join(str(step) for step in place)}: {message}"


def _codes_of(layer: Mapping[str, object]) -> Iterable[str]:
    named = [_code_of(layer.get(name)) for name in CODES]
    named.append(_code_of(as_object(layer.get("innererror")).get("code")))
    return [code for code in named if code.lower() not in NO_CODES]


def _code_of(value: object) -> str:
    """Return a code as text, empty for anything that is none."""
    is_code = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value)[:100].strip() if is_code else ""


def _retry_delay_s(details: object) -> float | None:
    """Return the delay that Google's RetryInfo asks for."""
    listed = details if isinstance(details, list) else []
    delays = (as_object(detail).get("retryDelay") for detail in listed)
    return next((parse_duration_s(delay) for delay in delays if isinstance(delay, str)), None)
