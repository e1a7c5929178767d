"""A page of HTML, parsed."""

import json
from html.parser import HTMLParser


class ParsedPage(HTMLParser):
    """A parsed page: its elements with their attributes, its text, its scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sources: dict[str, list[str]] = {"script": [], "style": [], "json": [], "texts": []}
        self.text = ""
        self._kind: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._kind = "json" if attributes.get("type") == "application/json" else tag if tag in self.sources else None
        self._kind = "texts" if attributes.get("id") == "texts" else self._kind
        if self._kind:
            self.sources[self._kind].append("")

    def handle_data(self, data: str) -> None:
        """Record text."""
        if self._kind:
            self.sources[self._kind][-1] += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 -- as HTMLParser calls it
        """Record that an element ended."""
        self._kind = None

    @property
    def tags(self) -> set[str]:
        """The names of all elements."""
        return {tag for tag, _ in self.elements}

    @property
    def policy(self) -> str:
        """The Content-Security-Policy."""
        (policy,) = [found["content"] for _, found in self.elements if "http-equiv" in found]
        return policy or ""

    @property
    def texts(self) -> dict[str, object]:
        """The data of the scripts."""
        (block,) = self.sources["texts"]
        loaded: dict[str, object] = json.loads(block)
        return loaded


def squeezed(text: str) -> str:
    """Return text with each run of white space replaced by one space."""
    return " ".join(text.split())
