"""SVG as text: elements, path data, colours, labels cut to fit, and the `<svg>` element around every chart.

A chart needs no script, no style attribute and nothing from outside, so a strict Content-Security-Policy allows it. No
font can be measured here: widths are those of the widest common fonts, so that a label that fits, fits everywhere.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import TypeAlias

from wcwidth import wcwidth

from runner.outputs.text.escape import one_line, xml_text
from runner.outputs.text.translation import BilingualText, _, other_of, translate

WIDE = 600
"""The width of a chart, in units of its viewBox, where there is room; a page may draw it larger."""

FONT = "system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

DOT = 4.6
"""Diameter of a dot that stands for one value."""

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


def draw_dots(points: Iterable[Point], diameter: float, *, stroke: str | None = None, series: str | None = None) -> str:
    """Draw dots; those of a series of marks have readings in this order."""
    data, width = dots(points), number(diameter)
    return element("path", d=data, stroke=stroke, stroke_width=width, stroke_linecap="round", data_series=series)


def figure(prefix: str, title: str, description: str, *content: str, width: float, height: float) -> str:
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


SIZE, SMALL = 12.0, 11.0
"""Font sizes of names and figures, and of text beside an axis, in units of the viewBox."""

KEY_SAMPLE = 22.0
"""The length of a line in the key."""

LineStyle: TypeAlias = Mapping[str, str]
"""The attributes of a path that distinguish it: width, dashes, opacity, caps."""

_WIDTHS_EM = {
    **dict.fromkeys("fijlrt I|'!.,:;/\\-()[]·", 0.42),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ+=~<>#&^×≥", 0.85),
    **dict.fromkeys("mwMW@%…", 1.0),
}
_ASCII_EM, _WIDE_EM = 0.66, 1.0


def text_width(text: str, size: float = SIZE) -> float:
    """Return the largest width that a line of text can have in either language, in the unit of `size`."""
    return size * max(_text_em(str(text)), _text_em(str(other_of(text))))


@lru_cache(maxsize=4096)  # the texts of a chart are measured again for each width and scale
def _text_em(text: str) -> float:
    return sum(map(_width_em, text))


def _width_em(character: str) -> float:
    if character.isascii() or character in _WIDTHS_EM:
        return _WIDTHS_EM.get(character, _ASCII_EM)
    return _WIDE_EM if wcwidth(character) else 0.0


def widest(texts: Iterable[str], size: float = SIZE) -> float:
    """Return the width of the widest text; 0 if there is none."""
    return max((text_width(text, size) for text in texts), default=0.0)


def elide(text: str, room: float, size: float = SIZE) -> str:
    """Cut the middle out of a line that is too long; the end of a name tells more than its middle."""
    if isinstance(text, BilingualText):
        return BilingualText(elide(str(text), room, size), elide(text.other, room, size))
    shown = one_line(text)
    if text_width(shown, size) <= room:
        return shown
    head, tail = "", ""
    rest = room - text_width("…", size)
    for at in range(len(shown)):
        character = shown[at // 2] if at % 2 else shown[-1 - at // 2]
        rest -= text_width(character, size)
        if rest < 0:
            break
        head, tail = (head + character, tail) if at % 2 else (head, character + tail)
    return f"{head}…{tail}"


def draw_label(
    x: float,
    y: float,
    text: str,
    *,
    size: float = SIZE,
    anchor: str = "start",
    soft: bool = False,
    title: str | None = None,
) -> str:
    """Draw a line of text whose baseline is at `y`; `title` is the text in full, shown as a tooltip."""
    full = element("title", escaped(title), data_other=translated(title)) if title is not None and title != text else ""
    return element(
        "text",
        full,
        escaped(text),
        x=x,
        y=y,
        font_size=size,
        text_anchor=None if anchor == "start" else anchor,
        fill_opacity=SOFT if soft else None,
        data_other=translated(text),
    )


def draw_name(x: float, y: float, name: str, room: float, *, anchor: str = "start") -> str:
    """Draw a target's name, cut to the room there is; a name that was cut is in full in its tooltip."""
    shown = translate(name)
    return draw_label(x, y, elide(shown, room), anchor=anchor, title=shown)


def draw_key(styles: Sequence[tuple[str, LineStyle]], right: float) -> str:
    """Draw a sample of each line style with its name, aligned to the right end of the first line of text."""
    drawn, x, y = [], right, SMALL
    for name, style in [(_(key), style) for key, style in reversed(styles)]:
        x -= text_width(name, SMALL)
        drawn.append(draw_label(x, y, name, size=SMALL, soft=True))
        x -= KEY_SAMPLE + 6
        data = f"M{number(x)} {number(y - 4)}h{number(KEY_SAMPLE)}"
        drawn.append(element("path", d=data, stroke="currentColor", **style))
        x -= 14
    return element("g", *drawn)
