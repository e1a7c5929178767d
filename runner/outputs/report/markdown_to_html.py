"""A reply's Markdown as safe HTML: no script, style, image or request, and no heading in the page's outline.

It is made safe twice: the Markdown reader escapes HTML, then nh3 removes every tag and attribute not listed here.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape
from itertools import accumulate
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

MAX_CHARACTERS = 20_000
"""Longer texts are not rendered: reading Markdown can take time that grows with the square of the length."""

MAX_OPEN_BRACKETS = 200
"""Brackets that may be open at one place. For each, the reader looks for a link's end through all the others."""

_SCHEMES = frozenset({"http", "https", "mailto"})
_BRACKETS = re.compile(r"[\[\]]")
_TAGS = frozenset(
    "a blockquote br code del em hr li ol p pre s span strong table tbody td th thead tr ul".split()  # noqa: SIM905
)
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
# A code block scrolls sideways, and a keyboard must be able to reach it: see `tabindex` below.
_CLASSES = {"span": {"image"}, "p": {"heading"}}


@lru_cache(maxsize=500)
def safe_html(markdown: str) -> Markup:
    """Render printable text. Only http, https and mailto links are kept; images become their text and address.

    What would take long, or is nested so deeply that the reader would drop the innermost text, stays as written.
    """
    if len(markdown) > MAX_CHARACTERS or _has_many_open_brackets(markdown):
        return _as_written(markdown)
    reader = _reader()
    tokens = reader.parse(markdown)
    if max((token.level for token in tokens), default=0) >= reader.options.maxNesting - 1:
        return _as_written(markdown)
    cleaned = nh3.clean(
        reader.renderer.render(tokens, reader.options, {}),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}},
    )
    return Markup(cleaned)  # noqa: S704 -- the one place where a reply becomes HTML


def _as_written(text: str) -> Markup:
    return Markup('<div class="text">{}</div>').format(text)


def _has_many_open_brackets(markdown: str) -> bool:
    steps = (1 if bracket == "[" else -1 for bracket in _BRACKETS.findall(markdown))
    return max(accumulate(steps), default=0) > MAX_OPEN_BRACKETS


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("js-default", {"breaks": True})
    reader.validateLink = _is_allowed_link  # type: ignore[method-assign]
    reader.add_render_rule("image", _name_image)
    reader.add_render_rule("heading_open", _open_heading)
    reader.add_render_rule("heading_close", _close_heading)
    return reader


def _is_allowed_link(url: str) -> bool:
    """Return whether a link may be followed; a relative one would lead to the reader's own disk."""
    try:
        return urlsplit(url).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def _name_image(_renderer: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: EnvType) -> str:
    address = escape(str(tokens[at].attrs.get("src", "")))
    return f'<span class="image">image: {escape(tokens[at].content)} ({address})</span>'


def _open_heading(*_: object) -> str:
    """Return a paragraph in place of a reply's heading, which would stand in the page's outline."""
    return '<p class="heading">'


def _close_heading(*_: object) -> str:
    return "</p>\n"
