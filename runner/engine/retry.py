"""Whether a failed attempt is worth another, and after how long. Pure: chance is an argument."""

from dataclasses import dataclass
from random import Random

from runner.events import Failed


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
