"""The form of attachments in each dialect, and how a server reads them."""

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.attachment_parts import Attachment, Part, attachments_of
from runner.core.suite import Api
from runner.providers.part_fields import FilledAttachment, unsent_reason
from runner.providers.request_body import BUILDERS
from runner.simulator.routes import DIALECTS
from tests.support.media_files import mp3, pdf, png, wav

CONTENTS = {
    "chart.png": ("image", "image/png", png(4, 3)),
    "paper.pdf": ("file", "application/pdf", pdf(2)),
    "notes.txt": ("file", "text/plain", "Grüße\n".encode()),
    "hello.wav": ("audio", "audio/wav", wav(10)),
    "song.mp3": ("audio", "audio/mpeg", mp3(2)),
}
APIS: tuple[Api, ...] = get_args(Api)
PARSERS = {dialect.api: dialect.parse_conversation for dialect in DIALECTS.values()}


def attached(name: str, **more: Any) -> Attachment:
    """Return the attachment of one of the files above."""
    kind, media_type, content = CONTENTS[name]
    digest = sha256(content).hexdigest()
    return Attachment(kind, name, path=name, digest=digest, media_type=media_type, size=len(content), **more)  # type: ignore[arg-type]


def base64_of(name: str) -> str:
    """Return a file's content in base64."""
    return b64encode(CONTENTS[name][2]).decode()


def filled(part: Part) -> object:
    """Return a part with its content, as the engine hands it to a builder."""
    if isinstance(part, str):
        return part
    if part.url is not None:
        return FilledAttachment(part, "")
    content = CONTENTS[part.name][2]
    return FilledAttachment(part, content.decode() if part.media_type == "text/plain" else base64_of(part.name))


def marked(part: Part) -> object:
    """Return a part as the engine hands it to a builder to be digested: with its digest in place of the content."""
    if isinstance(part, str) or part.media_type == "text/plain":
        return filled(part)
    return FilledAttachment(part, part.digest or "")


def message_of(*parts: Part, fill: Any = filled) -> dict[str, object]:
    """Return a message of the user."""
    return {"role": "user", "content": "shown", "parts": [fill(part) for part in parts]}


def blocks_in(api: Api, *parts: Part) -> Any:
    """Return the content blocks of a message in a dialect."""
    body = BUILDERS[api].with_messages({}, [message_of(*parts)])
    messages: Any = body["input" if api == "responses" else "messages"]
    return messages[0]["content"]


CHART, PAPER, NOTES = attached("chart.png", detail="low"), attached("paper.pdf"), attached("notes.txt")
URL = Attachment("image", "https://h/a.png", url="https://h/a.png?x=1")
PDF_URL = Attachment("file", "https://h/a.pdf", url="https://h/a.pdf")


def test_chat_completions_have_data_urls() -> None:
    """A text file is a text, since the API takes no files but PDF."""
    blocks = blocks_in(
        "chat_completions", "Look:", CHART, URL, PAPER, NOTES, attached("hello.wav"), attached("song.mp3")
    )
    assert blocks == [
        {"type": "text", "text": "Look:"},
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{base64_of('chart.png')}", "detail": "low"},
        },
        {"type": "image_url", "image_url": {"url": "https://h/a.png?x=1"}},
        {
            "type": "file",
            "file": {
                "filename": "paper.pdf",
                "file_data": f"data:application/pdf;base64,{base64_of('paper.pdf')}",
            },
        },
        {"type": "text", "text": "Grüße\n"},
        {"type": "input_audio", "input_audio": {"data": base64_of("hello.wav"), "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": base64_of("song.mp3"), "format": "mp3"}},
    ]


def test_responses_have_input_items() -> None:
    """A file at a URL is sent as the URL."""
    assert blocks_in("responses", "Look:", CHART, PAPER, NOTES, PDF_URL) == [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{base64_of('chart.png')}", "detail": "low"},
        {
            "type": "input_file",
            "filename": "paper.pdf",
            "file_data": f"data:application/pdf;base64,{base64_of('paper.pdf')}",
        },
        {
            "type": "input_file",
            "filename": "notes.txt",
            "file_data": f"data:text/plain;base64,{base64_of('notes.txt')}",
        },
        {"type": "input_file", "file_url": "https://h/a.pdf"},
    ]


def test_messages_have_sources() -> None:
    """The API has no `detail`; a text file is a document whose source is text."""
    assert blocks_in("messages", CHART, PAPER, NOTES, URL, PDF_URL) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64_of("chart.png")}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": base64_of("paper.pdf")},
            "title": "paper.pdf",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "Grüße\n"},
            "title": "notes.txt",
        },
        {"type": "image", "source": {"type": "url", "url": "https://h/a.png?x=1"}},
        {"type": "document", "source": {"type": "url", "url": "https://h/a.pdf"}, "title": "a.pdf"},
    ]


def test_messages_join_turns_of_one_role() -> None:
    """A text before a message with an image becomes a block of the same turn."""
    body = BUILDERS["messages"].with_messages({}, [{"role": "user", "content": "Hi"}, message_of(URL)])
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image", "source": {"type": "url", "url": "https://h/a.png?x=1"}},
            ],
        }
    ]


@pytest.mark.parametrize("api", APIS)
def test_a_message_without_attachments_stays_a_text(api: Api) -> None:
    """Its content does not become a list."""
    message = {"role": "user", "content": "Hi"}
    body = BUILDERS[api].with_messages({}, [message])
    assert body["input" if api == "responses" else "messages"] == [message]


PARTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
    | st.sampled_from([CHART, PAPER, NOTES, URL, PDF_URL]),
    min_size=1,
    max_size=5,
).map(tuple)


@pytest.mark.parametrize("api", APIS)
@given(PARTS, PARTS)
def test_a_replay_knows_a_conversation_by_its_texts_and_contents(
    api: Api, first: tuple[Part, ...], second: tuple[Part, ...]
) -> None:
    """The digest of a recording, made without the files, equals that of the request with them."""
    told = [parts for parts in (first, second) if not any(unsent_reason(api, each) for each in attachments_of(parts))]
    if not told:
        return
    sent = BUILDERS[api].with_messages({"model": "m"}, [message_of(*parts) for parts in told])
    digested = BUILDERS[api].read_back([message_of(*parts, fill=marked) for parts in told])
    _, read = PARSERS[api](json.dumps(sent).encode())
    assert [(message.role, message.text_with_file_marks) for message in read] == list(digested)


@pytest.mark.parametrize(
    ("api", "attachment", "what"),
    [
        ("responses", attached("hello.wav"), "the Responses API takes no audio"),
        ("messages", attached("hello.wav"), "the Messages API takes no audio"),
        ("chat_completions", Attachment("audio", "u", url="https://h/a.wav"), "audio cannot be sent as a URL"),
        ("chat_completions", PDF_URL, "the chat completions API takes no file as a URL"),
        ("chat_completions", attached("hello.wav"), None),
        ("responses", PDF_URL, None),
        ("messages", PDF_URL, None),
        ("messages", CHART, None),
    ],
)
def test_attachments_without_a_form_in_a_dialect_are_known(api: Api, attachment: Attachment, what: str | None) -> None:
    """They are refused before anything is sent."""
    reason = unsent_reason(api, attachment)
    assert (reason[0] if reason else None) == what
