"""Tokens a second where nobody counted tokens: an estimate from characters, for those who ask for one.

It is a rule of thumb, wrong by a third either way: it is shown with `~`, in a remark, and never beside counted figures.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from runner.core.record import Record
from runner.core.token_estimate import likely_tokens


@dataclass(frozen=True, slots=True)
class Estimate:
    """A target's median tokens a second, estimated from n replies without usage."""

    target: str
    output_tps: float
    n: int


def estimate_rates(records: Iterable[Record]) -> tuple[Estimate, ...]:
    """Return an estimate for each target that has timed replies without counted tokens."""
    rates: dict[str, list[float]] = defaultdict(list)
    for record in records:
        reply, cps = record.reply, record.output_cps
        if record.timed and record.output_tokens is None and cps is not None and reply:
            rates[record.identity.target].append(cps * likely_tokens(reply) / len(reply))
    return tuple(Estimate(target, median(values), len(values)) for target, values in rates.items())
