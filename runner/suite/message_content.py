"""The contents of messages: a text, or a list of texts and attachments, with the templates of both filled."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from runner.core.attachment_parts import Kind, Part, Parts, shown_text
from runner.document import Document, Route
from runner.errors import Problem
from runner.suite.attachments import MOST_BYTES_SENT, AttachmentReader, describe_too_large
from runner.suite.fill_templates import Texts
from runner.suite.prompt_and_row_files import UnusableFile
from runner.suite.prompt_schema import PartSchema, Prompt

Content = tuple[str, Parts]
"""What people read of a message, and its parts; no parts for a text."""


def content_texts(route: Route, content: Prompt) -> Iterator[tuple[Route, str]]:
    """Yield the texts of a content and the names of its attachments, each a template, with the route to it."""
    if isinstance(content, str):
        yield route, content
        return
    for index, part in enumerate(content):
        key, text = ("", part) if isinstance(part, str) else part.written
        yield (*route, index, *([key] if key else [])), text


def has_attachment(content: Prompt) -> bool:
    """Return whether a content has an image, a file or audio."""
    return not isinstance(content, str) and any(not isinstance(part, str) and part.text is None for part in content)


@dataclass(slots=True)
class ContentReader:
    """Reads contents whose texts are filled, and gathers the problems of all attachments."""

    document: Document
    attachments: AttachmentReader
    problems: list[Problem] = field(default_factory=list)

    def read(self, route: Route, content: Prompt, texts: Texts) -> Content:
        """Return a content, given the filled texts by their routes."""
        if isinstance(content, str):
            return texts[route], ()
        routes = [found for found, _ in content_texts(route, content)]
        pairs = zip(content, routes, strict=True)
        parts = tuple(part for written, at in pairs if (part := self._part(written, at, texts[at])) is not None)
        return shown_text(parts), parts

    def _part(self, written: str | PartSchema, route: Route, text: str) -> Part | None:
        if isinstance(written, str) or written.text is not None:
            return text
        try:
            return self.attachments.find(cast("Kind", written.written[0]), text, written.detail)
        except UnusableFile as error:
            self.problems.append(self.document.problem(route, error.what, error.hint))
            return None

    def check_size(self, route: Route, contents: Iterable[Content]) -> None:
        """Note a problem if the files of a conversation are too large together."""
        parts = (part for _, parts in contents for part in parts if not isinstance(part, str))
        size = sum(part.size or 0 for part in parts)
        if size > MOST_BYTES_SENT:
            what = describe_too_large("the files of this case", size)
            self.problems.append(self.document.problem(route, what, "Leave some out; they are sent in one request"))
