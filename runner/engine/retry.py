"""Whether a failed attempt is worth another, after how long, and who else waits. Pure: chance is an argument."""

from dataclasses import dataclass
from random import Random

from runner.core.events import Failed, Outcome


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` tries; waits double from `first_wait_s` up to `longest_wait_s`."""

    attempts: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0

    def wait_s(self, failed: Failed, attempts: int, chance: Random) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        What a provider asks for by Retry-After is granted up to `longest_wait_s`; a longer wish means giving
        up, since repeating earlier would only be refused again. Jitter is upwards only, so that a wish is kept.
        """
        if not failed.worth_repeating or attempts >= self.attempts:
            return None
        wished_s = failed.retry_after_s
        if wished_s is not None and wished_s > self.longest_wait_s:
            return None
        backoff_s = min(self.first_wait_s * 2.0 ** (attempts - 1), self.longest_wait_s)
        return max(backoff_s, wished_s or 0.0) * (1 + 0.25 * chance.random())

    def pause_s(self, failed: Failed, retry_s: float | None) -> float:
        """Return the seconds for which all of a lane leaves a provider in peace after it refused one of them.

        That is as long as was asked for, up to `longest_wait_s`; where it only said that it is asked too often, as
        long as the request that was refused waits itself (`retry_s`, None if it gives up).
        """
        wished_s = min(failed.retry_after_s or 0.0, self.longest_wait_s)
        return max(wished_s, retry_s or 0.0) if failed.outcome is Outcome.RATE_LIMITED else wished_s
