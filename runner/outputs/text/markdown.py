"""Markdown for text from outside: escaped inline text, fenced blocks and tables.

Written for CommonMark with GitHub's extensions. No text that goes through here can become a link, an image, HTML, a
second cell or the end of its fence.
"""

import re
from collections.abc import Collection, Sequence

from tabulate import tabulate

from runner.outputs.text.escape import one_line, printable
from runner.outputs.text.table import TextTable

# A pipe becomes an entity because parsers disagree on a backslash in front of `\|` in a table. The zero-width
# space after @ keeps a reply from notifying a stranger where the file is pasted into an issue.
_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "\\`*[]~$#"}
    | {"|": "&#124;", "<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@\u200b"}
)
_AUTOLINK = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore at the edge of a word; those of `rate_limited` are not escaped."""

_BACKTICKS = re.compile("`+")


def inline(text: str, columns: int | None = None) -> str:
    """Escape text for one line; `columns` cuts it to a width in terminal columns before it is escaped."""
    escaped = one_line(text, columns).translate(_ESCAPES)
    return _EMPHASIS.sub(r"\\_", _AUTOLINK.sub(_as_entity, escaped))


def _as_entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def fence(text: str) -> str:
    """Write text as a code block whose fence is longer than any run of backticks inside."""
    shown = printable(text)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{shown}\n{ticks}"


def write_table(content: TextTable) -> str:
    """Write a table of text from outside."""
    rows = [[inline(cell) for cell in row] for row in content.rows]
    return table([inline(heading) for heading in content.headings], rows, content.wordy)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], wordy: Collection[int]) -> str:
    """Write a table of cells that are already escaped; columns not in `wordy` are aligned to the right."""
    alignment = ["left" if at in wordy else "right" for at in range(len(headings))]
    return tabulate(rows, headers=headings, tablefmt="pipe", colalign=alignment, disable_numparse=True)
