"""A text of a wanted number of tokens: how much of it is sent, by what a target's own usage says of its tokens. Pure.

Nobody but the provider has its tokenizer. So a probe sends excerpts of the text, and the characters that each of its
reported tokens has on average tell how many characters the wanted number of tokens has.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise

from runner.core.token_estimate import likely_tokens
from runner.errors import counted

PROBE_CHARACTERS = 8_000
EXCERPTS = 4
"""Pieces of the text that a probe consists of, from equal parts of it: its beginning may be a table of contents."""

PROBE_QUESTION = "Reply with the word OK, and with nothing else, whatever the text below says."
"""It stands before the excerpts, so that no prompt cache knows the beginning of the text from the probe."""

MOST_CHARACTERS_PER_TOKEN = 8.0
"""A bound on what a probe may say, on which the bound of a plan rests."""

FEWEST_CHARACTERS_PER_TOKEN = 0.25
"""A token has a byte at least, and a character four at most."""


@dataclass(frozen=True, slots=True)
class SizedInput:
    """A text that stands before a case's first prompt, cut to a number of tokens for each target."""

    tokens: int
    """The tokens that the whole request is to have: the system message, the prompt, tools and files included."""
    sha256: str
    """The digest of the text, which stands for it in keys."""
    whole_text: str
    text_name: str

    @classmethod
    def of(cls, tokens: int, text: str, name: str) -> "SizedInput":
        """Return the input of a text that is not blank."""
        return cls(tokens, sha256(text.encode(errors="surrogatepass")).hexdigest()[:16], text, name)

    @property
    def label(self) -> str:
        """The words that stand for the text in results."""
        return f"[{self.text_name}, {counted(self.tokens, 'token')}]"

    def first(self, characters: int) -> str:
        """Return this many characters of the text, which begins again where it ends before."""
        length = len(self.whole_text)
        return (self.whole_text * -(-characters // length))[:characters] if characters > 0 else ""

    @property
    def excerpts(self) -> str:
        """Excerpts of what will be sent, as a probe sends them: `PROBE_CHARACTERS` at most, from equal parts of it."""
        used = self.whole_text[: round(self.tokens * _likely_characters_per_token(self.whole_text))]
        if len(used) <= PROBE_CHARACTERS:
            return used
        edges = [len(used) * number // EXCERPTS for number in range(EXCERPTS + 1)]
        return "\n".join(used[start:end][: PROBE_CHARACTERS // EXCERPTS] for start, end in pairwise(edges))

    @property
    def most_bytes(self) -> int:
        """The bytes of UTF-8 that are sent of the text at most."""
        whole, rest = divmod(round(self.tokens * MOST_CHARACTERS_PER_TOKEN), len(self.whole_text))
        return whole * _count_bytes(self.whole_text) + _count_bytes(self.whole_text[:rest])


def _count_bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


@dataclass(frozen=True, slots=True)
class InputProbe:
    """The characters that a probe of a target sent, and the input tokens that the provider reported.

    `tokens` is None where it reported none, or where the probe failed.
    """

    characters: int
    tokens: int | None

    @property
    def is_known(self) -> bool:
        """Whether the provider counted the tokens."""
        return bool(self.tokens)


def cut_text(sized: SizedInput, probe: InputProbe | None, beside: int, tokens_of_files: int = 0) -> str:
    """Return as much of the text as makes a request of the wanted tokens; by an estimate where no probe says more.

    Args:
        sized: the text and the wanted tokens.
        probe: what the target's probe found, if there was one.
        beside: characters of the request's other texts.
        tokens_of_files: an estimate of the tokens of its images, files and audio.

    """
    per_token = _characters_per_token(sized, probe)
    return sized.first(round((sized.tokens - tokens_of_files) * per_token) - beside)


def _characters_per_token(sized: SizedInput, probe: InputProbe | None) -> float:
    if probe is not None and probe.tokens:
        found = probe.characters / probe.tokens
    else:
        found = _likely_characters_per_token(sized.whole_text)
    return min(max(found, FEWEST_CHARACTERS_PER_TOKEN), MOST_CHARACTERS_PER_TOKEN)


@lru_cache(maxsize=16)
def _likely_characters_per_token(text: str) -> float:
    """Return an estimate by the script of a text, which may be wrong by a third; it takes a tenth of a second."""
    return len(text) / likely_tokens(text)
