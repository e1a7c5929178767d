"""The parts of a message in each dialect: texts, and attachments with their content. Pure.

Sources: OpenAI's API reference (content parts of chat completions, input items of Responses) and its guides on images,
file inputs and audio; Anthropic's API reference (content blocks of Messages).
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from runner.core.attachment_parts import Attachment
from runner.core.media_types import MP3, TEXT
from runner.core.suite import Api

Block = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FilledAttachment:
    """An attachment with the data that is sent.

    `data` is the file in base64, the text itself for a text file, and empty for a URL. In messages that are only
    digested for a recording, it may be the digest instead.
    """

    attachment: Attachment
    data: str

    @property
    def is_text(self) -> bool:
        """Whether the file is a text."""
        return self.attachment.media_type == TEXT

    @property
    def content_mark(self) -> str:
        """A text that represents the content: equal content has an equal mark."""
        return content_mark(self.attachment.digest or sha256((self.attachment.url or "").encode()).hexdigest())

    @property
    def data_url(self) -> str:
        """The file as a `data:` URL."""
        data = b64encode(self.data.encode()).decode() if self.is_text else self.data
        return f"data:{self.attachment.media_type};base64,{data}"

    @property
    def detail(self) -> Block:
        """The field `detail` of an image; empty if the suite does not set it."""
        return {} if self.attachment.detail is None else {"detail": self.attachment.detail}


FilledPart = str | FilledAttachment


def content_mark(digest: str) -> str:
    """Return the text that represents an attachment in the digest of a conversation, by the SHA-256 of its content."""
    return f"\0{digest}\0"


def read_text(message: Mapping[str, Any], *, texts_inline: bool) -> str:
    """Return the text that a server reads in a message, with a mark in the place of each attachment."""
    return "".join(
        part if isinstance(part, str) else part.data if texts_inline and part.is_text else part.content_mark
        for part in message.get("parts") or [str(message["content"])]
    )


def blocks(message: Mapping[str, Any], write: Callable[[FilledPart], Block]) -> list[Block]:
    """Return the content blocks of a message with `parts`, without blank texts, which some APIs refuse."""
    return [write(part) for part in message["parts"] if part != ""]


def chat_part(part: FilledPart) -> Block:
    """Return a part in the form of chat completions. A text file is sent as text: the API accepts only PDF files."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    attachment = part.attachment
    match attachment.kind:
        case "image":
            url = {"url": attachment.url or part.data_url, **part.detail}
            return {"type": "image_url", "image_url": url}
        case "audio":
            kind = "mp3" if attachment.media_type == MP3 else "wav"
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": kind}}
    if part.is_text:
        return {"type": "text", "text": part.data}
    return {"type": "file", "file": {"filename": attachment.file_name, "file_data": part.data_url}}


def responses_part(part: FilledPart) -> Block:
    """Return a part in the form of Responses."""
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    attachment = part.attachment
    if attachment.kind == "image":
        return {"type": "input_image", "image_url": attachment.url or part.data_url, **part.detail}
    if attachment.url is not None:
        return {"type": "input_file", "file_url": attachment.url}
    return {"type": "input_file", "filename": attachment.file_name, "file_data": part.data_url}


def messages_part(part: FilledPart) -> Block:
    """Return a part in the form of Messages."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    attachment = part.attachment
    source: Block
    if attachment.url is not None:
        source = {"type": "url", "url": attachment.url}
    elif part.is_text:
        source = {"type": "text", "media_type": TEXT, "data": part.data}
    else:
        source = {"type": "base64", "media_type": attachment.media_type, "data": part.data}
    if attachment.kind == "image":
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, "title": attachment.file_name}


def unsent_reason(api: Api, attachment: Attachment) -> tuple[str, str] | None:
    """Return why a dialect cannot send an attachment, and what to do; None if it can."""
    if attachment.kind == "audio" and api != "chat_completions":
        return f"{API_NAMES[api]} takes no audio", "Ask this target with api: chat_completions, or leave the case out"
    if attachment.url is not None and attachment.kind == "audio":
        return "audio cannot be sent as a URL", "Save it beside the suite and write its name"
    if attachment.url is not None and attachment.kind == "file" and api == "chat_completions":
        return f"{API_NAMES[api]} takes no file as a URL", "Save it beside the suite and write its name"
    return None


def detail_notes(api: Api, target: str, attachments: Iterable[Attachment]) -> Iterator[str]:
    """Yield a sentence on the `detail` of images if the dialect has no such field."""
    if api == "messages" and any(each.detail is not None for each in attachments):
        yield f"{API_NAMES[api]} has no detail of images, so it was not sent to {target}"


API_NAMES: Mapping[Api, str] = {
    "chat_completions": "the chat completions API",
    "responses": "the Responses API",
    "messages": "the Messages API",
}
