"""Words in a picture: how wide they are at most, and how a name that is too long is cut.

There is no font to ask: widths are those of the widest common fonts, so that what fits here fits everywhere.
"""

from collections.abc import Iterable

from wcwidth import wcwidth

from runner.outputs.charts.svg import SOFT, element, escaped
from runner.outputs.text.printable import one_line

SIZE, SMALL = 12.0, 11.0
"""Of names and figures, and of what stands beside an axis, in units of the viewBox."""

_WIDTHS_EM = {
    **dict.fromkeys("fijlrt I|'!.,:;/\\-()[]·", 0.42),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ+=~<>#&^×≥", 0.85),
    **dict.fromkeys("mwMW@%…", 1.0),
}
_ASCII_EM, _WIDE_EM = 0.66, 1.0


def width(text: str, size: float = SIZE) -> float:
    """Return how wide a line of text is at most, in the unit of `size`."""
    return size * sum(map(_em, text))


def _em(character: str) -> float:
    if character.isascii() or character in _WIDTHS_EM:
        return _WIDTHS_EM.get(character, _ASCII_EM)
    return _WIDE_EM if wcwidth(character) else 0.0


def widest(texts: Iterable[str], size: float = SIZE) -> float:
    """Return the width of the widest text; 0 of none."""
    return max((width(text, size) for text in texts), default=0.0)


def elide(text: str, room: float, size: float = SIZE) -> str:
    """Cut the middle out of a line that needs more room; a name's end tells more than its middle."""
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


def write(
    x: float,
    y: float,
    text: str,
    *,
    size: float = SIZE,
    anchor: str = "start",
    soft: bool = False,
    title: str | None = None,
) -> str:
    """Write a line whose baseline is at `y`; `title` is what it says in full."""
    full = element("title", escaped(title)) if title is not None and title != text else ""
    return element(
        "text",
        full,
        escaped(text),
        x=x,
        y=y,
        font_size=size,
        text_anchor=None if anchor == "start" else anchor,
        fill_opacity=SOFT if soft else None,
    )


def write_name(x: float, y: float, name: str, room: float, *, anchor: str = "start") -> str:
    """Write a target's name in the room there is; where it had to be cut, in full in its title."""
    return write(x, y, elide(name, room), anchor=anchor, title=one_line(name))
