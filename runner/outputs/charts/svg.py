"""SVG as text: elements, paths, and the frame that every picture stands in.

Nothing here needs a script, a style attribute or anything from outside, so that a strict policy lets it stand.
"""

import math
import re
from collections.abc import Iterable, Sequence
from html import escape

from runner.outputs.text.printable import one_line

WIDTH = 640
"""Of every picture, in units of its viewBox; a page may draw it smaller or larger."""

FONT = "system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

FAINT, SOFT = "0.14", "0.7"
"""Opacities of the ink: of rules and of what stands behind, and of words that are not the data."""

Point = tuple[float, float]

_NOT_XML = re.compile("[\ufffe\uffff]")


def element(name: str, *content: str, **attributes: str | float | None) -> str:
    """Write an element around markup; attributes that are None are left out, `stroke_width` becomes `stroke-width`."""
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
    """Make text from outside fit for content and attributes."""
    return escape(_NOT_XML.sub("\ufffd", one_line(text)))


def number(value: float) -> str:
    """Write a coordinate to a tenth, which no eye can tell from the truth."""
    if not math.isfinite(value):
        raise ValueError(f"no coordinate: {value}")
    return f"{round(value, 1) + 0:.1f}".removesuffix(".0")  # plus zero, because a negative one is written with its sign


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


def figure(prefix: str, title: str, description: str, height: float, *content: str) -> str:
    """Stand content in a picture that scales, inherits the page's ink, and says in words what it shows.

    `prefix` begins every id, so that several pictures can stand in one page.
    """
    return element(
        "svg",
        element("title", escaped(title), id=f"{prefix}-title"),
        element("desc", escaped(description), id=f"{prefix}-desc"),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_="picture",
        role="img",
        aria_labelledby=f"{prefix}-title {prefix}-desc",
        viewBox=f"0 0 {WIDTH} {number(height)}",
        width=WIDTH,
        height=height,
        fill="currentColor",
        font_family=FONT,
    )
