"""The load profile of a run: rate, arrivals, limits and levels of concurrency."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Literal, Self, get_args

from runner.core.non_default_fields import non_default_fields
from runner.errors import CompareError

Arrivals = Literal["constant", "poisson"]
ARRIVALS: tuple[Arrivals, ...] = get_args(Arrivals)

Release = Literal["together", "lead", "free", "scheduled"]
"""How the lanes are synchronised. `together`: the requests of a case start one right after the other for all targets,
in shuffled order. `lead`: a lane may be some rounds ahead of the slowest one. `free`: no lane waits for another.
`scheduled`: the clock of an open loop decides when each request starts."""

RampSetting = float | Literal["auto", "none"]
"""Ramp of a closed loop. A number: its slots open over that many seconds. `auto`: over the mean duration of a
conversation, as measured. `none`: all slots open at once."""

CLOSED_LOOP_CONCURRENCY = 4
"""Default number of requests in flight in each lane, the same for all providers."""

OPEN_LOOP_CONCURRENCY = 1000
"""Default under a rate. Requests do not wait for replies there, so it limits only requests to a dead server."""

RAMP_S = "ramp_s"
"""Member of a journal's header with the seconds of a ramp."""

ROUNDS_A_LEVEL = 1_000_000
"""Round numbers reserved for each level of a sweep without a limit on rounds."""


class WrongLoad(CompareError):
    """A load profile has values out of range, or values that exclude each other.

    Attributes:
        sentence: what is wrong, a line for each problem, with fields in braces, so that each interface can name them
            as its options.

    """

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        names = {spec.name: spec.name.removesuffix("_s") for spec in fields(LoadProfile)}
        super().__init__(sentence.format(**{**names, "levels": "sweep", "max_requests": "requests"}))


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """The load that a run puts on its targets; the defaults are those of a plain comparison.

    Raises:
        WrongLoad: a value is out of range, or two values exclude each other.

    """

    lead: int | None = None
    """Number of rounds by which a lane may be ahead of the slowest one, in the order `blocks`; None if the requests of
    a case start together."""
    adaptive: bool = False
    """Whether a lane's concurrency may grow beyond its setting."""
    rate: float | None = None
    """Conversations started per second with each target, whether or not earlier ones have ended."""
    arrivals: Arrivals = "constant"
    """Spacing of starts under a rate: even, or random as from independent callers."""
    duration_s: float | None = None
    """Seconds since the start of the run, or of each level of a sweep, after which no request starts."""
    max_requests: int | None = None
    """Most requests of the run, or of each level of a sweep; warm-ups and repeated attempts are not counted."""
    ramp: RampSetting = "none"
    """Ramp of a closed loop; at each level of a sweep it opens the slots that the level adds. A number of seconds is
    stored as `ramp_s` in a header."""
    levels: tuple[int, ...] = ()
    """Levels of concurrency of a sweep, each held for a whole pass; empty if the run is not a sweep."""
    spread_s: float | None = None
    """Seconds over which the rounds are spread, each starting at a random moment of its part of them; None if rounds
    follow each other directly."""

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        problems = "\n".join(self._problems())
        if problems:
            raise WrongLoad(problems)

    def _problems(self) -> Iterator[str]:
        if self.lead is not None and self.lead < 0:
            yield f"{{lead}} must be 0 or more, not {self.lead}"
        if not _is_positive(self.rate):
            yield f"{{rate}} must be more than 0 per second, not {self.rate}"
        if not _is_positive(self.duration_s):
            yield f"{{duration_s}} must be more than 0 s, not {self.duration_s} s"
        if not _is_ramp(self.ramp):
            yield f"{{ramp}} must be more than 0 s, auto or none, not {_without_fields(self.ramp)}"
        if not _is_positive(self.max_requests):
            yield f"{{max_requests}} must be 1 or more, not {self.max_requests}"
        if not _is_positive(self.spread_s):
            yield f"{{spread_s}} must be more than 0 s, not {self.spread_s} s"
        if self.arrivals not in ARRIVALS:
            yield f"{{arrivals}} must be {' or '.join(ARRIVALS)}, not {_without_fields(self.arrivals)}"
        if any(level < 1 for level in self.levels) or len(set(self.levels)) < len(self.levels):
            yield "each level of {levels} is a number of requests in flight: give 1 or more, and each only once"
        yield from self._contradictions()

    def _contradictions(self) -> Iterator[str]:
        if self.levels and self.rate is not None:
            yield "{levels} sets how many requests are in flight, {rate} how many start; choose one of the two"
        if self.levels and self.adaptive:
            yield "{levels} keeps the concurrency of each level constant, {adaptive} changes it; choose one of the two"
        if self.ramp != "none" and self.rate is not None and not self.levels:
            yield (
                "{ramp} raises the number of requests in flight step by step, {rate} does not limit it; choose one of "
                "the two"
            )

    @property
    def is_bounded(self) -> bool:
        """Whether a duration or a number of requests ends the run, so that it needs no limit on rounds."""
        return self.duration_s is not None or self.max_requests is not None

    def has_steady_state(self, repeat: int | None) -> bool:
        """Return whether a run is a closed loop whose statistics use only the requests of its steady state.

        Such a run is a sweep, has a ramp, or is ended by a duration or a number of requests. In a run of `repeat`
        rounds, a number of requests is only a cap.
        """
        is_closed_loop = self.rate is None and not self.adaptive
        is_ended = self.duration_s is not None or (self.max_requests is not None and repeat is None)
        return is_closed_loop and (bool(self.levels) or is_ended or self.ramp != "none")

    def release(self, order: str) -> Release:
        """Return how the lanes are synchronised in a run with this load and order.

        In a sweep each lane has to hold its level of concurrency, so lanes do not wait for each other.
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
        """The default concurrency of a lane, used if neither its provider row nor the user sets one."""
        return CLOSED_LOOP_CONCURRENCY if self.rate is None else OPEN_LOOP_CONCURRENCY

    def to_plain(self) -> dict[str, Any]:
        """Return the values that differ from their defaults as plain data, for a journal's header."""
        changed = non_default_fields(self).items()
        return {RAMP_S if name == "ramp" and value != "auto" else name: value for name, value in changed}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the load profile stored in a header; unknown names are ignored."""
        plain = {"ramp": plain[RAMP_S], **plain} if RAMP_S in plain else plain
        known = {spec.name: plain[spec.name] for spec in fields(cls) if spec.name in plain}
        return cls(**{**known, "levels": tuple(known.get("levels", ()))})


def _without_fields(value: object) -> str:
    """Return a value as text for a sentence with fields in braces; a damaged header may hold braces."""
    return str(value).replace("{", "{{").replace("}", "}}")


def _is_ramp(value: RampSetting) -> bool:
    return value in {"auto", "none"} if isinstance(value, str) else _is_positive(value)


def _is_positive(value: float | None) -> bool:
    return value is None or 0 < value < inf


def rounds_a_level(repeat: int | None) -> int:
    """Return how many round numbers each level of a sweep has; `repeat` is None without a limit on rounds."""
    return ROUNDS_A_LEVEL if repeat is None else repeat


def level_of(round_number: int, levels: Sequence[int], repeat: int | None) -> int:
    """Return the concurrency of a round in a sweep.

    Rounds are numbered from 1. Each level has `repeat` consecutive numbers, or `ROUNDS_A_LEVEL` without a limit on
    rounds.
    """
    return levels[(round_number - 1) // rounds_a_level(repeat)]
