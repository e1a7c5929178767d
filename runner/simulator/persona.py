"""The simulated personas: the speed and the manner in which each answers. Data only, without vendors' names."""

import random
from dataclasses import dataclass, replace
from math import exp
from typing import Literal

from runner.simulator.prefix_cache import PrefixCaching
from runner.simulator.tool_use import Skill

MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Delay:
    """A log-normal distribution of delays; with sigma 0 all delays are the median."""

    median_ns: int
    sigma: float = 0.0

    def draw_ns(self, rng: random.Random) -> int:
        """Return a random delay, in nanoseconds."""
        return int(self.median_ns * exp(rng.gauss(0, self.sigma))) if self.sigma else self.median_ns


@dataclass(frozen=True, slots=True)
class Length:
    """The number of tokens in a reply whose words do not matter."""

    tokens: int
    thinking_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Persona:
    """One simulated model."""

    name: str
    manner: str
    manner_zh: str
    first: Delay
    """Delay of the first text after the request."""
    gap: Delay
    """Delay of each chunk after the one before."""
    chunk_tokens: int = 1
    points: int = 0
    """Number of points that it lists if no rule answers, which determines the length of its replies."""
    thinks: bool = False
    skill: Skill = "right"
    """Manner in which it calls tools and follows the schema of an answer."""
    caching: PrefixCaching | None = None
    """Settings of its cache of prompt prefixes; None if it has no cache, so that all prompts take equally long."""
    length: Length | None = None
    """Fixed length of its replies; None if the reply depends on the question."""
    judges: Literal["fair", "first", "vague"] | None = None
    """Manner in which it judges replies: `fair` by a rule, `first` for the first reply, `vague` without a verdict; None
    if it does not judge."""

    @property
    def varies(self) -> bool:
        """Whether its delays differ from one request to the next."""
        return bool(self.first.sigma or self.gap.sigma)


_PREFIX_CACHING = PrefixCaching(token_ns=50_000, lifetime_ns=300_000 * MS)
_CACHING = Persona(
    name="caching",
    manner="reads long prompts slowly, and at once what it was asked in the last five minutes",
    manner_zh="读长提示词很慢，五分钟内问过的开头则立即读完",
    first=Delay(60 * MS),
    gap=Delay(10 * MS),
    caching=_PREFIX_CACHING,
)
_JUDGE = Persona(
    name="judge",
    manner="judges replies by a plain rule, when it is asked to",
    manner_zh="被要求时，按一条简单的规则评判回答",
    first=Delay(60 * MS, 0.20),
    gap=Delay(2 * MS, 0.20),
    chunk_tokens=8,
    judges="fair",
)

PERSONAS = {
    persona.name: persona
    for persona in (
        Persona(
            name="quick",
            manner="starts at once, speaks fast and briefly",
            manner_zh="反应快，话不多",
            first=Delay(90 * MS, 0.25),
            gap=Delay(8 * MS, 0.35),
            skill="hasty",
        ),
        Persona(
            name="steady",
            manner="an even pace, two tokens at a time",
            manner_zh="语速平稳，一次说两个词",
            first=Delay(280 * MS, 0.15),
            gap=Delay(30 * MS, 0.10),
            chunk_tokens=2,
            points=2,
        ),
        Persona(
            name="thinker",
            manner="thinks aloud before it answers, thoroughly",
            manner_zh="先把思考说出来，再详细回答",
            first=Delay(220 * MS, 0.20),
            gap=Delay(11 * MS, 0.30),
            points=4,
            thinks=True,
        ),
        Persona(
            name="slow-start",
            manner="takes long to begin, then hurries in large chunks",
            manner_zh="开口很慢，然后一大段一大段地说",
            first=Delay(900 * MS, 0.35),
            gap=Delay(12 * MS, 0.50),
            points=4,
            chunk_tokens=4,
            skill="in_text",
        ),
        _CACHING,
        replace(
            _CACHING,
            name="caching-untold",
            manner="caches as sim/caching does, and never says so",
            manner_zh="与 sim/caching 一样缓存，但从不说明",
            caching=replace(_PREFIX_CACHING, is_reported=False),
        ),
        _JUDGE,
        replace(
            _JUDGE,
            name="judge-first",
            manner="prefers whichever of two replies is shown first",
            manner_zh="两个回答里，总是偏向先出现的那个",
            judges="first",
        ),
        replace(
            _JUDGE,
            name="judge-vague",
            manner="is asked for a verdict and gives none",
            manner_zh="被要求评判，却说不出结论",
            judges="vague",
        ),
    )
}

EXACT = Persona(
    name="exact",
    manner="exact, constant delays: sim/exact?ttft_ms=200&gap_ms=20&tokens=100&thinking=0&chunk=1&jitter=0",
    manner_zh="延迟精确不变",
    first=Delay(200 * MS),
    gap=Delay(20 * MS),
    length=Length(tokens=100),
)
"""Persona for calibration; its numbers are set in the model's name."""
