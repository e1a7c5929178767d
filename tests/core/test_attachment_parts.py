"""Parts of a message: how tables show them, and how requests depend on them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.attachment_parts import (
    Attachment,
    Part,
    format_bytes,
    sent_content,
    shown_text,
    with_text_after,
    with_text_before,
)

CHART = Attachment(
    "image",
    "a/chart.png",
    path="/x/chart.png",
    digest="d" * 64,
    media_type="image/png",
    size=123_456,
    width=1024,
    height=768,
)
PARTS = st.lists(st.text(min_size=1) | st.just(CHART), min_size=1, max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("attachment", "text"),
    [
        (CHART, "[image a/chart.png, 1024x768, 123 kB]"),
        (Attachment("file", "p.pdf", digest="1", size=400_000, pages=12), "[file p.pdf, 12 pages, 400 kB]"),
        (Attachment("file", "p.pdf", digest="1", size=10, pages=1), "[file p.pdf, 1 page, 10 B]"),
        (Attachment("file", "n.txt", digest="1", size=24), "[file n.txt, 24 B]"),
        (Attachment("audio", "h.wav", digest="1", size=80_000, seconds=2.5), "[audio h.wav, 2.5 s, 80 kB]"),
        (Attachment("image", "https://h/a.png", url="https://h/a.png?sig=1"), "[image https://h/a.png]"),
    ],
)
def test_an_attachment_is_written_with_its_size(attachment: Attachment, text: str) -> None:
    """The text has pixels, pages or seconds if the header has them, and bytes; the size of a URL is unknown."""
    assert str(attachment) == text


@given(st.integers(0, 10**9))
def test_sizes_are_written_with_three_digits_at_most_before_the_unit(size: int) -> None:
    """The unit grows with the number, and the shown value is within half of its last digit."""
    number, unit = format_bytes(size).split()
    step = {"B": 1, "kB": 1000, "MB": 1_000_000}[unit]
    assert abs(float(number) * step - size) <= step / 2
    assert unit == "MB" or len(number) <= 3


@given(PARTS, st.text())
def test_a_text_around_parts_is_joined_to_the_text_there(parts: tuple[Part, ...], text: str) -> None:
    """Without a text at that end it becomes a part; attachments keep their order."""

    def texts(several: tuple[Part, ...]) -> str:
        return "".join(part if isinstance(part, str) else "\0" for part in several)

    assert texts(with_text_before(text, parts)) == text + texts(parts)
    assert texts(with_text_after(text, parts)) == texts(parts) + text
    assert len(with_text_before(text, parts)) - len(parts) == (bool(text) and not isinstance(parts[0], str))


def test_a_request_depends_on_the_content_and_not_on_where_it_lies() -> None:
    """Renaming an image changes no request; the name of a file is sent and does."""
    moved = replace(CHART, name="b.png", path="/y/b.png")
    assert sent_content("", (moved,)) == sent_content("", (CHART,))
    assert sent_content("", (replace(CHART, digest="e" * 64),)) != sent_content("", (CHART,))
    assert sent_content("", (replace(CHART, detail="low"),)) != sent_content("", (CHART,))
    paper = Attachment("file", "paper.pdf", path="/x/paper.pdf", digest="1")
    assert sent_content("", (replace(paper, name="other.pdf"),)) != sent_content("", (paper,))
    assert sent_content("hi", ()) == "hi"
    assert shown_text(("hi", CHART)) == f"hi\n{CHART}"
