"""Retry-After and its relatives: how long a provider asks the client to wait, in every header that it may use."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DURATION_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
DURATION_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[dhms])")
LIMITS = ("requests", "tokens")


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds to wait that the headers ask for; None if they ask for none, or for a nonsensical number.

    A date is compared with the response's own `Date`, so that a wrong clock on this machine does no harm, else with
    `now`. The headers' names are in lower case.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _if_sensible(milliseconds / 1000)
    value = headers.get("retry-after")
    if value is None:
        return _until_reset_s(headers)
    seconds = _number(value)
    return _if_sensible(_until_s(value, headers.get("date"), now) if seconds is None else seconds)


def parse_duration_s(text: str) -> float | None:
    """Return the seconds of a duration such as `6m0s`, `7.66s` or `250ms`; None if the text is not one."""
    parts = DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * DURATION_UNITS_S[unit] for number, unit in parts)


def _until_s(date: str, server_date: str | None, now: datetime | None) -> float | None:
    then = _parse_date(date)
    start = _parse_date(server_date) or now
    return None if then is None or start is None else (then - start).total_seconds()


def _until_reset_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until all used-up limits are reset, by the headers of Groq and OpenAI."""
    spent = [limit for limit in LIMITS if headers.get(f"x-ratelimit-remaining-{limit}") == "0"]
    waits = [parse_duration_s(headers.get(f"x-ratelimit-reset-{limit}", "")) for limit in spent]
    return max((wait for wait in waits if wait is not None), default=None)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _parse_date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _if_sensible(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None
