"""Token counts estimated from text, since nobody but the provider has its tokenizer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from runner.core.attachment_parts import Attachment
from runner.core.media_types import TEXT


@dataclass(frozen=True, slots=True)
class TokensByBytes:
    """Tokens estimated from the size of messages in UTF-8, with an allowance for the roles and marks around them."""

    bytes_per_token: int
    per_message: int
    per_request: int = 0

    def of_messages(self, texts: Iterable[str]) -> int:
        """Return the tokens of messages, without the allowance for the request."""
        sizes = [len(text.encode(errors="surrogatepass")) for text in texts]
        return sum(sizes) // self.bytes_per_token + self.per_message * len(sizes)


UNHEARD_TOKENS = 64
"""A reply may have this many tokens beyond its text, for the marks around it and its tool calls; so may its reasoning,
without being a summary."""

LONGEST_UTF8 = 4
"""Bytes of a character, and its tokens, at most."""

FEWEST_TOKENS_OF_CALL = 8
"""A tool call has at least so many tokens: its name, its arguments and the marks around them."""

UPPER_BOUND = TokensByBytes(bytes_per_token=1, per_message=16, per_request=128)
"""For promises, such as the cost of a plan: a token is at least one byte, and a chat template adds some of its own."""

RATE_LIMIT = TokensByBytes(bytes_per_token=3, per_message=8)
"""For limits per minute: about right for Chinese, a third too many for English, since too few would be refused."""

CHARACTERS_PER_TOKEN = 4.0
"""For speeds: characters of alphabetic scripts in a token, as vendors say of English."""

CJK_CHARACTERS_PER_TOKEN = 1.5
"""For speeds: characters of Chinese, Japanese and Korean script in a token, as Chinese vendors say of Chinese."""

AMPLE_TOKENS_PER_LETTER = 0.5
"""For speeds: letters of words have half as many tokens, as a rule."""

CJK = ((0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))
"""First and last code points of these scripts."""


CJK_SIGNS = re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in CJK)}]+")

LETTERS = re.compile(r"( ?)([A-Za-z]+)")
"""A run of letters with the blank before it, which tokenizers merge into it."""

ROWS = re.compile(r"\s+|(\W)\1+")
"""White space, and rows of one character such as dashes, of which one token may hold any number."""

TOKENS_PER_LETTER, LETTERS_PER_TOKEN = 0.75, 24
"""For bounds: letters at random, as in Base64, have up to so many tokens; no text has fewer than one for so many."""


def most_tokens(text: str) -> float:
    """Return a number of tokens that a text does not exceed in any tokenizer in use: a token has at least a byte."""
    saved = sum(len(blank) + len(letters) * (1 - TOKENS_PER_LETTER) for blank, letters in LETTERS.findall(text))
    return len(text.encode(errors="surrogatepass")) - saved


def ample_tokens(text: str) -> float:
    """Return about twice the tokens of a common text: a token for each sign, and for half of the letters."""
    saved = sum(len(blank) + len(letters) * (1 - AMPLE_TOKENS_PER_LETTER) for blank, letters in LETTERS.findall(text))
    saved += sum(len(signs.encode()) - len(signs) for signs in CJK_SIGNS.findall(text))
    return len(text.encode(errors="surrogatepass")) - saved


def fewest_tokens(text: str) -> float:
    """Return a number of tokens that a text does not fall short of."""
    return len(ROWS.sub("", text)) / LETTERS_PER_TOKEN


LIKELY_AT_MOST = 4 / 3
"""A text has this many times its likely tokens at most, as a rule."""


def likely_tokens(text: str) -> float:
    """Return the most likely number of tokens of a text; it may be wrong by a third either way."""
    cjk = sum(map(len, CJK_SIGNS.findall(text)))
    return cjk / CJK_CHARACTERS_PER_TOKEN + (len(text) - cjk) / CHARACTERS_PER_TOKEN


def is_summary(text: str | None, chars: int, tokens: int | None, *, is_named: bool) -> bool:
    """Return whether reasoning that was streamed is a summary: far shorter than its tokens.

    What the API calls a summary need not be one, since gateways send whole reasoning so. It is taken for one if it is
    shorter than its tokens at all, or if they were not counted.

    Args:
        text: the reasoning; None where it was not kept.
        chars: its length.
        tokens: the reasoning tokens that the provider counted, if it did.
        is_named: whether the API calls it a summary.

    """
    if not chars or not tokens:
        return chars > 0 and is_named
    spare = tokens - UNHEARD_TOKENS
    if text is None or spare <= chars / CHARACTERS_PER_TOKEN:  # few texts are looked at
        return spare > LONGEST_UTF8 * chars
    return spare > (LIKELY_AT_MOST * likely_tokens(text) if is_named else ample_tokens(text))


MOST_IMAGE_TOKENS = 16_384
"""Tokens of an image at most, as Qwen's documentation has it; no other vendor of a built-in row documents more, but for
models whose image tokens are multiplied to cost as much as a larger model's, such as gpt-4o-mini."""

LEAST_IMAGE_BOUND = 2_000
PIXELS_PER_TOKEN_AT_LEAST = 400
"""Small images count for up to so many tokens, and large ones for one for so many pixels."""

MOST_PAGE_TOKENS, MOST_SECOND_TOKENS = 8_000, 64
"""Of a page of a PDF, its text and its picture; of a second of audio."""


def most_attachment_tokens(attachment: Attachment) -> int | None:
    """Return a number of tokens that an attachment does not exceed, by what vendors document; None without a bound.

    A file at a URL, and a PDF whose pages cannot be counted, have none.
    """
    if attachment.kind == "image":
        if attachment.width is None or attachment.height is None:
            return MOST_IMAGE_TOKENS
        by_pixels = LEAST_IMAGE_BOUND + attachment.width * attachment.height // PIXELS_PER_TOKEN_AT_LEAST
        return min(MOST_IMAGE_TOKENS, by_pixels)
    if attachment.pages is not None:
        return attachment.pages * MOST_PAGE_TOKENS
    if attachment.seconds is not None:
        return ceil(attachment.seconds * MOST_SECOND_TOKENS)
    return attachment.size if attachment.media_type == TEXT else None


LIKELY_IMAGE_TOKENS, LIKELY_FILE_TOKENS = 1_000, 3_000
"""Where the size is not known."""

LIKELY_PIXELS_PER_TOKEN, LIKELY_PAGE_TOKENS, LIKELY_SECOND_TOKENS = 750, 2_000, 25


def likely_attachment_tokens(attachment: Attachment) -> int:
    """Return about how many tokens an attachment has, by what vendors document; it may be wrong by a factor of two."""
    if attachment.width is not None and attachment.height is not None:
        return min(MOST_IMAGE_TOKENS, ceil(attachment.width * attachment.height / LIKELY_PIXELS_PER_TOKEN))
    if attachment.seconds is not None:
        return ceil(attachment.seconds * LIKELY_SECOND_TOKENS)
    if attachment.media_type == TEXT:
        return (attachment.size or 0) // RATE_LIMIT.bytes_per_token
    if attachment.kind == "image":
        return LIKELY_IMAGE_TOKENS
    return LIKELY_FILE_TOKENS if attachment.pages is None else attachment.pages * LIKELY_PAGE_TOKENS
