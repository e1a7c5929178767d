"""Text in a chart: how wide a label is at most, names cut to fit, and the key of line styles.

No font can be measured here: widths are those of the widest common fonts, so that a label that fits, fits everywhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from wcwidth import wcwidth

from runner.outputs.charts.svg import SOFT, WIDE, element, escaped, number, translated
from runner.outputs.text.escape import one_line
from runner.outputs.text.language import BilingualText, _, other_of, said

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


def width(text: str, size: float = SIZE) -> float:
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
    return max((width(text, size) for text in texts), default=0.0)


def elide(text: str, room: float, size: float = SIZE) -> str:
    """Cut the middle out of a line that is too long; the end of a name tells more than its middle."""
    if isinstance(text, BilingualText):
        return BilingualText(elide(str(text), room, size), elide(text.other, room, size))
    shown = one_line(text)
    if width(shown, size) <= room:
        return shown
    head, tail = "", ""
    rest = room - width("…", size)
    for at in range(len(shown)):
        character = shown[at // 2] if at % 2 else shown[-1 - at // 2]
        rest -= width(character, size)
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
    shown = said(name)
    return draw_label(x, y, elide(shown, room), anchor=anchor, title=shown)


def draw_key(styles: Sequence[tuple[str, LineStyle]], y: float = SMALL, right: float = WIDE) -> str:
    """Draw a sample of each line style with its name, aligned to the right end of a line of text."""
    drawn, x = [], right
    for name, style in [(_(key), style) for key, style in reversed(styles)]:
        x -= width(name, SMALL)
        drawn.append(draw_label(x, y, name, size=SMALL, soft=True))
        x -= KEY_SAMPLE + 6
        data = f"M{number(x)} {number(y - 4)}h{number(KEY_SAMPLE)}"
        drawn.append(element("path", d=data, stroke="currentColor", **style))
        x -= 14
    return element("g", *drawn)
