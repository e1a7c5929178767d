"""Limits per minute: sliding windows over requests or tokens sent, and the tokens that a request counts for. Pure."""

from collections import deque
from dataclasses import dataclass, field

from runner.core.token_estimate import RATE_LIMIT
from runner.planning.plan import Request
from runner.planning.request_size import counted_texts, likely_file_tokens

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
        sent = list(request.opening_again.conversation())
        parameters = request.parameters
        reply = parameters.max_tokens  # providers count all of it when a request arrives
        if reply is None:
            reply = max(self._used.get(request.target.name, ()), default=UNKNOWN_REPLY)
        return RATE_LIMIT.of_messages(counted_texts(sent, parameters)) + likely_file_tokens(sent) + reply

    def learn(self, target: str, output_tokens: int) -> None:
        """Record the number of tokens of a reply."""
        self._used.setdefault(target, deque(maxlen=REMEMBERED)).append(output_tokens)
