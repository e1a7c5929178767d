"""The layout of charts with a row for each target: its name, the drawing of its data, its figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from runner.outputs.charts.axis import Axis, draw_ticks_below, draw_vertical_rules
from runner.outputs.charts.labels import SIZE, SMALL, draw_label, draw_name, widest, width
from runner.outputs.charts.svg import WIDTH

MAX_NAME_WIDTH = 210.0
GUTTER = 14.0
AXIS_HEIGHT = 36.0
"""The room below the rows for the ticks' labels and the axis' title."""


@dataclass(frozen=True, slots=True)
class FigureColumn:
    """A column of figures to the right of the rows, under a heading."""

    heading: str
    cells: tuple[str, ...]

    @property
    def width(self) -> float:
        """The width of the widest cell or the heading."""
        return max(widest(self.cells), width(self.heading, SMALL))


@dataclass(frozen=True)
class RowLayout:
    """The positions of a chart's rows, from `top` down."""

    names: Sequence[str]
    figures: Sequence[FigureColumn]
    heights: Sequence[float]
    top: float

    @property
    def left(self) -> float:
        """The left end of the drawing area."""
        return min(widest(self.names), MAX_NAME_WIDTH) + GUTTER

    @property
    def right(self) -> float:
        """The right end of the drawing area."""
        return WIDTH - sum(column.width + GUTTER for column in self.figures)

    @cached_property
    def middles(self) -> tuple[float, ...]:
        """The vertical middle of each row."""
        ends = accumulate(self.heights, initial=self.top)
        return tuple(start + height / 2 for start, height in zip(ends, self.heights, strict=False))

    @property
    def bottom(self) -> float:
        """The lower end of the last row."""
        return self.top + sum(self.heights)

    @property
    def height(self) -> float:
        """The height of the whole chart."""
        return self.bottom + AXIS_HEIGHT

    def draw(self, axis: Axis) -> str:
        """Draw everything but the data: rules, names, figures and the axis below."""
        return "".join(
            [
                draw_vertical_rules(axis.scale, self.top, self.bottom),
                *self._draw_names(),
                *self._draw_figures(),
                draw_ticks_below(axis, self.bottom + 14, overhang=GUTTER),
                draw_label(self.left, self.bottom + 30, axis.title, size=SMALL, soft=True),
            ]
        )

    def _draw_names(self) -> list[str]:
        room = self.left - GUTTER
        return [
            draw_name(room, middle + SIZE / 3, name, room, anchor="end")
            for name, middle in zip(self.names, self.middles, strict=True)
        ]

    def _draw_figures(self) -> list[str]:
        drawn, right = [], float(WIDTH)
        for column in reversed(self.figures):
            drawn.append(draw_label(right, self.top - 8, column.heading, size=SMALL, anchor="end", soft=True))
            drawn += [
                draw_label(right, middle + SIZE / 3, cell, anchor="end")
                for cell, middle in zip(column.cells, self.middles, strict=True)
            ]
            right -= column.width + GUTTER
        return drawn
