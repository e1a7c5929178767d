"""Rounds spread over a span of hours: each begins at a random time within its own part of the span. Pure.

Times are times of day, which survive a sleep of the machine and a restart of the run; durations use another clock. The
sampling is stratified: with twelve rounds, each twelfth of the span has one round, so that no part of a day is left to
chance. The random time within the part avoids coinciding with cron jobs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

LONGEST_WAIT_NS = 20_000_000_000
"""Longest time between two looks at the time of day: a machine may sleep, and its clock may be set."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The start times of a run's rounds. `origin_s` is the start of the run; times are seconds since 1970."""

    origin_s: float
    span_s: float
    rounds: int
    seed: int
    now_s: Callable[[], float]
    """Returns the time of day."""

    def start_time_s(self, round_number: int) -> float:
        """Return the start time of a round, counted from 1; it is the same in every run with this origin and seed."""
        share = Random(f"spread/{self.seed}/{round_number}").random()  # noqa: S311 -- a moment, not a secret
        return self.origin_s + (round_number - 1 + share) * self.span_s / self.rounds

    def opens_at(self, round_number: int, now_ns: int) -> int:
        """Return `now_ns` if a round may begin; otherwise the time at which to check again, on the same clock.

        A round whose time passed during a sleep, a stop or a long round begins at once.
        """
        left_ns = round((self.start_time_s(round_number) - self.now_s()) * 1e9)
        return now_ns + min(max(left_ns, 0), LONGEST_WAIT_NS)
