"""Markdown for text from outside: escaped inline text, fenced blocks and tables.

The dialect is CommonMark with GitHub's extensions. Escaped text cannot become a link, an image, HTML, a second cell or
the end of its fence.
"""

import re
from collections.abc import Collection, Sequence

from tabulate import tabulate

from runner.outputs.text.escape import one_line, printable
from runner.outputs.text.table import TextTable

# A pipe becomes an entity because parsers disagree on a backslash in front of `\|` in a table. The zero-width space
# after @ prevents a reply from notifying a user when the file is pasted into an issue.
_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "\\`*[]~$#"}
    | {"|": "&#124;", "<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@\u200b"}
)
_AUTOLINK = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""Underscore at the edge of a word; one inside a word, as in `rate_limited`, is not escaped."""

_BACKTICKS = re.compile("`+")


def inline(text: str, columns: int | None = None) -> str:
    """Return text escaped for one line; it is first cut to `columns`, a width in terminal columns."""
    escaped = one_line(text, columns).translate(_ESCAPES)
    return _EMPHASIS.sub(r"\\_", _AUTOLINK.sub(_as_entity, escaped))


def _as_entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def fence(text: str) -> str:
    """Return text as a code block whose fence is longer than any run of backticks inside."""
    shown = printable(text)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{shown}\n{ticks}"


def fold(summary: str, content: str) -> str:
    """Return escaped content that is folded under a summary, also escaped."""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def write_table(content: TextTable) -> str:
    """Return a Markdown table of unescaped text."""
    rows = [[inline(cell) for cell in row] for row in content.rows]
    return table([inline(heading) for heading in content.headings], rows, content.wordy)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], wordy: Collection[int]) -> str:
    """Return a Markdown table of cells that are already escaped; columns not in `wordy` are right-aligned."""
    alignment = ["left" if at in wordy else "right" for at in range(len(headings))]
    return tabulate(rows, headers=headings, tablefmt="pipe", colalign=alignment, disable_numparse=True)
