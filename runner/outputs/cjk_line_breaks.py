"""Text for a rich console that breaks lines by the rules of Chinese and Japanese: between characters.

Rich breaks lines only at spaces. It moves a sentence without spaces to the next line as a whole, which leaves a gap.
"""

import re
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.text import Text

_WIDE = (
    "\u2e80-\u2fff\u3021-\u3029\u3041-\u3096\u30a1-\u30fa\u3105-\u33ff"
    "\u3400-\u4dbf\u4e00-\ua4cf\uf900-\ufaff\U00020000-\U0003fffd"
)
"""Characters between which a line may end: those of Chinese and Japanese, without punctuation.

Unlike in `core.cjk_characters`, Hangul is not among them, since Korean breaks lines at spaces.
"""
_OPENING = "（「『【《〈〔［｛“"
"""Characters that must not end a line."""
_CLOSING = "、。，．：；！？）」』】》〉〕］｝…—～・ー々〻ゝゞヽヾ％℃”"
"""Characters that must not begin a line."""
_UNIT = re.compile(
    rf"[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+)?[{_CLOSING}’.,:;!?)\]}}»%]*\s*",
)
"""Unit that is not broken if it fits on a line: a character or word, its punctuation, and the spaces behind it."""


class WrappedText(Text):
    """A text whose lines are broken at the positions of `line_ends`.

    `Console.print` converts its direct arguments to a plain Text, so put this into a Group or a Panel.
    """

    def wrap(self, console: Console, width: int, **options: Any) -> Lines:
        """Return the lines of the text for a width in columns."""
        if options.get("no_wrap") or self.no_wrap:
            return super().wrap(console, width, **options)
        lines = Lines()
        for paragraph in self.split(allow_blank=True):
            paragraph.expand_tabs(options.get("tab_size", 8))
            for line in paragraph.divide(line_ends(paragraph.plain, width)):
                line.rstrip_end(width)
                lines.append(line)
        return lines


def line_ends(paragraph: str, columns: int) -> list[int]:
    """Return the indices of the characters at which a new line begins, except the first line."""
    if 2 * len(paragraph) <= columns:
        return []  # no character takes more than two columns
    ends: list[int] = []
    used = 0
    for start, unit in _units(paragraph):
        needed = cell_len(unit.rstrip())
        if used and used + needed > columns:
            ends.append(start)
            used = 0
        if needed > columns:
            cuts = list(_fold(start, unit.rstrip(), columns))
            ends += cuts
            used = cell_len(paragraph[cuts[-1] if cuts else start : start + len(unit)])
        else:
            used += cell_len(unit)
    return ends


def _units(paragraph: str) -> Iterator[tuple[int, str]]:
    indentation = len(paragraph) - len(paragraph.lstrip())
    if indentation:
        yield 0, paragraph[:indentation]
    yield from ((found.start(), found[0]) for found in _UNIT.finditer(paragraph, indentation) if found[0])


def _fold(start: int, unit: str, columns: int) -> Iterator[int]:
    """Yield the indices at which a unit that is longer than a line is cut."""
    used = 0
    for at, character in enumerate(unit):
        width = cell_len(character)
        if used and used + width > columns:
            yield start + at
            used = 0
        used += width
