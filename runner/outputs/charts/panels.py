"""The layout of pictures with a small panel for each target, all on the same two scales, so that panels compare."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.outputs.charts.axis import Axis, draw_rules_up, label_across, label_up
from runner.outputs.charts.colours import series
from runner.outputs.charts.labels import SMALL, widest, write, write_name
from runner.outputs.charts.svg import FAINT, WIDTH, element

TALL = 132.0
"""The height of a panel's room for drawing."""

TOP, ABOVE, BELOW, BETWEEN = 18.0, 46.0, 40.0, 26.0
"""Over all panels: the vertical axis' title. Above each: its name. Below the last: ticks and the axis' title."""

OVERHANG = BETWEEN / 2 - 1
"""How far the ticks' labels may reach over the ends of a panel."""

BEHIND = "All targets are drawn faintly behind each."
"""Of a panel with context, for its caption."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One target's panel: its name, a note on the sample, and markup drawn from the panel's own corner."""

    name: str
    note: str
    place: int
    drawing: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the panels of a picture lie; `left` is the room that the vertical axis takes."""

    count: int
    left: float

    @property
    def columns(self) -> int:
        """How many panels stand side by side: few where there are few, so that they are wide."""
        return 2 if self.count in {1, 2, 4} else 3

    @property
    def wide(self) -> float:
        """The width of a panel's room for drawing."""
        return (WIDTH - OVERHANG - self.left - BETWEEN * (self.columns - 1)) / self.columns

    @property
    def height(self) -> float:
        """Of the picture as a whole."""
        return TOP + -(-self.count // self.columns) * (ABOVE + TALL) + BELOW

    def corner(self, at: int) -> tuple[float, float]:
        """Return the upper left corner of a panel's room for drawing."""
        row, column = divmod(at, self.columns)
        return self.left + column * (self.wide + BETWEEN), TOP + ABOVE + row * (ABOVE + TALL)

    def is_lowest(self, at: int) -> bool:
        """Whether no panel lies below."""
        return at + self.columns >= self.count


@dataclass(frozen=True, slots=True)
class Sheet:
    """What all panels of a picture have in common; with `context`, each shows all targets, the others faintly."""

    prefix: str
    grid: Grid
    across: Axis
    up: Axis
    context: bool = True


def lay_out(count: int, up: Axis) -> Grid:
    """Return the grid for so many panels, with room for the labels of their vertical axis."""
    return Grid(count, widest(map(up.quantity.label, up.scale.ticks), SMALL) + 8)


def draw_panels(sheet: Sheet, panels: Sequence[Panel], key: str = "") -> str:
    """Draw each target in its panel and colour, under the axes' titles and a key."""
    drawings = [element("g", panel.drawing, id=f"{sheet.prefix}-{at}") for at, panel in enumerate(panels)]
    return "".join(
        [
            element("defs", element("g", *drawings, id=f"{sheet.prefix}-all")),
            write(0, SMALL, sheet.up.title, size=SMALL, soft=True),
            key,
            *(_draw_panel(sheet, at, panel) for at, panel in enumerate(panels)),
            write(sheet.grid.left, sheet.grid.height - 6, sheet.across.title, size=SMALL, soft=True),
        ]
    )


def _draw_panel(sheet: Sheet, at: int, panel: Panel) -> str:
    grid = sheet.grid
    x, y = grid.corner(at)
    up, across = sheet.up.shifted(y), sheet.across.shifted(x)
    faint = {"stroke": "currentColor", "opacity": FAINT}
    parts = [
        write_name(x, y - 21, panel.name, grid.wide),
        write(x, y - 7, panel.note, size=SMALL, soft=True),
        draw_rules_up(up.scale, x, x + grid.wide),
        label_up(up, x - 6) if at % grid.columns == 0 else "",
        label_across(across, y + TALL + 14, overhang=OVERHANG) if grid.is_lowest(at) else "",
        element("use", href=f"#{sheet.prefix}-all", x=x, y=y, **faint) if sheet.context else "",
        element("use", href=f"#{sheet.prefix}-{at}", x=x, y=y, stroke=series(panel.place)),
    ]
    return "".join(parts)
