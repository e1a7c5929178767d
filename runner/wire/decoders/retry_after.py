"""Retry-After and similar headers: the time that a provider asks the client to wait."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DURATION_UNITS_S = {
    **dict.fromkeys(("d", "day", "days", "天"), 86400.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "小时"), 3600.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "分", "分钟"), 60.0),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒", "秒钟"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds", "毫秒"), 0.001),
}
UNIT = "|".join(sorted(DURATION_UNITS_S, key=len, reverse=True))
COMPACT_PART = re.compile(rf"(\d{{1,12}}(?:\.\d{{1,9}})?)[ \t]*({UNIT})", re.IGNORECASE)
BETWEEN = re.compile(r"[ \t]*(?:,|and)?[ \t]*", re.IGNORECASE)
ASKED = re.compile(
    r"(?:(?:try|retry|again|available|resets?|wait|back[ -]?off|reset)\b[^.\d]{0,40}?"
    r"(?:\bin\b|\bafter\b|\bfor\b|\bwait\b|:)?\s*(?:at least |about |approximately )?|请在?\s*|等待\s*)"
    r"(?=\d)",
    re.IGNORECASE,
)
"""Matches the words before the time to wait in an error's message: "try again in", "retry after", "wait for"."""

EPOCH_S = 1e9
"""Number of seconds from which a value counts as Unix time in place of a duration."""

LIMITS = ("requests", "tokens")

LIMIT_HEADER = re.compile(r"(?:.{0,40}-)?rate-?limit(?:-.{0,80})?")
MAX_LIMIT_HEADERS, LONGEST_LIMIT = 32, 200
"""Maximum number of a response's rate-limit headers that are kept, and of characters of each; no vendor sends more."""


def rate_limits(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Return the rate-limit headers as they were sent (limit, remaining, reset); None if there are none.

    The headers' names must be in lower case.
    """
    found = [name for name in headers if LIMIT_HEADER.fullmatch(name)][:MAX_LIMIT_HEADERS]
    return {name: headers[name][:LONGEST_LIMIT] for name in found} or None


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the wait that the headers ask for, in seconds; None if they ask for none, or for an invalid one.

    A date is compared with the response's own `Date`, so that a wrong clock on this machine does no harm; without one,
    with `now`. The headers' names must be in lower case.
    """
    in_ms = headers.get("retry-after-ms") or headers.get("x-ms-retry-after-ms")
    milliseconds = _largest(in_ms, headers, now, unit_s=0.001)
    if milliseconds is not None:
        return _if_sensible(milliseconds)
    value = headers.get("retry-after")
    if value is None:
        return _if_sensible(_until_reset_s(headers, now))
    seconds = _largest(value, headers, now)
    return _if_sensible(_until_s(value, headers.get("date"), now) if seconds is None else seconds)


def parse_duration_s(text: str) -> float | None:
    """Return the seconds of a duration such as `6m0s`, `250ms`, `2 seconds` or `PT5S`; None if the text is not one."""
    text = text.strip().removeprefix("PT")  # the prefix of durations in ISO 8601
    duration = _duration_at(text, 0)
    return duration[0] if duration is not None and duration[1] == len(text) else None


def retry_in_message_s(message: str) -> float | None:
    """Return the longest wait in seconds that an error's message asks for, as in "try again in 1m30s"; else None."""
    waits = []
    for asked in ASKED.finditer(message):
        duration = _duration_at(message, asked.end())
        if duration is not None:
            waits.append(duration[0])
    return max(waits, default=None)


def _duration_at(text: str, place: int) -> tuple[float, int] | None:
    """Return the duration in seconds at a position of a text, and its end; None if there is none."""
    total, end = 0.0, place
    while (part := COMPACT_PART.match(text, BETWEEN.match(text, end).end() if end > place else end)) is not None:  # type: ignore[union-attr]
        total += float(part[1]) * DURATION_UNITS_S[part[2].lower()]
        end = part.end()
    ends_in_word = end > place and end < len(text) and text[end].isascii() and text[end].isalpha()
    return None if end == place or ends_in_word else (round(total, 6), end)


def _largest(value: str | None, headers: Mapping[str, str], now: datetime | None, unit_s: float = 1.0) -> float | None:
    """Return the longest of the waits in a header, in seconds; several headers of one name are joined by commas."""
    waits = []
    for item in (value or "").split(","):
        bare = item.strip().strip("\"'").partition(";")[0].strip()
        number = _number(bare)
        seconds = parse_duration_s(bare) if number is None else number * unit_s
        if seconds is not None and math.isfinite(seconds):
            waits.append(_since(seconds, headers, now) if seconds >= EPOCH_S else seconds)
    return max((wait for wait in waits if wait is not None), default=None)


def _since(epoch_s: float, headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Return the seconds until a Unix time (in seconds or milliseconds); None if the current time is unknown."""
    start = _parse_date(headers.get("date")) or now
    if start is None:
        return None
    then_s = epoch_s / 1000 if epoch_s >= EPOCH_S * 100 else epoch_s
    return max(0.0, then_s - start.timestamp())


def _until_s(date: str, server_date: str | None, now: datetime | None) -> float | None:
    then = _parse_date(date)
    start = _parse_date(server_date) or now
    return None if then is None or start is None else (then - start).total_seconds()


def _until_reset_s(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Return the seconds until all exhausted limits are reset; Groq and OpenAI report several, others one."""
    spent = [limit for limit in LIMITS if headers.get(f"x-ratelimit-remaining-{limit}") == "0"]
    waits = [parse_duration_s(headers.get(f"x-ratelimit-reset-{limit}", "")) for limit in spent]
    for family in ("x-ratelimit", "ratelimit"):
        if headers.get(f"{family}-remaining", "").strip() == "0":
            resets = (headers.get(f"{family}-{name}") for name in ("reset-after", "reset"))
            waits += [_largest(reset, headers, now) for reset in resets]
    return max((wait for wait in waits if wait is not None), default=None)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _parse_date(text: str | None) -> datetime | None:
    date = None
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError, IndexError, OverflowError, TypeError):
            date = date or parse(text or "")
    if date is None:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _if_sensible(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None
