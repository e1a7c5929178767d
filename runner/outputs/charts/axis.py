"""Axes: a quantity with its unit, few ticks on round numbers, and rules too faint to be taken for data."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from runner.outputs.charts.labels import SMALL, width, write
from runner.outputs.charts.scale import Scale
from runner.outputs.charts.svg import FAINT, element, number

TICK_GAP = 8.0
"""Least distance between the labels of two ticks."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What an axis shows: its name, the unit its ticks are written in, and how many of those one value is."""

    name: str
    unit: str = ""
    factor: float = 1.0

    def label(self, value: float) -> str:
        """Write the value of a tick without its unit."""
        return f"{value * self.factor:,.6f}".rstrip("0").rstrip(".")


def of_time(name: str, longest_s: float) -> Quantity:
    """Return a quantity of seconds, written in milliseconds where all are below one."""
    return Quantity(name, "ms", 1000.0) if longest_s < 1 else Quantity(name, "s")


class Axis(NamedTuple):
    """A quantity on its scale."""

    scale: Scale
    quantity: Quantity

    @property
    def title(self) -> str:
        """The quantity, its unit, and that the scale is logarithmic where it is."""
        name, unit = self.quantity.name, self.quantity.unit
        return f"{name}{', ' if unit else ''}{unit}{' (log scale)' if self.scale.logarithmic else ''}"

    def shifted(self, by: float) -> Self:
        """Return the same axis at another place."""
        scale = replace(self.scale, start=self.scale.start + by, end=self.scale.end + by)
        return self._replace(scale=scale)


def draw_rules_across(scale: Scale, top: float, bottom: float) -> str:
    """Draw a faint vertical rule at every tick of a horizontal axis."""
    return _draw_rules("".join(f"M{number(scale(tick))} {number(top)}V{number(bottom)}" for tick in scale.ticks))


def draw_rules_up(scale: Scale, left: float, right: float) -> str:
    """Draw a faint horizontal rule at every tick of a vertical axis."""
    return _draw_rules("".join(f"M{number(left)} {number(scale(tick))}H{number(right)}" for tick in scale.ticks))


def _draw_rules(data: str) -> str:
    return element("path", d=data, stroke="currentColor", stroke_opacity=FAINT) if data else ""


def label_across(axis: Axis, y: float, *, overhang: float) -> str:
    """Write the ticks' labels below a horizontal axis, those that have room beside the one before.

    They reach over its ends by `overhang` at most.
    """
    scale = axis.scale
    written, free_from = [], scale.start - overhang
    for tick in scale.ticks:
        text = axis.quantity.label(tick)
        half = width(text, SMALL) / 2
        x = min(max(scale(tick), scale.start - overhang + half), scale.end + overhang - half)
        if x - half >= free_from:
            written.append(write(x, y, text, size=SMALL, anchor="middle", soft=True))
            free_from = x + half + TICK_GAP
    return "".join(written)


def label_up(axis: Axis, x: float) -> str:
    """Write the ticks' labels beside a vertical axis, ending at `x`, those that have room above the one below."""
    written, free_from = [], float("inf")
    for tick in axis.scale.ticks:
        y = axis.scale(tick)
        if y + SMALL <= free_from:
            written.append(write(x, y + SMALL / 3, axis.quantity.label(tick), size=SMALL, anchor="end", soft=True))
            free_from = y
    return "".join(written)
