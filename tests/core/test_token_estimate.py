"""Token estimates: an upper bound, an estimate for rate limits, and the likely number of tokens of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.attachment_parts import Attachment
from runner.core.token_estimate import (
    MAX_IMAGE_TOKENS,
    RATE_LIMIT,
    UPPER_BOUND,
    TokensByBytes,
    likely_attachment_tokens,
    likely_tokens,
    most_attachment_tokens,
)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("four", 1), ("你好吗", 2), ("你好吗four", 3)])
def test_token_is_four_letters_or_one_and_a_half_chinese_characters(text: str, tokens: float) -> None:
    """Scripts are distinguished character by character."""
    assert likely_tokens(text) == pytest.approx(tokens)


@given(st.text(), st.text())
def test_likely_tokens_of_two_texts_add_up(one: str, other: str) -> None:
    """Two texts together are estimated as the sum of both."""
    assert likely_tokens(one + other) == pytest.approx(likely_tokens(one) + likely_tokens(other))


@given(st.lists(st.text()))
def test_upper_bound_is_the_highest_estimate(texts: list[str]) -> None:
    """The bound for costs is never below the estimate for rate limits, nor below the likely number."""
    assert UPPER_BOUND.of_messages(texts) >= RATE_LIMIT.of_messages(texts)
    assert UPPER_BOUND.of_messages(texts) >= sum(map(likely_tokens, texts))


def test_messages_count_their_bytes_and_an_allowance_each() -> None:
    """UTF-8 bytes of all messages are added before they are divided; a lone surrogate has three."""
    assert TokensByBytes(bytes_per_token=3, per_message=8).of_messages(["ab", "cd", "你"]) == 7 // 3 + 3 * 8
    assert TokensByBytes(bytes_per_token=1, per_message=0).of_messages(["\ud83d"]) == 3


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_the_bound_of_an_image_is_above_what_is_likely(width: int, height: int) -> None:
    """It grows with the image up to the most that is documented; an image of unknown size has that."""
    image = Attachment("image", "a.png", width=width, height=height, digest="x")
    most = most_attachment_tokens(image)
    assert most is not None
    assert likely_attachment_tokens(image) <= most <= MAX_IMAGE_TOKENS
    assert most_attachment_tokens(Attachment("image", "u", url="https://h/a.png")) == MAX_IMAGE_TOKENS


@pytest.mark.parametrize(
    ("attachment", "most", "likely"),
    [
        (Attachment("file", "p.pdf", media_type="application/pdf", size=9, pages=3), 24_000, 6_000),
        (Attachment("file", "p.pdf", media_type="application/pdf", size=9), None, 3_000),
        (Attachment("file", "u", url="https://h/p.pdf"), None, 3_000),
        (Attachment("file", "n.txt", media_type="text/plain", size=300), 300, 100),
        (Attachment("audio", "a.wav", media_type="audio/wav", size=9, seconds=2.5), 160, 63),
    ],
)
def test_bounds_of_files_and_audio(attachment: Attachment, most: int | None, likely: int) -> None:
    """A text has no more tokens than bytes; a PDF without known pages has no bound."""
    assert (most_attachment_tokens(attachment), likely_attachment_tokens(attachment)) == (most, likely)
