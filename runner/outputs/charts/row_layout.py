"""The layout of charts with a row for each target: its name, the drawing of its data, its figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from runner.outputs.charts.axis import Axis, draw_ticks_below, draw_vertical_rules
from runner.outputs.charts.chart import STACKED_BELOW
from runner.outputs.charts.labels import SIZE, SMALL, draw_label, draw_name, widest, width
from runner.outputs.charts.svg import WIDE
from runner.outputs.text.language import _

MAX_NAME_WIDTH = 210.0
GUTTER = 14.0
NAME_HEIGHT = 20.0
"""The room above a row for its name, on a narrow canvas."""

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
        return max(widest(self.cells), width(_(self.heading), SMALL))


@dataclass(frozen=True)
class RowLayout:
    """The positions of a chart's rows, from `top` down."""

    names: Sequence[str]
    figures: Sequence[FigureColumn]
    heights: Sequence[float]
    top: float
    width: float = WIDE

    @property
    def stacked(self) -> bool:
        """Whether names and figures stand above their rows."""
        return self.width < STACKED_BELOW

    @property
    def left(self) -> float:
        """The left end of the drawing area."""
        if self.stacked:
            return GUTTER
        return min(widest(self.names), MAX_NAME_WIDTH) + GUTTER

    @property
    def right(self) -> float:
        """The right end of the drawing area."""
        return self.width - (GUTTER if self.stacked else self._figures_width)

    @property
    def _figures_width(self) -> float:
        return sum(column.width + GUTTER for column in self.figures)

    @property
    def _above(self) -> float:
        return NAME_HEIGHT if self.stacked else 0.0

    @cached_property
    def middles(self) -> tuple[float, ...]:
        """The vertical middle of each row."""
        ends = accumulate((height + self._above for height in self.heights), initial=self.top)
        return tuple(start + self._above + height / 2 for start, height in zip(ends, self.heights, strict=False))

    @property
    def _baselines(self) -> tuple[float, ...]:
        """The baseline of each row's name and figures."""
        if not self.stacked:
            return tuple(middle + SIZE / 3 for middle in self.middles)
        return tuple(middle - height / 2 - 6 for middle, height in zip(self.middles, self.heights, strict=True))

    @property
    def bottom(self) -> float:
        """The lower end of the last row."""
        return self.top + sum(self.heights) + self._above * len(self.heights)

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
        placed = zip(self.names, self._baselines, strict=True)
        if self.stacked:
            return [draw_name(0, y, name, self.width - self._figures_width) for name, y in placed]
        room = self.left - GUTTER
        return [draw_name(room, y, name, room, anchor="end") for name, y in placed]

    def _draw_figures(self) -> list[str]:
        drawn, right = [], self.width
        for column in reversed(self.figures):
            drawn.append(draw_label(right, self.top - 8, _(column.heading), size=SMALL, anchor="end", soft=True))
            drawn += [
                draw_label(right, y, cell, anchor="end") for cell, y in zip(column.cells, self._baselines, strict=True)
            ]
            right -= column.width + GUTTER
        return drawn
