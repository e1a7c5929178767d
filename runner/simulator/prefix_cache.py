"""A prompt cache, which keeps the prefixes of earlier prompts for a limited time. Performs no I/O.

A prefix consists of blocks of tokens. The key of a block is the digest of all text up to its end, as in the caches of
model servers and vendors. The lifetime of a block starts again whenever it is used.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from runner.simulator.chat_request import ChatMessage, tokenize

BLOCK_TOKENS = 128
MIN_PREFIX_TOKENS = 1_024
"""Fewest tokens of a prefix that is served from the cache."""

MAX_BLOCKS = 200_000


@dataclass(frozen=True, slots=True)
class PrefixCaching:
    """The settings of a persona's prompt cache."""

    token_ns: int
    """Time to read a token that is not cached, in nanoseconds; it is added to the delay of the first text."""
    lifetime_ns: int
    """Time after the last use of a prefix at which it expires, in nanoseconds."""
    is_reported: bool = True
    """Whether the usage reports the number of tokens from the cache."""


@dataclass(slots=True)
class PrefixCache:
    """The prefixes of earlier prompts, as blocks that expire."""

    _expires_ns: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    def look_up(self, model: str, messages: Sequence[ChatMessage], caching: PrefixCaching, now_ns: int) -> int:
        """Return the number of cached tokens at the beginning of a prompt, and add the prompt to the cache."""
        hits, is_hit = 0, True
        for block in _blocks(model, messages):
            is_hit = is_hit and self._expires_ns.pop(block, 0) > now_ns
            hits += is_hit
            self._expires_ns[block] = now_ns + caching.lifetime_ns
        while len(self._expires_ns) > MAX_BLOCKS:
            self._expires_ns.popitem(last=False)
        cached = hits * BLOCK_TOKENS
        return cached if cached >= MIN_PREFIX_TOKENS else 0


def _blocks(model: str, messages: Sequence[ChatMessage]) -> Iterator[bytes]:
    """Yield, for each whole block of tokens, the digest of all text up to its end."""
    digest = blake2b(model.encode(), digest_size=16)
    tokens = [token for message in messages for token in (f"\0{message.role}\0", *tokenize(message.text))]
    for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        digest.update("\0".join(tokens[start : start + BLOCK_TOKENS]).encode())
        yield digest.digest()
