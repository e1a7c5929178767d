"""The limits of a lane: on requests in flight, and on requests and tokens per minute. Pure.

The concurrency limit halves when a provider reports overload (429), and rises by one after each round of successes.
Requests sent before the last cut carry no information on the width after it, so they neither lower nor raise it. Rate
limits are sliding windows over the requests or tokens sent.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Self

from runner.core.token_estimate import RATE_LIMIT
from runner.planning.request import Request
from runner.planning.request_size import counted_texts, likely_file_tokens

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


MINUTE_NS = 60_000_000_000

MARGIN_NS = 1_000_000_000
"""Margin added to a minute: providers count arrivals, and the time between a permit and the arrival varies."""

SPAN_NS = MINUTE_NS + MARGIN_NS

UNKNOWN_REPLY = 1000
"""Number of tokens expected of a target's first reply, if nothing limits its length."""

REMEMBERED = 20
"""Number of a target's latest replies; the next one is expected to be as long as the longest of them."""


@dataclass(slots=True)
class WindowEntry:
    """An amount taken from a window at a time; it may be corrected until it expires."""

    at_ns: int
    amount: int
    expired: bool = False


@dataclass(slots=True)
class RateWindow:
    """A limit on the amount in any minute. An amount above the limit is sent alone, since waiting would not help."""

    limit: int
    _entries: deque[WindowEntry] = field(default_factory=deque)
    _total: int = 0

    def opens_at(self, amount: int, now_ns: int) -> int:
        """Return the earliest time, not before `now_ns`, at which an amount may be sent."""
        self._expire(now_ns)
        excess = self._total + amount - self.limit
        opens_ns = now_ns
        for entry in self._entries:
            if excess <= 0:
                break
            excess -= entry.amount
            opens_ns = entry.at_ns + SPAN_NS
        return opens_ns

    def take(self, amount: int, now_ns: int) -> WindowEntry:
        """Add an amount that is sent now."""
        entry = WindowEntry(now_ns, amount)
        self._entries.append(entry)
        self._total += amount
        return entry

    def correct(self, entry: WindowEntry, amount: int) -> None:
        """Replace an entry's estimated amount by the real one."""
        if not entry.expired:
            self._total += amount - entry.amount
            entry.amount = amount

    def _expire(self, now_ns: int) -> None:
        while self._entries and self._entries[0].at_ns + SPAN_NS <= now_ns:
            entry = self._entries.popleft()
            entry.expired = True
            self._total -= entry.amount


@dataclass(slots=True)
class TokenEstimate:
    """Estimates the tokens that requests of a lane will use, from what its targets have used so far.

    The estimate is high rather than low: the excess is given back when the usage is known.
    """

    _used: dict[str, deque[int]] = field(default_factory=dict)

    def expect(self, request: Request) -> int:
        """Return the number of tokens that a request is expected to send and receive."""
        sent = list(request.as_sent.conversation())
        parameters = request.parameters
        reply = parameters.max_tokens  # providers count all of it when a request arrives
        if reply is None:
            reply = max(self._used.get(request.target.name, ()), default=UNKNOWN_REPLY)
        return RATE_LIMIT.of_messages(counted_texts(sent, parameters)) + likely_file_tokens(sent) + reply

    def learn(self, target: str, output_tokens: int) -> None:
        """Record the number of tokens of a reply."""
        self._used.setdefault(target, deque(maxlen=REMEMBERED)).append(output_tokens)
