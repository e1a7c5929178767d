"""Durations and shares as people write them: `800ms`, `1.5h`; `10%`, `0.1`."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from runner.errors import CompareError

UNITS_S: Mapping[str, float] = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0})
"""Unit of a duration -> its length in seconds."""

NUMBER = r"[0-9]+(?:\.[0-9]+)?"
UNIT = "|".join(UNITS_S)

LONGEST_S = 36_525 * UNITS_S["d"]
"""Seconds of the longest duration, a century; calculations with clocks cannot overflow below it."""

_DURATION = re.compile(rf"({NUMBER}) ?({UNIT}|)")


def parse_duration(text: str, *, needs_unit: bool = False) -> float:
    """Parse a duration such as `30s` or `1.5h` to seconds; a number without a unit is one of seconds.

    Args:
        text: the duration.
        needs_unit: refuse a number without a unit, where it could mean minutes or days.

    Raises:
        CompareError: the text is not a duration, is longer than a century, or has no unit and needs one.

    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise CompareError(f"{text!r} is not a duration; write 30s, 5m, 1h or 7d")
    if needs_unit and not found[2]:
        raise CompareError(f"{text!r} has no unit; write {text}s, {text}m, {text}h or {text}d")
    duration_s = float(found[1]) * UNITS_S[found[2] or "s"]
    if duration_s > LONGEST_S:
        raise CompareError(f"{text[:20]} is longer than a century; write at most 36525d")
    return duration_s


def parse_share(text: str, most: float = 1.0) -> float:
    """Parse a share, written as a percentage or as a number: 0.1 for `10%` and for `0.1`.

    Raises:
        CompareError: the text is neither, it is not above 0 and up to `most`, or it is a number above 1 without a
            percent sign, which could mean either.

    """
    written = text.strip()
    try:
        share = float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= most:
        raise CompareError(f"{text!r} is not a share above 0 and up to {most:.0%}; write 5% or 0.05")
    if share > 1 and not written.endswith("%"):
        raise CompareError(f"{text!r} is above 1 and has no percent sign; write {share:g}% or {share / 100:g}")
    return share
