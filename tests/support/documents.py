"""The documents of the checkout, and their parts: fenced blocks, links, headings."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
TWINS = {
    CHECKOUT / "README.zh-CN.md": CHECKOUT / "README.md",
    **{page: DOCS / page.name for page in sorted((DOCS / "zh").glob("*.md"))},
}
"""Chinese document -> the English one that it translates."""

DOCUMENTS = (*sorted(CHECKOUT.glob("*.md")), *sorted(DOCS.rglob("*.md")))

FENCE = re.compile(
    r'^(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w*)(?: title="(?P<title>[^"\n]+)")?[^\n`]*\n(?P<body>.*?)^```',
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"`(compare(?: [^`\n]+)?)`")
LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ +(?P<title>.*)$", re.MULTILINE)


def name_of(document: Path) -> str:
    """Return a document's path in the checkout, which distinguishes a page from its translation."""
    return document.relative_to(CHECKOUT).as_posix()


def prose_of(document: Path) -> str:
    """Return a document's text without its fenced blocks."""
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors_of(document: Path) -> set[str]:
    """Return the anchors of a document's headings on GitHub and the site."""
    titles = [found["title"].replace("`", "") for found in HEADING.finditer(prose_of(document))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
