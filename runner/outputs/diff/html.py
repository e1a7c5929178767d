"""HTML of a comparison for a cell of a notebook, rendered from its Markdown."""

from functools import cache

import nh3
from markdown_it import MarkdownIt

from runner.analysis.diff import Difference
from runner.outputs.diff import markdown

_TAGS = frozenset(
    "blockquote br code del details em h2 h3 hr ins li ol p s strong summary table tbody td th thead tr ul".split()  # noqa: SIM905
)
_ATTRIBUTES = {"td": {"align"}, "th": {"align"}}


def write(difference: Difference) -> str:
    """Return the rendered Markdown. All text from outside is escaped, and nh3 removes tags that are not listed here."""
    return nh3.clean(_markdown_parser().render(markdown.write(difference)), tags=set(_TAGS), attributes=_ATTRIBUTES)


@cache
def _markdown_parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable("table")
