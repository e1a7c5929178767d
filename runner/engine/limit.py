"""How many requests a lane may have under way: a value, and how it answers to what happens. Pure.

It halves when a provider says that it is asked too much, and climbs back by one for every round of successes. What
was sent before the last cut says nothing about the width since, and so cuts nothing and lifts nothing.
"""

from dataclasses import dataclass, replace

WIDEST = 256
"""A limit that is allowed to grow grows no further."""

NEVER_NS = -(2**63)


@dataclass(frozen=True, slots=True)
class Limit:
    """A lane's width now. `ceiling` is what was set: the width returns to it, and passes it only if `adaptive`."""

    ceiling: int
    width: int
    adaptive: bool = False
    successes: int = 0
    """Good replies since the width last changed."""
    cut_ns: int = NEVER_NS
    """When the width was last halved."""
    closed_until_ns: int = NEVER_NS
    """Nothing is sent before this time, by anybody in the lane."""

    @property
    def highest(self) -> int:
        """How far the width may climb."""
        return max(self.ceiling, WIDEST) if self.adaptive else self.ceiling


def fix(width: int, *, adaptive: bool = False) -> Limit:
    """Return a limit that nothing has happened to yet."""
    return Limit(width, width, adaptive)


def reset(limit: Limit, width: int) -> Limit:
    """Return a limit of another width, as at the next level of a sweep; a pause that was asked for goes on."""
    return Limit(width, width, limit.adaptive, closed_until_ns=limit.closed_until_ns)


def refuse(limit: Limit, *, sent_ns: int, at_ns: int, wait_s: float) -> Limit:
    """Halve after a refusal, and close the lane for as long as was asked for; the longest wish wins."""
    closed_until_ns = max(limit.closed_until_ns, at_ns + round(wait_s * 1e9))
    if sent_ns < limit.cut_ns:
        return replace(limit, closed_until_ns=closed_until_ns)
    width = max(limit.width // 2, 1)
    return replace(limit, width=width, successes=0, cut_ns=at_ns, closed_until_ns=closed_until_ns)


def succeed(limit: Limit, *, sent_ns: int, in_flight: int) -> Limit:
    """Climb by one when as many replies were good as the lane is wide.

    Beyond the ceiling a lane grows only where it was full: an idle one has shown nothing.
    """
    if sent_ns < limit.cut_ns or limit.width >= limit.highest:
        return limit
    if limit.width >= limit.ceiling and in_flight < limit.width:
        return limit
    if limit.successes + 1 < limit.width:
        return replace(limit, successes=limit.successes + 1)
    return replace(limit, width=limit.width + 1, successes=0)
