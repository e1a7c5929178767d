"""Formatting of numbers for people: suitable units, few digits, and a dash for an absent value."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from runner.outputs.text.translation import BilingualText, _, other_of
from runner.pricing.money import format_amount

if TYPE_CHECKING:  # these import numpy and pandas; the progress display of a run uses this module without them
    from runner.analysis.intervals import Interval

MISSING = "–"

_UNIT = re.compile(r"\D*$")


def seconds(value: float | None) -> str:
    """Format a duration in seconds: `4.2 ms`, `812 ms`, `1.24 s`, `75.3 s`."""
    if value is None:
        return MISSING
    if value < 0.00995:
        return f"{value * 1000:.1f} ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"


def milliseconds(value: float | None) -> str:
    """Format a duration in seconds as milliseconds with two decimals: `0.04 ms`, `12.30 ms`.

    Clock errors have this format, so that they can be compared within a column.
    """
    return MISSING if value is None else f"{value * 1000:.2f} ms"


def exact_span(span_s: float) -> str:
    """Format a time span in seconds in the largest unit without a fraction: `24 h`, `90 min`, `45 s`."""
    unit, size = next((each for each in (("h", 3600), ("min", 60)) if span_s % each[1] == 0), ("s", 1))
    return f"{span_s / size:g} {unit}"


def rounded_span(span_s: float) -> str:
    """Format a time span in seconds in a suitable unit: `40 s`, `8 min`, `3.0 h`."""
    if span_s < 99.5:
        return _("{n} s", n=max(1, round(span_s)))
    return _("{n} min", n=round(span_s / 60)) if span_s < 5400 else _("{n} h", n=f"{span_s / 3600:.1f}")


def rate(value: float | None) -> str:
    """Format a rate per second: `8.3`, `142`."""
    if value is None:
        return MISSING
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def amount(value: float) -> str:
    """Format an amount of money like `format_amount`: `0.00123`, `1,234.50`."""
    return format_amount(Decimal(repr(value)))


def times(factor: float | None) -> str:
    """Format a ratio: `2.9x`, `1.24x`, `35x`."""
    if factor is None:
        return MISSING
    number = f"{factor:.2f}" if factor < 1.995 else f"{factor:.1f}" if factor < 9.95 else f"{factor:.0f}"
    return _("{n}x", n=number)


def percent(share: float | None) -> str:
    """Format a share: `4.0 %`."""
    return MISSING if share is None else _("{n} %", n=f"{100 * share:.1f}")


def whole_percent(share: float) -> str:
    """Format a share without decimals: `4%`."""
    return f"{share:.0%}"


def with_n(figure: str, n: int, expected: int | None = None) -> str:
    """Append the sample size to a figure unless it is the expected one: `350 ms (n 7)`."""
    return figure if n == expected else _("{figure} (n {n})", figure=figure, n=f"{n:,}")


def low_to_high(low: str, high: str) -> str:
    """Return the range of some figures, or the figure if they are the same: `12 ms to 20 ms`."""
    return low if low == high else _("{low} to {high}", low=low, high=high)


def with_interval(figure: str, interval: "Interval | None", write: Callable[[float], str]) -> str:
    """Append an interval to a figure: `350 ms [310, 402]`, or `1.00 s [984 ms, 1.02 s]` if the units differ."""
    ends = ends_below(figure, interval, write)
    return figure if ends is None else BilingualText(f"{figure} {ends}", f"{other_of(figure)} {other_of(ends)}")


def ends_below(figure: str, interval: "Interval | None", write: Callable[[float], str]) -> str | None:
    """Format an interval for the line below its figure: `[310, 402]`, or `[984 ms, 1.02 s]` if the units differ."""
    if interval is None:
        return None
    low, high = write(interval.low), write(interval.high)
    other = _in_brackets(other_of(low), other_of(high), _unit_of(other_of(figure)))
    return BilingualText(_in_brackets(low, high, _unit_of(figure)), other)


def interval_ends(interval: "Interval | None", write: Callable[[float], str]) -> str | None:
    """Format an interval without its figure: `[310, 402] ms`, or `[984 ms, 1.02 s]` if the units differ."""
    if interval is None:
        return None
    low, high = write(interval.low), write(interval.high)
    return BilingualText(_join_ends(low, high), _join_ends(other_of(low), other_of(high)))


def _join_ends(low: str, high: str) -> str:
    unit = _unit_of(high)
    is_shared = unit.startswith(" ") and _unit_of(low) == unit
    return _in_brackets(low, high, unit) + unit if is_shared else f"[{low}, {high}]"


def _in_brackets(low: str, high: str, unit: str) -> str:
    """Return the ends of an interval in brackets, without their units if both have this one."""
    if _unit_of(low) == _unit_of(high) == unit:
        low, high = low.removesuffix(unit), high.removesuffix(unit)
    return f"[{low}, {high}]"


def _unit_of(figure: str) -> str:
    """Return what follows a figure's digits: ` ms`, ` %`, `x`, or nothing."""
    unit: str = _UNIT.findall(figure)[0]
    return unit
