"""A prompt cache: it knows the beginnings of the prompts that it was asked before, for a while. Performs no I/O.

A beginning counts in blocks of tokens, each known by the digest of everything up to its end, as servers of models and
vendors do it. A block that is found again lives on from then.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from runner.simulator.chat_request import ChatMessage
from runner.simulator.tokens import tokenize

BLOCK_TOKENS = 128
FEWEST_TOKENS = 1_024
"""A shorter beginning is not served from the cache."""

BLOCKS_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class PrefixCaching:
    """The manner in which a persona caches beginnings of prompts."""

    token_ns: int
    """The time that it takes to read a token that is not cached, added to the delay of the first text."""
    lifetime_ns: int
    """The time since a beginning was last asked after which it is forgotten."""
    is_told: bool = True
    """Whether its usage says how many tokens came from the cache."""


@dataclass(slots=True)
class PrefixCache:
    """The beginnings that a model was asked, as blocks that expire."""

    _expires_ns: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    def look_up(self, model: str, messages: Sequence[ChatMessage], caching: PrefixCaching, now_ns: int) -> int:
        """Return how many tokens of a prompt's beginning are cached, and remember all of it from now on."""
        known, is_known = 0, True
        for block in _blocks(model, messages):
            is_known = is_known and self._expires_ns.pop(block, 0) > now_ns
            known += is_known
            self._expires_ns[block] = now_ns + caching.lifetime_ns
        while len(self._expires_ns) > BLOCKS_REMEMBERED:
            self._expires_ns.popitem(last=False)
        cached = known * BLOCK_TOKENS
        return cached if cached >= FEWEST_TOKENS else 0


def _blocks(model: str, messages: Sequence[ChatMessage]) -> Iterator[bytes]:
    """Yield the digest of everything up to the end of each whole block of tokens."""
    digest = blake2b(model.encode(), digest_size=16)
    tokens = [token for message in messages for token in (f"\0{message.role}\0", *tokenize(message.text))]
    for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        digest.update("\0".join(tokens[start : start + BLOCK_TOKENS]).encode())
        yield digest.digest()
