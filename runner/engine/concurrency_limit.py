"""A lane's limit on requests in flight, which refusals lower and successes raise again. Pure.

The limit halves when a provider reports overload, and rises by one after each round of successes. Requests sent before
the last cut carry no information on the width after it, so they neither lower nor raise it.
"""

from dataclasses import dataclass, replace
from typing import Self

WIDEST = 256
"""Width at which an adaptive limit stops growing."""

NEVER_NS = -(2**63)


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """A lane's current width. It returns to the configured `ceiling`, and exceeds it only if `adaptive`."""

    ceiling: int
    width: int
    adaptive: bool = False
    successes: int = 0
    """Number of successful replies since the width last changed."""
    cut_ns: int = NEVER_NS
    """Time at which the width was last halved."""
    closed_until_ns: int = NEVER_NS
    """Time before which no request of the lane is sent."""

    @classmethod
    def of(cls, width: int, *, adaptive: bool = False) -> Self:
        """Return the configured limit, before any reply."""
        return cls(width, width, adaptive)

    @property
    def highest(self) -> int:
        """The greatest width that the limit may reach."""
        return max(self.ceiling, WIDEST) if self.adaptive else self.ceiling

    def at_level(self, width: int) -> "ConcurrencyLimit":
        """Return the limit at the next level of a sweep; a pause that a provider asked for stays in force."""
        return ConcurrencyLimit(width, width, self.adaptive, closed_until_ns=self.closed_until_ns)

    def after_refusal(self, *, sent_ns: int, at_ns: int, wait_s: float) -> "ConcurrencyLimit":
        """Return the limit halved, and closed for `wait_s` seconds unless it is closed for longer already."""
        closed_until_ns = max(self.closed_until_ns, at_ns + round(wait_s * 1e9))
        if sent_ns < self.cut_ns:
            return replace(self, closed_until_ns=closed_until_ns)
        width = max(self.width // 2, 1)
        return replace(self, width=width, successes=0, cut_ns=at_ns, closed_until_ns=closed_until_ns)

    def after_success(self, *, sent_ns: int, in_flight: int) -> "ConcurrencyLimit":
        """Return the limit, raised by one if this success completes a round of as many successes as the width.

        Above the ceiling only successes of a full lane count: a half-empty lane does not show that it may grow.
        """
        if sent_ns < self.cut_ns or self.width >= self.highest:
            return self
        if self.width >= self.ceiling and in_flight < self.width:
            return self
        if self.successes + 1 < self.width:
            return replace(self, successes=self.successes + 1)
        return replace(self, width=self.width + 1, successes=0)
