"""The parts of a message with attachments: texts, and attached images, files and audio.

A part is a text or an `Attachment`. Such a message also has its `content`, which people read: its texts, and each
attachment as `[image chart.png, 1024x768, 123 kB]`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.core.media_types import Media

Kind = Literal["image", "file", "audio"]
Detail = Literal["low", "high", "auto"]

KB, MB = 1000, 1_000_000


@dataclass(frozen=True, slots=True)
class Attachment:
    """An image, a file or audio in a prompt: a file beside the suite, or a URL that is passed on."""

    kind: Kind
    name: str
    """Name that people read: the path as written in the suite, or the URL without its query."""
    url: str | None = None
    """URL of the content; None for a file."""
    path: str | None = None
    """Path of the file; None for a URL."""
    digest: str | None = None
    """SHA-256 of the file's bytes, in hexadecimal."""
    media_type: str | None = None
    size: int | None = None
    """Size of the file in bytes."""
    width: int | None = None
    """Width in pixels; `height` is in pixels too."""
    height: int | None = None
    pages: int | None = None
    seconds: float | None = None
    detail: Detail | None = None

    def __str__(self) -> str:
        extent = Media(self.media_type or "", self.width, self.height, self.pages, self.seconds).extent
        size = None if self.size is None else format_bytes(self.size)
        return f"[{self.kind} {', '.join(filter(None, (self.name, extent, size)))}]"

    @property
    def file_name(self) -> str:
        """The last part of the name, which is sent with a file."""
        return self.name.rstrip("/").rpartition("/")[2] or self.name

    @property
    def sent(self) -> Mapping[str, object]:
        """All members on which a request depends: the content as its digest, without the path of the file."""
        sent: dict[str, object] = {self.kind: self.url if self.digest is None else f"sha256:{self.digest}"}
        if self.kind == "file":
            sent["name"] = self.file_name
        if self.detail is not None:
            sent["detail"] = self.detail
        return sent

    @property
    def upload_bytes(self) -> int:
        """Number of bytes that it adds to a request: a file as base64, a text file as text, or only the URL."""
        if self.size is None:
            return len((self.url or "").encode())
        return self.size if self.media_type == "text/plain" else -(-self.size // 3) * 4


Part = str | Attachment
Parts = tuple[Part, ...]
"""The parts of a message; empty if the message is a plain text."""


def format_bytes(size: int) -> str:
    """Return a number of bytes as people write it: 999 B, 123 kB, 4.5 MB."""
    if size < KB:
        return f"{size} B"
    # From 999,500 bytes on the number would be rounded to 1000 kB.
    return f"{size / KB:.0f} kB" if size < MB - KB // 2 else f"{size / MB:.1f} MB"


def shown_text(parts: Sequence[Part]) -> str:
    """Return parts as people read them, each starting on a new line."""
    return "\n".join(map(str, parts))


def attachments_of(parts: Sequence[Part]) -> tuple[Attachment, ...]:
    """Return the attachments among parts."""
    return tuple(part for part in parts if isinstance(part, Attachment))


def with_text_before(text: str, parts: Parts) -> Parts:
    """Return the parts with a text before them; it is joined to the first part if that is a text."""
    if not text:
        return parts
    first, rest = parts[0], parts[1:]
    return (text + first, *rest) if isinstance(first, str) else (text, *parts)


def with_text_after(text: str, parts: Parts) -> Parts:
    """Return the parts with a text after them; it is joined to the last part if that is a text."""
    if not text:
        return parts
    last, rest = parts[-1], parts[:-1]
    return (*rest, last + text) if isinstance(last, str) else (*parts, text)


def sent_content(text: str, parts: Parts) -> object:
    """Return the content of a message on which a request depends, as plain data: its text, or a list of its parts."""
    return [part if isinstance(part, str) else dict(part.sent) for part in parts] if parts else text
