"""How hard a run presses on those it asks: plain values, as a command, the engine and a header share them.

Not called `load`, which is the name of a public function of the package.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Literal, Self, get_args

from runner.errors import CompareError

Arrivals = Literal["constant", "poisson"]
ARRIVALS: tuple[Arrivals, ...] = get_args(Arrivals)

CONCURRENCY = 4
"""Requests under way in a lane where nobody said otherwise: equal load for all."""

OPEN_LOOP_CONCURRENCY = 1000
"""The same under a rate, whose point is that nothing waits for replies; it only keeps a dead server from taking all."""

BLOCKS_A_LEVEL = 1_000_000
"""Numbers set aside for each level of a sweep whose blocks have no end."""


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """The pressure of a run; what is at its default presses as a plain comparison does.

    Raises:
        CompareError: a value is out of range, or two exclude each other.

    """

    lead: int = 2
    """Blocks by which one lane may be ahead of the slowest, in the order `blocks`."""
    adaptive: bool = False
    """Whether a lane's limit may grow beyond what was set."""
    rate: float | None = None
    """Conversations begun a second with each target, whether or not earlier ones were answered."""
    arrivals: Arrivals = "constant"
    """How those are spaced: evenly, or at random as independent callers are."""
    duration_s: float | None = None
    """Begin nothing more after so many seconds; under a sweep, at each level."""
    max_requests: int | None = None
    """Ask no more than this in all, warm-ups and repeated attempts apart; under a sweep, at each level."""
    levels: tuple[int, ...] = ()
    """Concurrencies to hold one after the other, each for a whole pass; empty for none."""

    def __post_init__(self) -> None:
        """Refuse what nobody can mean."""
        wrong = next(self._contradictions(), None)
        if wrong is not None:
            raise CompareError(wrong)

    def _contradictions(self) -> Iterator[str]:
        if self.lead < 0:
            yield f"a lead of {self.lead} blocks is none: give 0 or more"
        if not _is_positive(self.rate):
            yield f"a rate of {self.rate} a second sends nothing: give more than 0"
        if not _is_positive(self.duration_s):
            yield f"a duration of {self.duration_s} s is none: give more than 0"
        if not _is_positive(self.max_requests):
            yield f"{self.max_requests} requests are none: give 1 or more"
        if self.arrivals not in ARRIVALS:
            yield f"arrivals are {' or '.join(ARRIVALS)}, not {self.arrivals}"
        if any(level < 1 for level in self.levels) or len(set(self.levels)) < len(self.levels):
            yield "a sweep's levels are requests at a time: give 1 or more each, and each but once"
        if self.levels and self.rate is not None:
            yield "a sweep sets how many requests are under way, a rate how many begin: choose --sweep or --rate"
        if self.levels and self.adaptive:
            yield "a sweep holds each level as it is, which --adaptive would not: choose one of the two"

    @property
    def is_bounded(self) -> bool:
        """Whether time or a number of requests ends the run, so that its blocks need no number."""
        return self.duration_s is not None or self.max_requests is not None

    @property
    def concurrency(self) -> int:
        """Requests that a lane may have under way where neither its row nor the user says it."""
        return CONCURRENCY if self.rate is None else OPEN_LOOP_CONCURRENCY

    @property
    def altered(self) -> dict[str, Any]:
        """The values that differ from their defaults, as a header holds them."""
        values = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {spec.name: values[spec.name] for spec in fields(self) if values[spec.name] != spec.default}

    @classmethod
    def of(cls, altered: Mapping[str, Any]) -> Self:
        """Return the load that a header tells of; what this version does not know is ignored."""
        known = {spec.name: altered[spec.name] for spec in fields(cls) if spec.name in altered}
        return cls(**{**known, "levels": tuple(known.get("levels", ()))})


def _is_positive(value: float | None) -> bool:
    return value is None or 0 < value < inf


def blocks_a_level(repeat: int | None) -> int:
    """Return how many block numbers each level of a sweep has to itself."""
    return BLOCKS_A_LEVEL if repeat is None else repeat


def level_of(block: int, levels: Sequence[int], repeat: int | None) -> int:
    """Return the concurrency at which a block was asked.

    Blocks count from 1. Those of the first level come first: as many as `repeat` says, or, where blocks had no end,
    the million numbers that are set aside for each level.
    """
    return levels[(block - 1) // blocks_a_level(repeat)]
