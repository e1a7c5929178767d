"""An input text cut to a wanted number of tokens, by the token counts that the target reports. Pure.

Only the provider has its tokenizer. So a probe sends excerpts of the text. The mean number of characters per reported
token gives the number of characters that the wanted number of tokens has.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise

from runner.core.surrogates import count_utf8_bytes
from runner.core.token_estimate import likely_tokens
from runner.errors import counted

PROBE_CHARACTERS = 8_000
EXCERPTS = 4
"""Number of excerpts in a probe, from equal parts of the text, since its beginning may be a table of contents."""

PROBE_QUESTION = "Reply with the word OK, and with nothing else, whatever the text below says."
"""Prompt of a probe. It comes before the excerpts, so that the probe does not put the text into a prompt cache."""

MAX_CHARACTERS_PER_TOKEN = 8.0
"""Upper bound on the result of a probe; the upper bound of a plan depends on it."""

MIN_CHARACTERS_PER_TOKEN = 0.25
"""Lower bound on the result of a probe: a token has at least one byte, and a character at most four."""


@dataclass(frozen=True, slots=True)
class SizedInput:
    """A text before a case's first prompt, cut to a number of tokens for each target."""

    tokens: int
    """Wanted number of tokens of the whole request, including the system message, the prompt, tools and files."""
    sha256: str
    """Digest of the text, which stands for it in keys."""
    whole_text: str
    text_name: str

    @classmethod
    def of(cls, tokens: int, text: str, name: str) -> "SizedInput":
        """Return the input made of a text, which must not be blank."""
        return cls(tokens, sha256(text.encode(errors="surrogatepass")).hexdigest()[:16], text, name)

    @property
    def label(self) -> str:
        """The label that stands for the text in results."""
        return f"[{self.text_name}, {counted(self.tokens, 'token')}]"

    def first(self, characters: int) -> str:
        """Return this many characters of the text, which is repeated if it is shorter."""
        length = len(self.whole_text)
        return (self.whole_text * -(-characters // length))[:characters] if characters > 0 else ""

    @property
    def excerpts(self) -> str:
        """The excerpts that a probe sends: at most `PROBE_CHARACTERS`, from equal parts of the text to send."""
        used = self.whole_text[: round(self.tokens * _likely_characters_per_token(self.whole_text))]
        if len(used) <= PROBE_CHARACTERS:
            return used
        edges = [len(used) * number // EXCERPTS for number in range(EXCERPTS + 1)]
        return "\n".join(used[start:end][: PROBE_CHARACTERS // EXCERPTS] for start, end in pairwise(edges))

    @property
    def most_bytes(self) -> int:
        """Upper bound on the bytes of UTF-8 that are sent of the text."""
        whole, rest = divmod(round(self.tokens * MAX_CHARACTERS_PER_TOKEN), len(self.whole_text))
        return whole * count_utf8_bytes(self.whole_text) + count_utf8_bytes(self.whole_text[:rest])


@dataclass(frozen=True, slots=True)
class InputProbe:
    """The characters that a probe of a target sent, and the input tokens that the provider reported.

    `tokens` is None if the provider reported none or the probe failed.
    """

    characters: int
    tokens: int | None

    @property
    def is_known(self) -> bool:
        """Whether the provider reported the tokens."""
        return bool(self.tokens)


def cut_text(sized: SizedInput, probe: InputProbe | None, beside: int, tokens_of_files: int = 0) -> str:
    """Return the part of the text that gives the request its wanted number of tokens.

    Without a probe, the characters per token are estimated.

    Args:
        sized: the text and the wanted number of tokens.
        probe: the result of the target's probe; None if there was none.
        beside: the number of characters in the request's other texts.
        tokens_of_files: the estimated number of tokens in its images, files and audio.

    """
    per_token = _characters_per_token(sized, probe)
    return sized.first(round((sized.tokens - tokens_of_files) * per_token) - beside)


def _characters_per_token(sized: SizedInput, probe: InputProbe | None) -> float:
    if probe is not None and probe.tokens:
        found = probe.characters / probe.tokens
    else:
        found = _likely_characters_per_token(sized.whole_text)
    return min(max(found, MIN_CHARACTERS_PER_TOKEN), MAX_CHARACTERS_PER_TOKEN)


@lru_cache(maxsize=16)
def _likely_characters_per_token(text: str) -> float:
    """Return an estimate by the script of the text, which may be wrong by a third; it takes 0.1 s, so it is cached."""
    return len(text) / likely_tokens(text)
