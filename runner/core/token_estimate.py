"""Token counts estimated from text, since only the provider has its tokenizer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from runner.core.attachment_parts import Attachment
from runner.core.cjk_characters import CJK
from runner.core.media_types import TEXT
from runner.core.surrogates import count_utf8_bytes


@dataclass(frozen=True, slots=True)
class TokensByBytes:
    """Tokens estimated from the size of messages in UTF-8, with an allowance for the roles and marks around them."""

    bytes_per_token: int
    per_message: int
    per_request: int = 0

    def of_messages(self, texts: Iterable[str]) -> int:
        """Return the estimated tokens of messages, without the allowance for the request."""
        sizes = list(map(count_utf8_bytes, texts))
        return sum(sizes) // self.bytes_per_token + self.per_message * len(sizes)


UNSTREAMED_TOKENS = 64
"""Tokens that a reply may have beyond its text, for the marks around it and its tool calls. Reasoning may also have as
many beyond its text without counting as a summary."""

MAX_BYTES_PER_CHARACTER = 4
"""Most bytes of a character, and so the most tokens of one."""

MIN_TOKENS_OF_CALL = 8
"""Fewest tokens of a tool call: its name, its arguments and the marks around them."""

UPPER_BOUND = TokensByBytes(bytes_per_token=1, per_message=16, per_request=128)
"""Estimate for guaranteed bounds, such as the cost of a plan: a token has at least one byte, and a chat template adds
some tokens."""

RATE_LIMIT = TokensByBytes(bytes_per_token=3, per_message=8)
"""Estimate for limits per minute: about right for Chinese and a third too high for English, since requests above a
limit are refused."""

CHARACTERS_PER_TOKEN = 4.0
"""Likely characters per token of alphabetic scripts, as vendors document it for English."""

CJK_CHARACTERS_PER_TOKEN = 1.5
"""Likely characters per token of Chinese, Japanese and Korean script, as Chinese vendors document it for Chinese."""

GENEROUS_TOKENS_PER_LETTER = 0.5
"""Ample number of tokens per letter of a word: usually twice the real one."""

CJK_SIGNS = re.compile(f"[{CJK}]+")

LETTERS = re.compile(r"( ?)([A-Za-z]+)")
"""A run of letters with the blank before it, which tokenizers merge with the run."""

ROWS = re.compile(r"\s+|(\W)\1+")
"""White space and rows of one character, such as dashes; one token may contain any number of them."""

TOKENS_PER_LETTER, LETTERS_PER_TOKEN = 0.75, 24
"""Bounds on tokens: the most tokens per letter, which random letters as in Base64 have, and the most letters per
token."""


def most_tokens(text: str) -> float:
    """Return an upper bound on the tokens of a text, for all tokenizers in use: a token has at least one byte."""
    return _tokens_of_bytes(text, TOKENS_PER_LETTER)


def generous_token_estimate(text: str) -> float:
    """Return a generous estimate, about twice the tokens of ordinary text: one per sign and one per two letters."""
    saved = sum(len(signs.encode()) - len(signs) for signs in CJK_SIGNS.findall(text))
    return _tokens_of_bytes(text, GENEROUS_TOKENS_PER_LETTER) - saved


def _tokens_of_bytes(text: str, per_letter: float) -> float:
    """Return one token for each byte of UTF-8, but `per_letter` for each letter of a word and none for the blank."""
    saved = sum(len(blank) + len(letters) * (1 - per_letter) for blank, letters in LETTERS.findall(text))
    return count_utf8_bytes(text) - saved


def fewest_tokens(text: str) -> float:
    """Return a lower bound on the tokens of a text."""
    return len(ROWS.sub("", text)) / LETTERS_PER_TOKEN


LIKELY_AT_MOST = 4 / 3
"""Usual upper limit of the ratio of a text's tokens to its likely tokens."""


def likely_tokens(text: str) -> float:
    """Return the most likely number of tokens of a text, which may be wrong by a third in either direction."""
    cjk = sum(map(len, CJK_SIGNS.findall(text)))
    return cjk / CJK_CHARACTERS_PER_TOKEN + (len(text) - cjk) / CHARACTERS_PER_TOKEN


def is_summary(text: str | None, chars: int, tokens: int | None, *, is_named: bool) -> bool:
    """Return whether streamed reasoning is a summary: far shorter than its token count.

    Gateways also send complete reasoning under the name of a summary. So reasoning with that name counts as a summary
    only if it is shorter than its token count at all, or if its tokens were not counted.

    Args:
        text: the reasoning; None if it was not stored.
        chars: its length in characters.
        tokens: the reasoning tokens that the provider counted; None if it did not.
        is_named: whether the API calls it a summary.

    """
    if not chars or not tokens:
        return chars > 0 and is_named
    spare = tokens - UNSTREAMED_TOKENS
    if text is None or spare <= chars / CHARACTERS_PER_TOKEN:  # comes first, so that few texts are searched
        return spare > MAX_BYTES_PER_CHARACTER * chars
    return spare > (LIKELY_AT_MOST * likely_tokens(text) if is_named else generous_token_estimate(text))


MAX_IMAGE_TOKENS = 16_384
"""Most tokens of an image, as Qwen documents it. No other vendor of a built-in row documents more, except for models
whose image tokens are multiplied to cost as much as a larger model's, such as gpt-4o-mini."""

MIN_IMAGE_BOUND = 2_000
MIN_PIXELS_PER_TOKEN = 400
"""Bound on the tokens of an image: `MIN_IMAGE_BOUND`, plus one for this many pixels."""

MAX_PAGE_TOKENS, MAX_SECOND_TOKENS = 8_000, 64
"""Most tokens of a page of a PDF, for its text and its picture, and of a second of audio."""


def most_attachment_tokens(attachment: Attachment) -> int | None:
    """Return an upper bound on the tokens of an attachment, by the documentation of vendors; None if there is none.

    A file at a URL and a PDF whose pages cannot be counted have no bound.
    """
    if attachment.kind == "image":
        if attachment.width is None or attachment.height is None:
            return MAX_IMAGE_TOKENS
        by_pixels = MIN_IMAGE_BOUND + attachment.width * attachment.height // MIN_PIXELS_PER_TOKEN
        return min(MAX_IMAGE_TOKENS, by_pixels)
    if attachment.pages is not None:
        return attachment.pages * MAX_PAGE_TOKENS
    if attachment.seconds is not None:
        return ceil(attachment.seconds * MAX_SECOND_TOKENS)
    return attachment.size if attachment.media_type == TEXT else None


LIKELY_IMAGE_TOKENS, LIKELY_FILE_TOKENS = 1_000, 3_000
"""Likely tokens of an image and of a file of unknown size."""

LIKELY_PIXELS_PER_TOKEN, LIKELY_PAGE_TOKENS, LIKELY_SECOND_TOKENS = 750, 2_000, 25


def likely_attachment_tokens(attachment: Attachment) -> int:
    """Return the likely tokens of an attachment, by the documentation of vendors; it may be wrong by a factor of 2."""
    if attachment.width is not None and attachment.height is not None:
        return min(MAX_IMAGE_TOKENS, ceil(attachment.width * attachment.height / LIKELY_PIXELS_PER_TOKEN))
    if attachment.seconds is not None:
        return ceil(attachment.seconds * LIKELY_SECOND_TOKENS)
    if attachment.media_type == TEXT:
        return (attachment.size or 0) // RATE_LIMIT.bytes_per_token
    if attachment.kind == "image":
        return LIKELY_IMAGE_TOKENS
    return LIKELY_FILE_TOKENS if attachment.pages is None else attachment.pages * LIKELY_PAGE_TOKENS
