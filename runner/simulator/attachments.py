"""Images, files and audio in requests: parsing of each dialect's content parts, and descriptions. Performs no I/O.

Only the description of a file is kept, not its bytes, since conversations are the keys of caches of answers.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from runner.core.attachment_parts import Kind
from runner.core.media_types import Media, identify
from runner.simulator.http_request import RequestError

PIXELS_PER_TOKEN = 750
"""Pixels of an image per token, as some vendors document it."""

TOKENS_PER_PAGE = 1500
TOKENS_PER_SECOND = 25
TOKENS_OF_URL = 1000

KINDS: Mapping[object, Kind] = {
    **dict.fromkeys(("image_url", "input_image", "image"), "image"),
    **dict.fromkeys(("file", "input_file", "document"), "file"),
    "input_audio": "audio",
}
"""Type of a content part, of any dialect -> kind of its attachment."""

_DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReceivedAttachment:
    """An attached file, described by its content and not by the type that the request states."""

    kind: Kind
    digest: str
    """SHA-256 of its bytes, or of its URL."""
    at: int = 0
    """Number of characters of the message's text before it."""
    name: str | None = None
    media: Media | None = None
    """Media type and size of the content; None for a URL, which is not fetched."""
    size: int = 0
    """Size of the content in bytes."""

    @property
    def tokens(self) -> int:
        """Number of input tokens that it counts as."""
        match self.media:
            case None:
                return TOKENS_OF_URL
            case Media(width=int(width), height=int(height)):
                return -(-width * height // PIXELS_PER_TOKEN)
            case Media(pages=int(pages)):
                return pages * TOKENS_PER_PAGE
            case Media(seconds=float(seconds)):
                return int(seconds * TOKENS_PER_SECOND) + 1
        return self.size // 4 + 1

    def describe(self) -> str:
        """Return a description in English: kind, name, format and sizes, as far as the content has them."""
        named = "" if self.name is None else f" {self.name}"
        if self.media is None:
            return f"{self.kind}{named} at a URL, which is not fetched"
        size = f"{self.size} {'byte' if self.size == 1 else 'bytes'}"
        return f"{self.kind}{named} ({', '.join(filter(None, (self.media.name, self.media.extent, size)))})"


def text_with_file_marks(text: str, files: Sequence[ReceivedAttachment]) -> str:
    """Return a message's text with a mark in place of each file, so that a replay can recognise the conversation."""
    marked, last = "", 0
    for file in files:
        marked += f"{text[last : file.at]}\0{file.digest}\0"
        last = file.at
    return marked + text[last:]


def file_in_part(part: Mapping[str, Any], param: str) -> ReceivedAttachment | None:
    """Return the file in a content part of any dialect; None if the part contains none.

    Raises:
        RequestError: the file cannot be read, or its kind differs from the part's type.

    """
    kind = KINDS.get(part.get("type"))
    if kind is None:
        return None
    match part:
        case {"image_url": {"url": str(url)}} | {"image_url": str(url)} | {"file_url": str(url)}:
            return _at_url(kind, url, param)
        case {"file": {"filename": str(name), "file_data": str(data)}} | {
            "filename": str(name),
            "file_data": str(data),
        }:
            return _at_url(kind, data, param, name)
        case {"input_audio": {"data": str(data), "format": "wav" | "mp3"}}:
            return _of_content(kind, _decode(data, param), param)
        case {"source": {**source}}:
            title = part.get("title")
            return _of_source(kind, source, param, title if isinstance(title, str) else None)
    raise RequestError(400, f"'{param}' is not a valid part of type '{part['type']}'.", param=param)


def _of_source(kind: Kind, source: Mapping[Any, Any], param: str, name: str | None) -> ReceivedAttachment:
    match source:
        case {"url": str(url)}:
            return _at_url(kind, url, param, name)
        case {"media_type": "text/plain", "data": str(text)}:
            return _of_content(kind, text.encode("utf-8", "replace"), param, name)
        case {"media_type": str(), "data": str(data)}:
            return _of_content(kind, _decode(data, param), param, name)
    raise RequestError(400, f"'{param}.source' must have 'data' or 'url'.", param=param)


def _at_url(kind: Kind, url: str, param: str, name: str | None = None) -> ReceivedAttachment:
    if found := _DATA_URL.match(url):
        return _of_content(kind, _decode(url[found.end() :], param), param, name)
    if not url.startswith(("http://", "https://")):
        raise RequestError(400, f"'{param}' must be a URL, or a data URL in base64.", param=param)
    name = name or urlsplit(url).path.rpartition("/")[2] or None
    return ReceivedAttachment(kind, sha256(url.encode("utf-8", "replace")).hexdigest(), name=name)


def _decode(data: str, param: str) -> bytes:
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(400, f"'{param}' is not valid base64: {error}.", param=param) from None


def _of_content(kind: Kind, content: bytes, param: str, name: str | None = None) -> ReceivedAttachment:
    media = identify(content)
    is_kind = media is not None and (media.type.startswith(f"{kind}/") or kind == "file")
    if media is None or not is_kind:
        raise RequestError(400, f"'{param}' does not hold {_WITH_ARTICLE[kind]} that can be read.", param=param)
    return ReceivedAttachment(kind, sha256(content).hexdigest(), name=name, media=media, size=len(content))


_WITH_ARTICLE = {"image": "an image", "file": "a file", "audio": "audio"}
