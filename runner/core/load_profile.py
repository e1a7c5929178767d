"""The load profile of a run: rate, arrivals, limits and levels of concurrency."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Literal, Self, get_args

from runner.errors import CompareError

Arrivals = Literal["constant", "poisson"]
ARRIVALS: tuple[Arrivals, ...] = get_args(Arrivals)

Release = Literal["together", "lead", "free", "scheduled"]
"""How lanes keep together. `together`: all targets of a case begin one right after the other, in shuffled order;
`lead`: a lane may be a number of rounds ahead of the slowest one; `free`: no lane waits for another; `scheduled`: an
open loop's clock says when each target is asked."""

RampSetting = float | Literal["auto", "none"]
"""How the places of a closed loop open: over so many seconds, over the mean time that a conversation takes, which is
measured, or all at once."""

CONCURRENCY = 4
"""The default number of requests in flight in each lane, the same for all providers."""

OPEN_LOOP_CONCURRENCY = 1000
"""The default under a rate, where requests do not wait for replies; it only limits those to a dead server."""

RAMP_S = "ramp_s"
"""The member of a header with a ramp of a number of seconds."""

ROUNDS_A_LEVEL = 1_000_000
"""Numbers reserved for the rounds of each level of a sweep without a limit on rounds."""


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """The load that a run puts on its targets; the defaults are those of a plain comparison.

    Raises:
        CompareError: a value is out of range, or two exclude each other.

    """

    lead: int | None = None
    """The number of rounds by which a lane may be ahead of the slowest one, in the order `blocks`; None where the
    targets of a case begin together."""
    adaptive: bool = False
    """Whether a lane's concurrency may grow beyond its setting."""
    rate: float | None = None
    """Conversations started per second with each target, whether or not earlier ones have ended."""
    arrivals: Arrivals = "constant"
    """The spacing of starts under a rate: even, or random as by independent callers."""
    duration_s: float | None = None
    """Start no request after this many seconds since the start of the run; in a sweep, of each level."""
    max_requests: int | None = None
    """Send at most this many requests, warm-ups and repeated attempts not counted; in a sweep, at each level."""
    ramp: RampSetting = "none"
    """How the places of a closed loop open, at each level of a sweep those that it adds; in a header `ramp_s`, if it is
    a number of seconds."""
    levels: tuple[int, ...] = ()
    """The concurrencies of a sweep, each held for a whole pass; empty for no sweep."""
    spread_s: float | None = None
    """The seconds over which rounds are spread, each beginning at a random moment of its part; None for one after the
    other."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        problem = next(self._problems(), None)
        if problem is not None:
            raise CompareError(problem)

    def _problems(self) -> Iterator[str]:
        if self.lead is not None and self.lead < 0:
            yield f"lead must be 0 or more, not {self.lead}"
        if not _is_positive(self.rate):
            yield f"rate must be more than 0 per second, not {self.rate}"
        if not _is_positive(self.duration_s):
            yield f"duration must be more than 0 s, not {self.duration_s} s"
        if not _is_ramp(self.ramp):
            yield f"a ramp must be more than 0 s, auto or none, not {self.ramp}"
        if not _is_positive(self.max_requests):
            yield f"the number of requests must be 1 or more, not {self.max_requests}"
        if not _is_positive(self.spread_s):
            yield f"a spread must be more than 0 s, not {self.spread_s} s"
        if self.arrivals not in ARRIVALS:
            yield f"arrivals must be {' or '.join(ARRIVALS)}, not {self.arrivals}"
        if any(level < 1 for level in self.levels) or len(set(self.levels)) < len(self.levels):
            yield "each level of a sweep is a number of requests in flight: give 1 or more, and each only once"
        yield from self._contradictions()

    def _contradictions(self) -> Iterator[str]:
        if self.ramp != "none" and self.rate is not None:
            yield "a ramp opens places in flight, a rate starts requests whatever is in flight: choose one of the two"
        if self.levels and self.rate is not None:
            yield "a sweep sets the requests in flight, a rate the requests per second: choose --sweep or --rate"
        if self.levels and self.adaptive:
            yield "a sweep keeps the concurrency of each level, --adaptive changes it: choose one of the two"

    @property
    def is_bounded(self) -> bool:
        """Whether a duration or a number of requests ends the run, so that the number of rounds may be unlimited."""
        return self.duration_s is not None or self.max_requests is not None

    @property
    def has_steady_state(self) -> bool:
        """Whether the run is a closed loop of which what was sent before and after its steady state is left out.

        It is a sweep, or has a ramp, or a duration or a number of requests ends it.
        """
        is_closed_loop = self.rate is None and not self.adaptive
        return is_closed_loop and (bool(self.levels) or self.is_bounded or self.ramp != "none")

    def release(self, order: str) -> Release:
        """Return how lanes keep together in a run with this load and order.

        In a sweep each lane has to be as full as its level says, so lanes do not wait for each other.
        """
        if self.rate is not None:
            return "scheduled"
        if order != "blocks":
            return "free"
        if self.lead is not None:
            return "lead"
        return "free" if self.levels else "together"

    @property
    def concurrency(self) -> int:
        """The concurrency of a lane for which neither its row nor the user sets one."""
        return CONCURRENCY if self.rate is None else OPEN_LOOP_CONCURRENCY

    def to_plain(self) -> dict[str, Any]:
        """Return the values that differ from their defaults as plain data, for a journal's header."""
        values = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        changed = {spec.name: values[spec.name] for spec in fields(self) if values[spec.name] != spec.default}
        return {RAMP_S if name == "ramp" and value != "auto" else name: value for name, value in changed.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the load profile in a header; names that this version does not know are ignored."""
        plain = {"ramp": plain[RAMP_S], **plain} if RAMP_S in plain else plain
        known = {spec.name: plain[spec.name] for spec in fields(cls) if spec.name in plain}
        return cls(**{**known, "levels": tuple(known.get("levels", ()))})


def _is_ramp(value: RampSetting) -> bool:
    return value in {"auto", "none"} if isinstance(value, str) else _is_positive(value)


def _is_positive(value: float | None) -> bool:
    return value is None or 0 < value < inf


def rounds_a_level(repeat: int | None) -> int:
    """Return the number of round numbers that each level of a sweep has; `repeat` is None without a limit."""
    return ROUNDS_A_LEVEL if repeat is None else repeat


def level_of(round_number: int, levels: Sequence[int], repeat: int | None) -> int:
    """Return the concurrency of a round.

    Rounds count from 1. The first level has the first `repeat` numbers, or without a limit on rounds the first
    `ROUNDS_A_LEVEL`; the next level those after them.
    """
    return levels[(round_number - 1) // rounds_a_level(repeat)]
