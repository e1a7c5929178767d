"""So much in any minute, and no more: a sliding window over what was sent. Pure."""

from collections import deque
from dataclasses import dataclass, field

MINUTE_NS = 60_000_000_000

MARGIN_NS = 1_000_000_000
"""What is let go leaves a moment later, and not always the same moment: a provider must not see 61 s as 60."""

SPAN_NS = MINUTE_NS + MARGIN_NS


@dataclass(slots=True)
class WindowEntry:
    """What one request took, and when. The amount may turn out to have been another."""

    at_ns: int
    amount: int
    gone: bool = False


@dataclass(slots=True)
class Window:
    """At most `limit` in any span of a minute. An amount beyond the limit goes alone, since waiting would not help."""

    limit: int
    _entries: deque[WindowEntry] = field(default_factory=deque)
    _total: int = 0

    def opens_at(self, amount: int, now_ns: int) -> int:
        """Return the first moment, now or later, at which so much more may be sent."""
        self._forget(now_ns)
        excess = self._total + amount - self.limit
        opens_ns = now_ns
        for entry in self._entries:
            if excess <= 0:
                break
            excess -= entry.amount
            opens_ns = entry.at_ns + SPAN_NS
        return opens_ns

    def take(self, amount: int, now_ns: int) -> WindowEntry:
        """Note that so much is sent now."""
        entry = WindowEntry(now_ns, amount)
        self._entries.append(entry)
        self._total += amount
        return entry

    def correct(self, entry: WindowEntry, amount: int) -> None:
        """Put what a request really took in the place of what was expected."""
        if not entry.gone:
            self._total += amount - entry.amount
            entry.amount = amount

    def _forget(self, now_ns: int) -> None:
        while self._entries and self._entries[0].at_ns + SPAN_NS <= now_ns:
            entry = self._entries.popleft()
            entry.gone = True
            self._total -= entry.amount
