"""The layout of charts with a panel for each target, all on the same two scales, so that they can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.outputs.charts.axis import Axis, draw_horizontal_rules, draw_ticks_below, draw_ticks_beside
from runner.outputs.charts.chart import STACKED_BELOW
from runner.outputs.charts.labels import SMALL, draw_label, draw_name, widest
from runner.outputs.charts.svg import FAINT, WIDE, element, series_colour

PANEL_HEIGHT = 132.0
"""The height of a panel's drawing area."""

TOP, ABOVE, BELOW, BETWEEN = 18.0, 46.0, 40.0, 26.0
"""The room over all panels for the vertical axis' title; above each panel for its name; below the last for ticks and
the horizontal axis' title; and between two panels."""

OVERHANG = BETWEEN / 2 - 1
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
    width: float = WIDE

    @property
    def columns(self) -> int:
        """The number of panels side by side; two where there are few panels, so that they are wide."""
        if self.width < STACKED_BELOW:
            return 1 if self.count <= FEW_PANELS else 2
        return 2 if self.count in {1, 2, 4} else 3

    @property
    def panel_width(self) -> float:
        """The width of a panel's drawing area."""
        return (self.width - OVERHANG - self.left - BETWEEN * (self.columns - 1)) / self.columns

    @property
    def height(self) -> float:
        """The height of the whole chart."""
        return TOP + -(-self.count // self.columns) * (ABOVE + PANEL_HEIGHT) + BELOW

    def corner(self, at: int) -> tuple[float, float]:
        """Return the upper left corner of a panel's drawing area."""
        row, column = divmod(at, self.columns)
        return self.left + column * (self.panel_width + BETWEEN), TOP + ABOVE + row * (ABOVE + PANEL_HEIGHT)

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


def panel_grid(count: int, y_axis: Axis, width: float = WIDE) -> PanelGrid:
    """Return the grid of this many panels, with room for the labels of their vertical axis."""
    return PanelGrid(count, widest(map(y_axis.quantity.tick_label, y_axis.scale.ticks), SMALL) + 8, width)


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
        draw_ticks_below(x_axis, y + PANEL_HEIGHT + 14, overhang=OVERHANG) if grid.is_lowest(at) else "",
        element("use", href=f"#{layout.prefix}-all", x=x, y=y, **faint) if layout.context else "",
        element("use", href=f"#{layout.prefix}-{at}", x=x, y=y, **is_own),
    ]
    return "".join(parts)
