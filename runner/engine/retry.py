"""Retry policy: whether to repeat a failed attempt, after how long, and how long its lane pauses. Pure."""

from dataclasses import dataclass, replace
from random import Random

from runner.core.events import Failed, Outcome

ABSURD_WAIT_S = 3600.0
"""Requested wait above which a lane does not pause: it is a date read as a duration, or a cap of days."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` attempts; waits double from `first_wait_s` up to `longest_wait_s` seconds."""

    attempts: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0

    def wait_s(self, failed: Failed, attempts: int, random: Random) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        A Retry-After of up to `longest_wait_s` is observed. A longer one means giving up, since an earlier attempt
        would be refused again. Jitter only lengthens a wait, so that Retry-After is never undercut.
        """
        if not failed.worth_repeating or attempts >= self.attempts:
            return None
        requested_s = failed.retry_after_s
        if requested_s is not None and requested_s > self.longest_wait_s:
            return None
        backoff_s = min(self.first_wait_s * 2.0 ** (attempts - 1), self.longest_wait_s)
        return max(backoff_s, requested_s or 0.0) * (1 + 0.25 * random.random())

    def pause_s(self, failed: Failed, retry_s: float | None) -> float:
        """Return the seconds for which a whole lane sends nothing after one of its requests was refused.

        The pause is the provider's Retry-After, up to `longest_wait_s`. A Retry-After above `ABSURD_WAIT_S` causes no
        pause: no run waits for days, and the row states it. After a 429 the pause is at least as long as the refused
        request's own wait: `retry_s` seconds, or None if it gives up.
        """
        requested_s = failed.retry_after_s or 0.0
        requested_s = 0.0 if requested_s > ABSURD_WAIT_S else min(requested_s, self.longest_wait_s)
        return max(requested_s, retry_s or 0.0) if failed.outcome is Outcome.RATE_LIMITED else requested_s


def with_requested_wait(failed: Failed) -> Failed:
    """Return the failure with the requested wait in its message, for a wait too long to be waited for."""
    asked_s = failed.retry_after_s or 0.0
    spans = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0))
    unit, size_s = next(((unit, size) for unit, size in spans if asked_s >= 2 * size), ("seconds", 1.0))
    return replace(
        failed, message=f"{failed.message} (asks for a wait of {asked_s / size_s:.3g} {unit}, not waited for)"
    )
