"""Layouts of charts: a panel for each target, all on the same two scales, or a row for each: name, data and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from runner.outputs.charts.axis import (
    Axis,
    draw_horizontal_rules,
    draw_ticks_below,
    draw_ticks_beside,
    draw_vertical_rules,
)
from runner.outputs.charts.chart import STACKED_BELOW
from runner.outputs.charts.svg import (
    FAINT,
    SIZE,
    SMALL,
    draw_label,
    draw_name,
    element,
    series_colour,
    text_width,
    widest,
)
from runner.outputs.text.translation import _

PANEL_HEIGHT = 132.0
"""The height of a panel's drawing area."""

PANELS_TOP, PANEL_ABOVE, PANEL_BELOW, PANEL_BETWEEN = 18.0, 46.0, 40.0, 26.0
"""The room over all panels for the vertical axis' title; above each panel for its name; below the last for ticks and
the horizontal axis' title; and between two panels."""

PANEL_OVERHANG = PANEL_BETWEEN / 2 - 1
"""How far the ticks' labels may reach over the ends of a panel."""

FEW_PANELS = 3
"""So many panels are drawn below one another on a narrow canvas."""

CONTEXT_SENTENCE = "All targets are drawn faintly behind each."
"""For the caption of a chart whose panels have context."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One target's panel: its name, a note on the sample, and markup drawn from the panel's own corner."""

    name: str
    note: str
    place: int
    drawing: str


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """The positions of a chart's panels; `left` is the room that the vertical axis takes."""

    count: int
    left: float
    width: float

    @property
    def columns(self) -> int:
        """The number of panels side by side; two where there are few panels, so that they are wide."""
        if self.width < STACKED_BELOW:
            return 1 if self.count <= FEW_PANELS else 2
        return 2 if self.count in {1, 2, 4} else 3

    @property
    def panel_width(self) -> float:
        """The width of a panel's drawing area."""
        return (self.width - PANEL_OVERHANG - self.left - PANEL_BETWEEN * (self.columns - 1)) / self.columns

    @property
    def height(self) -> float:
        """The height of the whole chart."""
        return PANELS_TOP + -(-self.count // self.columns) * (PANEL_ABOVE + PANEL_HEIGHT) + PANEL_BELOW

    def corner(self, at: int) -> tuple[float, float]:
        """Return the upper left corner of a panel's drawing area."""
        row, column = divmod(at, self.columns)
        return self.left + column * (self.panel_width + PANEL_BETWEEN), PANELS_TOP + PANEL_ABOVE + row * (
            PANEL_ABOVE + PANEL_HEIGHT
        )

    def is_lowest(self, at: int) -> bool:
        """Return whether there is no panel below."""
        return at + self.columns >= self.count


@dataclass(frozen=True, slots=True)
class PanelLayout:
    """The parts that all panels of a chart share; with `context`, each panel shows all targets, the others faintly."""

    prefix: str
    grid: PanelGrid
    x_axis: Axis
    y_axis: Axis
    context: bool = True


def panel_grid(count: int, y_axis: Axis, width: float) -> PanelGrid:
    """Return the grid of this many panels, with room for the labels of their vertical axis."""
    return PanelGrid(count, y_axis.label_width + 8, width)


def draw_panels(layout: PanelLayout, panels: Sequence[Panel], key: str = "") -> str:
    """Draw each target in its panel and colour, under the axes' titles and a key."""
    drawings = [
        element("g", panel.drawing, id=f"{layout.prefix}-{at}", data_target=str(panel.place))
        for at, panel in enumerate(panels)
    ]
    grid = layout.grid
    return "".join(
        [
            element("defs", element("g", *drawings, id=f"{layout.prefix}-all")),
            draw_label(0, SMALL, layout.y_axis.title, size=SMALL, soft=True),
            key,
            *(_draw_panel(layout, at, panel) for at, panel in enumerate(panels)),
            draw_label(grid.left, grid.height - 6, layout.x_axis.title, size=SMALL, soft=True),
        ]
    )


def _draw_panel(layout: PanelLayout, at: int, panel: Panel) -> str:
    grid = layout.grid
    x, y = grid.corner(at)
    x_axis, y_axis = layout.x_axis.shifted(x), layout.y_axis.shifted(y)
    faint = {"stroke": "currentColor", "opacity": FAINT}
    is_own = {"data_target": str(panel.place), "data_panel": "", "stroke": series_colour(panel.place)}
    parts = [
        draw_name(x, y - 21, panel.name, grid.panel_width),
        draw_label(x, y - 7, panel.note, size=SMALL, soft=True),
        draw_horizontal_rules(y_axis.scale, x, x + grid.panel_width),
        draw_ticks_beside(y_axis, x - 6) if at % grid.columns == 0 else "",
        draw_ticks_below(x_axis, y + PANEL_HEIGHT + 14, overhang=PANEL_OVERHANG) if grid.is_lowest(at) else "",
        element("use", href=f"#{layout.prefix}-all", x=x, y=y, **faint) if layout.context else "",
        element("use", href=f"#{layout.prefix}-{at}", x=x, y=y, **is_own),
    ]
    return "".join(parts)


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
        return max(widest(self.cells), text_width(_(self.heading), SMALL))


@dataclass(frozen=True)
class RowLayout:
    """The positions of a chart's rows, from `top` down."""

    names: Sequence[str]
    figures: Sequence[FigureColumn]
    heights: Sequence[float]
    top: float
    width: float

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
