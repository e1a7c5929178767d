"""Rounds spread over a span of hours: each begins at a random moment of a part of its own. Pure, with the time given.

Moments are times of day, which a sleeping machine and a restarted run keep; durations are measured by another clock.
Stratified: a span of twelve rounds has one in each twelfth, so that no part of a day is left to chance, and a moment
within it that no cron job shares.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

LONGEST_WAIT_NS = 20_000_000_000
"""A machine may sleep, and its clock may be set: the time of day is looked at as often as this."""


@dataclass(frozen=True, slots=True)
class Spread:
    """When the rounds of a run begin. `origin_s` is when the run did; times are seconds since 1970."""

    origin_s: float
    span_s: float
    rounds: int
    seed: int
    now_s: Callable[[], float]
    """Returns the time of day."""

    def moment_s(self, round_number: int) -> float:
        """Return when a round begins, from 1; the same for every run with this origin and seed."""
        share = Random(f"spread/{self.seed}/{round_number}").random()  # noqa: S311 -- a moment, not a secret
        return self.origin_s + (round_number - 1 + share) * self.span_s / self.rounds

    def opens_at(self, round_number: int, now_ns: int) -> int:
        """Return when to look again whether a round may begin, on the clock of `now_ns`; now if its moment has passed.

        A moment that passed during a sleep, a stop or a long round is not made up for: the round begins at once.
        """
        left_ns = round((self.moment_s(round_number) - self.now_s()) * 1e9)
        return now_ns + min(max(left_ns, 0), LONGEST_WAIT_NS)
