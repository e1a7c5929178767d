"""A reply's Markdown as safe HTML: no script, style, image or request, and no heading in the page's outline.

It is made safe twice: the Markdown reader escapes HTML, then nh3 removes every tag and attribute not listed here.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

MAX_CHARACTERS = 20_000
"""Longer texts are not rendered: reading Markdown can take time that grows with the square of the length."""

_SCHEMES = frozenset({"http", "https", "mailto"})
_TAGS = frozenset(
    "a blockquote br code del em hr li ol p pre s span strong table tbody td th thead tr ul".split()  # noqa: SIM905
)
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
# A code block scrolls sideways, and a keyboard must be able to reach it: see `tabindex` below.
_CLASSES = {"span": {"image"}, "p": {"heading"}}


@lru_cache(maxsize=500)
def safe_html(markdown: str) -> Markup:
    """Render printable text. Only http, https and mailto links are kept; images become their text and address."""
    if len(markdown) > MAX_CHARACTERS:
        return Markup('<div class="text">{}</div>').format(markdown)
    cleaned = nh3.clean(
        _reader().render(markdown),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}},
    )
    return Markup(cleaned)  # noqa: S704 -- the one place where a reply becomes HTML


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
