"""The layout of pictures with a row for each target: its name, what is drawn of it, its figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from runner.outputs.charts.axis import Axis, draw_rules_across, label_across
from runner.outputs.charts.labels import SIZE, SMALL, widest, width, write, write_name
from runner.outputs.charts.svg import WIDTH

MOST_OF_NAME = 210.0
GUTTER = 14.0
BELOW = 36.0
"""The ticks' labels and the axis' title."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A column of figures to the right of the rows, under a heading."""

    heading: str
    cells: tuple[str, ...]

    @property
    def width(self) -> float:
        """The room that the column takes."""
        return max(widest(self.cells), width(self.heading, SMALL))


@dataclass(frozen=True)
class Rows:
    """Where the rows of a picture lie, from `top` down."""

    names: Sequence[str]
    figures: Sequence[Figures]
    heights: Sequence[float]
    top: float

    @property
    def left(self) -> float:
        """Where the room for drawing begins."""
        return min(widest(self.names), MOST_OF_NAME) + GUTTER

    @property
    def right(self) -> float:
        """Where the room for drawing ends."""
        return WIDTH - sum(column.width + GUTTER for column in self.figures)

    @cached_property
    def middles(self) -> tuple[float, ...]:
        """The middle of each row."""
        ends = accumulate(self.heights, initial=self.top)
        return tuple(start + height / 2 for start, height in zip(ends, self.heights, strict=False))

    @property
    def bottom(self) -> float:
        """Where the last row ends."""
        return self.top + sum(self.heights)

    @property
    def height(self) -> float:
        """Of the picture as a whole."""
        return self.bottom + BELOW

    def draw(self, axis: Axis) -> str:
        """Draw everything but the data: rules, names, figures and the axis below."""
        return "".join(
            [
                draw_rules_across(axis.scale, self.top, self.bottom),
                *self._names(),
                *self._figures(),
                label_across(axis, self.bottom + 14, overhang=GUTTER),
                write(self.left, self.bottom + 30, axis.title, size=SMALL, soft=True),
            ]
        )

    def _names(self) -> list[str]:
        room = self.left - GUTTER
        return [
            write_name(room, middle + SIZE / 3, name, room, anchor="end")
            for name, middle in zip(self.names, self.middles, strict=True)
        ]

    def _figures(self) -> list[str]:
        written, right = [], float(WIDTH)
        for column in reversed(self.figures):
            written.append(write(right, self.top - 8, column.heading, size=SMALL, anchor="end", soft=True))
            written += [
                write(right, middle + SIZE / 3, cell, anchor="end")
                for cell, middle in zip(column.cells, self.middles, strict=True)
            ]
            right -= column.width + GUTTER
        return written
