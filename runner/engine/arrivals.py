"""When an open loop sends: at times that no reply can move. Pure."""

from collections.abc import Iterator
from itertools import count
from random import Random

from runner.core.load import Arrivals


def arrival_times(rate: float, arrivals: Arrivals, seed: int, phase: float = 0.0) -> Iterator[int]:
    """Yield nanoseconds since the start, ascending, without end.

    Args:
        rate: arrivals a second, in the mean.
        arrivals: evenly spaced, or with the exponential gaps of a Poisson process.
        seed: decides the gaps: every target meets the same ones.
        phase: moves all times by a part of the mean gap, so that targets do not send at one instant.

    """
    gap_ns = 1e9 / rate
    if arrivals == "constant":
        return (round((number + phase) * gap_ns) for number in count())
    return _poisson(gap_ns, Random(f"arrivals/{seed}"), phase * gap_ns)  # noqa: S311 -- a load, not a secret


def _poisson(gap_ns: float, chance: Random, at_ns: float) -> Iterator[int]:
    while True:
        at_ns += chance.expovariate(1 / gap_ns)
        yield round(at_ns)
