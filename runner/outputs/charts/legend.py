"""The key to what is told by the manner of a line."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from runner.outputs.charts.labels import SMALL, width, write
from runner.outputs.charts.svg import WIDTH, element, number

SAMPLE = 22.0

Mark: TypeAlias = Mapping[str, str]
"""The attributes of a path that set it apart: width, dashes, opacity, caps."""


def draw_key(marks: Sequence[tuple[str, Mark]], y: float = SMALL) -> str:
    """Draw a sample of each mark with its name, from the right end of a line of text."""
    drawn, x = [], float(WIDTH)
    for name, mark in reversed(marks):
        x -= width(name, SMALL)
        drawn.append(write(x, y, name, size=SMALL, soft=True))
        x -= SAMPLE + 6
        data = f"M{number(x)} {number(y - 4)}h{number(SAMPLE)}"
        drawn.append(element("path", d=data, stroke="currentColor", **mark))
        x -= 14
    return element("g", *drawn)
