"""Axes and their scales: linear from zero, or logarithmic where values spread over more than a factor of 20.

Ticks are few and on round numbers, and their rules too faint to be taken for data.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from itertools import count
from typing import NamedTuple, Self

from runner.outputs.charts.svg import FAINT, SMALL, draw_label, element, number, text_width, widest
from runner.outputs.text.translation import _

LOGARITHMIC_FROM = 20
"""The ratio of the largest to the smallest value above which a linear scale would press small values together."""

SMALLEST = 1e-9
"""A nanosecond. No clock resolves less, so values below it count as it."""

TICK_GAP = 8.0
"""Least distance between the labels of two ticks."""

TOUCH = 1e-6
"""Labels that are nearer by no more than this, as rounding makes them, do not touch."""

MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0
TIME_STEPS_S = (
    *(MINUTE_S * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(HOUR_S * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY_S * days for days in (1, 2, 7, 14, 30, 60, 90, 180, 365, 1825)),
)
"""Distances between the ticks of an axis of dates or times of day."""


# Scales


@dataclass(frozen=True, slots=True)
class Scale:
    """A map of values low..high to positions start..end, with its ticks; values outside are clamped."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        clamped = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(clamped / self.low) / math.log(self.high / self.low)
        else:
            share = (clamped - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def fit_scale(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    ticks: int,
    linear: bool = False,
    logarithmic: bool | None = None,
) -> Scale:
    """Return a scale that holds all values, from one round number to another, with at most this many ticks.

    `linear` keeps it from becoming logarithmic, however far the values spread; `logarithmic` says which it is to be.
    """
    listed = list(values) or [1.0]
    low, high = max(min(listed), SMALLEST), max(*listed, SMALLEST)
    wanted = high / low > LOGARITHMIC_FROM if logarithmic is None else logarithmic
    if not linear and wanted and can_be_logarithmic(listed):
        places = _logarithmic_ticks(low, high)
        return Scale(places[0], places[-1], start, end, _thin_ticks(places, ticks), logarithmic=True)
    places = _linear_ticks(high, ticks)
    return Scale(0.0, places[-1], start, end, places)


def can_be_logarithmic(values: Sequence[float]) -> bool:
    """Return whether values can be told apart on a logarithmic scale."""
    return min(values) > SMALLEST and max(values) > min(values)


def _linear_ticks(high: float, most: int) -> tuple[float, ...]:
    step = next(step for step in _nice_numbers(high / most) if step * (most - 1) >= high * (1 - 1e-9))
    return tuple(step * at for at in range(math.ceil(high / step * (1 - 1e-9)) + 1))


def _logarithmic_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return 1, 2, 5, 10 ... from the last one not above `low` to the first one not below `high`, two at least."""
    places = _times_powers_of_ten((1, 2, 5), low / 10, high * 10)
    below = max(at for at, place in enumerate(places) if place <= low)
    above = min(at for at, place in enumerate(places) if place >= high)
    return places[below : max(above, below + 1) + 1]


def _thin_ticks(places: tuple[float, ...], most: int) -> tuple[float, ...]:
    """Return the ticks if they are few enough, else 1, 3, 10, 30 ..., else decades, else some of the decades."""
    decades = _times_powers_of_ten((1,), places[0], places[-1])
    stride = max(1, math.ceil(len(decades) / most))
    choices = (places, _times_powers_of_ten((1, 3), places[0], places[-1]))
    return next((choice for choice in choices if len(choice) <= most), decades[::stride])


def _times_powers_of_ten(digits: Sequence[int], low: float, high: float) -> tuple[float, ...]:
    """Return these digits times powers of ten, from `low` to `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return tuple(place for power in powers for digit in digits if low <= (place := digit * 10.0**power) <= high)


def _nice_numbers(least: float) -> Iterator[float]:
    """Yield 1, 2 and 5 times powers of ten, ascending, from about `least`."""
    for power in count(math.floor(math.log10(least))):
        yield from (digit * 10.0**power for digit in (1, 2, 5))


def fit_time_scale(times: Sequence[datetime], start: float, end: float, *, ticks: int) -> Scale:
    """Return a scale of seconds since 1970 from the first of these times to the last, a minute later at least.

    Ticks are counted from midnight of the first time's day in its zone; those a day or more apart are local midnights.
    """
    first, low = min(times), min(times).timestamp()
    high = max(max(times).timestamp(), low + MINUTE_S)
    step_s = next((each for each in TIME_STEPS_S if (high - low) / each <= ticks - 1), TIME_STEPS_S[-1])
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    from_step = int((low - midnight.timestamp()) / step_s)
    moments = []
    for at in range(from_step, from_step + int((high - low) / step_s) + 3):
        # Local days are not all of 24 hours.
        moment = (midnight.replace(tzinfo=None) + timedelta(seconds=at * step_s)).astimezone().timestamp()
        if low <= moment <= high:
            moments.append(moment)
    return Scale(low, high, start, end, tuple(moments or [low]))


# Axes


@dataclass(frozen=True, slots=True)
class Quantity:
    """The quantity of an axis: its name, the unit of its ticks, and the factor from a value to that unit."""

    name: str
    unit: str = ""
    factor: float = 1.0

    def tick_label(self, value: float) -> str:
        """Return the label of a tick, without its unit."""
        return f"{value * self.factor:,.6f}".rstrip("0").rstrip(".")


def time_quantity(name: str, longest_s: float) -> Quantity:
    """Return a quantity whose values are seconds; ticks are in milliseconds if all values are below a second."""
    return Quantity(name, "ms", 1000.0) if longest_s < 1 else Quantity(name, "s")


@dataclass(frozen=True, slots=True)
class Moment(Quantity):
    """A time in seconds since 1970, shown in a zone by a format of `strftime`."""

    zone: tzinfo | None = None
    pattern: str = "%H:%M"

    def tick_label(self, value: float) -> str:
        """Return the local time or date."""
        return f"{datetime.fromtimestamp(value, self.zone):{self.pattern}}"


def time_axis(name: str, times: Sequence[datetime], start: float, end: float, *, ticks: int) -> "Axis":
    """Return an axis of times of day, or of dates if these times are days apart."""
    scale = fit_time_scale(times, start, end, ticks=ticks)
    patterns = ((DAY_S, "%H:%M"), (2 * DAY_S, "%d %H:%M"), (300 * DAY_S, "%m-%d"))
    pattern = next((each for longest_s, each in patterns if scale.high - scale.low <= longest_s), "%Y-%m")
    return Axis(scale, Moment(name, zone=times[0].tzinfo, pattern=pattern))


class Axis(NamedTuple):
    """A quantity on its scale."""

    scale: Scale
    quantity: Quantity

    @property
    def title(self) -> str:
        """The quantity, its unit, and whether the scale is logarithmic."""
        name, unit = _(self.quantity.name), _(self.quantity.unit) if self.quantity.unit else ""
        title = _("{quantity}, {unit}", quantity=name, unit=unit) if unit else name
        return _("{quantity} (log scale)", quantity=title) if self.scale.logarithmic else title

    @property
    def label_width(self) -> float:
        """The width of the widest label of a tick."""
        return widest(map(self.quantity.tick_label, self.scale.ticks), SMALL)

    def shifted(self, by: float) -> Self:
        """Return the same axis at another position."""
        scale = replace(self.scale, start=self.scale.start + by, end=self.scale.end + by)
        return self._replace(scale=scale)


def draw_vertical_rules(scale: Scale, top: float, bottom: float) -> str:
    """Draw a faint vertical rule at every tick of a horizontal axis."""
    return _draw_rules("".join(f"M{number(scale(tick))} {number(top)}V{number(bottom)}" for tick in scale.ticks))


def draw_horizontal_rules(scale: Scale, left: float, right: float) -> str:
    """Draw a faint horizontal rule at every tick of a vertical axis."""
    return _draw_rules("".join(f"M{number(left)} {number(scale(tick))}H{number(right)}" for tick in scale.ticks))


def _draw_rules(data: str) -> str:
    return element("path", d=data, stroke="currentColor", stroke_opacity=FAINT) if data else ""


def draw_axes(x_axis: Axis, y_axis: Axis, *, overhang: float) -> str:
    """Draw the ticks and titles of both axes of a drawing area, and its horizontal rules."""
    x, y = x_axis.scale, y_axis.scale
    return "".join(
        [
            draw_label(0, SMALL, y_axis.title, size=SMALL, soft=True),
            draw_horizontal_rules(y, x.start, x.end),
            draw_ticks_beside(y_axis, x.start - 6),
            draw_ticks_below(x_axis, y.start + 16, overhang=overhang),
            draw_label(x.start, y.start + 33, x_axis.title, size=SMALL, soft=True),
        ]
    )


def draw_ticks_below(axis: Axis, y: float, *, overhang: float) -> str:
    """Draw the labels of a horizontal axis' ticks, leaving out those that would touch the one before.

    They reach over the ends of the axis by `overhang` at most.
    """
    scale = axis.scale
    drawn, free_from = [], scale.start - overhang
    for tick in scale.ticks:
        text = axis.quantity.tick_label(tick)
        half = text_width(text, SMALL) / 2
        x = min(max(scale(tick), scale.start - overhang + half), scale.end + overhang - half)
        if x - half >= free_from - TOUCH:
            drawn.append(draw_label(x, y, text, size=SMALL, anchor="middle", soft=True))
            free_from = x + half + TICK_GAP
    return "".join(drawn)


def draw_ticks_beside(axis: Axis, x: float) -> str:
    """Draw the labels of a vertical axis' ticks, which end at `x`, leaving out those that would touch the one below."""
    drawn, free_from = [], float("inf")
    for tick in axis.scale.ticks:
        y = axis.scale(tick)
        if y + SMALL <= free_from:
            text = axis.quantity.tick_label(tick)
            drawn.append(draw_label(x, y + SMALL / 3, text, size=SMALL, anchor="end", soft=True))
            free_from = y
    return "".join(drawn)
