"""Tokens a second where nobody counted tokens: an estimate from characters, for those who ask for one.

It is a rule of thumb, wrong by a third either way: it is shown with `~`, in a remark, and never beside counted figures.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from runner.core.record import Record

CHARACTERS_PER_TOKEN = 4.0
"""Of alphabetic scripts, as vendors say of English."""

CJK_CHARACTERS_PER_TOKEN = 1.5
"""Of Chinese, Japanese and Korean script, as Chinese vendors say of Chinese."""

CJK = ((0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A target's median tokens a second, estimated from n replies without usage."""

    target: str
    output_tps: float
    n: int


def estimate_tokens(text: str) -> float:
    """Return about how many tokens a text may be."""
    cjk = sum(any(first <= ord(character) <= last for first, last in CJK) for character in text)
    return cjk / CJK_CHARACTERS_PER_TOKEN + (len(text) - cjk) / CHARACTERS_PER_TOKEN


def estimate_rates(records: Iterable[Record]) -> tuple[Estimate, ...]:
    """Return an estimate for each target that has timed replies without counted tokens."""
    rates: dict[str, list[float]] = defaultdict(list)
    for record in records:
        reply, cps = record.reply, record.output_cps
        if record.timed and record.output_tokens is None and cps is not None and reply:
            rates[record.identity.target].append(cps * estimate_tokens(reply) / len(reply))
    return tuple(Estimate(target, median(values), len(values)) for target, values in rates.items())
