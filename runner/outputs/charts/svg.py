"""SVG as text: elements, path data, colours, and the `<svg>` element around every chart.

A chart needs no script, no style attribute and nothing from outside, so a strict Content-Security-Policy allows it.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape

from runner.outputs.text.escape import one_line, xml_text
from runner.outputs.text.language import other_of

WIDE = 600
"""The width of a chart, in units of its viewBox, where there is room; a page may draw it larger."""

FONT = "system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

FAINT, SOFT = "0.14", "0.7"
"""Opacities of the ink: of rules and the background, and of text that is not data."""

_FALLBACK_COLOURS = ("#0072b2", "#c8590a", "#00875f", "#b5568c", "#a87400", "#3187c4", "#8662c7", "#7a7a7a")
"""Hues that colour-blind people can tell apart, after Okabe and Ito, adjusted until each has a contrast of at least 3
to white and to a dark page."""

Point = tuple[float, float]


def series_colour(place: int) -> str:
    """Return the colour of the target at a place, from 0, in the suite's order.

    It is the page's own, or a fallback that stands out on white and on black. Colours repeat after eight: no chart
    tells targets apart by colour alone.
    """
    at = place % len(_FALLBACK_COLOURS)
    return f"var(--series-{at + 1}, {_FALLBACK_COLOURS[at]})"


def element(name: str, *content: str, **attributes: str | float | None) -> str:
    """Return an element around markup; attributes that are None are left out, `stroke_width` becomes `stroke-width`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(content)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def _attribute(value: str | float) -> str:
    return escaped(value) if isinstance(value, str) else number(value)


def escaped(text: str) -> str:
    """Escape text from outside for content and attributes."""
    return escape(xml_text(one_line(text)))


def translated(text: str) -> str | None:
    """Return a text in the page's other language; None if it is the same."""
    other = other_of(text)
    return None if other == text else other


def number(value: float) -> str:
    """Format a coordinate, rounded to a tenth.

    Raises:
        ValueError: it is infinite or not a number.

    """
    if not math.isfinite(value):
        raise ValueError(f"no coordinate: {value}")
    return f"{round(value, 1) + 0:.1f}".removesuffix(".0")  # plus zero makes -0.0 positive


def line(points: Sequence[Point]) -> str:
    """Return the path data of straight lines through points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def steps(points: Sequence[Point]) -> str:
    """Return the path data of a staircase: across to each point's x, then up or down to its y."""
    (x, y), *others = points
    return f"M{number(x)} {number(y)}" + "".join(f"H{number(x)}V{number(y)}" for x, y in others)


def dots(points: Iterable[Point]) -> str:
    """Return the path data of dots, to be stroked with round caps as wide as a dot."""
    return "".join(f"M{number(x)} {number(y)}h0" for x, y in points)


def figure(prefix: str, title: str, description: str, height: float, *content: str, width: float = WIDE) -> str:
    """Return an `<svg>` element that scales, takes its ink from the page, and describes itself in words.

    `prefix` begins every id, so that several charts can stand in one page.
    """
    return element(
        "svg",
        element("title", escaped(title), id=f"{prefix}-title", data_other=translated(title)),
        element("desc", escaped(description), id=f"{prefix}-desc", data_other=translated(description)),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        role="img",
        aria_labelledby=f"{prefix}-title {prefix}-desc",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        fill="currentColor",
        font_family=FONT,
    )
