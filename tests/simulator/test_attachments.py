"""Images, files and audio in the simulator: described by their content, and refused if they are invalid."""

from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.simulator import chat_completions
from runner.simulator.attachments import KINDS, file_in_part
from runner.simulator.chat_request import ChatMessage, count_prompt_tokens
from runner.simulator.http_request import RequestError
from runner.simulator.request_fields import parse_content
from tests.support.media_files import mp3, pdf, png, wav


def encoded(data: bytes) -> str:
    """Return bytes in base64."""
    return b64encode(data).decode()


def image(data: bytes | str) -> dict[str, Any]:
    """Return an image part of chat completions."""
    url = data if isinstance(data, str) else f"data:image/png;base64,{encoded(data)}"
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("part", "words", "tokens"),
    [
        (image(png(300, 250)), f"image (PNG, 300x250, {len(png(300, 250))} bytes)", 100),
        (image("https://h/x/a.png?q=1"), "image a.png at a URL, which is not fetched", 1000),
        (
            {
                "type": "file",
                "file": {"filename": "p.pdf", "file_data": f"data:application/pdf;base64,{encoded(pdf(2))}"},
            },
            f"file p.pdf (PDF, 2 pages, {len(pdf(2))} bytes)",
            3000,
        ),
        (
            {"type": "input_audio", "input_audio": {"data": encoded(wav(16_000)), "format": "wav"}},
            "audio (WAV, 2.0 s, 32056 bytes)",
            51,
        ),
        (
            {"type": "input_audio", "input_audio": {"data": encoded(mp3(40)), "format": "mp3"}},
            "audio (MP3, 1.0 s, 16680 bytes)",
            27,
        ),
    ],
)
def test_a_file_is_described_by_its_content_and_counted(part: dict[str, Any], words: str, tokens: int) -> None:
    """The type that the part states does not matter."""
    shown = file_in_part(part, "here")
    assert shown is not None
    assert (shown.describe(), shown.tokens) == (words, tokens)


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        (image("data:image/png;base64,!!!"), "is not valid base64"),
        (image(pdf(1)), "does not hold an image that can be read"),
        (image(b"\x89PNG"), "does not hold an image that can be read"),
        (image("ftp://h/a.png"), "must be a URL, or a data URL in base64"),
        ({"type": "image_url"}, "is not a valid part of type 'image_url'"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "ogg"}}, "is not a valid part"),
        ({"type": "image", "source": {"type": "file", "file_id": "x"}}, "must have 'data' or 'url'"),
    ],
)
def test_content_that_contradicts_its_part_is_refused(part: dict[str, Any], fault: str) -> None:
    """The error is a 400 that names the part, as at providers."""
    fields = {"messages": [{"role": "user", "content": [part]}]}
    with pytest.raises(RequestError, match=fault) as caught:
        chat_completions.parse_input(fields)
    assert (caught.value.status, caught.value.param) == (400, "messages[0].content[0]")


def test_texts_and_files_keep_their_order_and_their_tokens() -> None:
    """The text is the same as without files; marks for a replay are in the places of the files."""
    parts = [{"type": "text", "text": "a"}, image(png(75, 10)), {"type": "text", "text": "b"}]
    text, files = parse_content(parts, ("text",), "here")
    message = ChatMessage("user", text, files)
    assert text == "ab"
    assert message.text_with_file_marks == f"a\0{files[0].digest}\0b"
    assert count_prompt_tokens([message]) - count_prompt_tokens([ChatMessage("user", text)]) == 1


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["https://h/a", "data:a/b;base64,", "wav"]),
    lambda inner: st.dictionaries(
        st.sampled_from(
            ["url", "image_url", "file", "filename", "file_data", "file_url", "input_audio", "data", "format"]
        )
        | st.sampled_from(["source", "type", "media_type", "title", "text"]),
        inner,
        max_size=4,
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["image_url", "file", "input_audio", "source", "file_data", "filename"]), VALUES),
    st.sampled_from([*map(str, KINDS), "text", "odd"]),
)
def test_any_part_is_read_ignored_or_refused(part: dict[str, Any], kind: str) -> None:
    """No shape of a part raises another error."""
    with suppress(RequestError):
        file_in_part({**part, "type": kind}, "here")
