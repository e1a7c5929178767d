"""A lane: those who wait for one provider, or for one model with limits of its own, and when each may go.

Pure: time is an argument, in nanoseconds of any clock that does not jump. Waiting is the door's affair.
"""

from collections import deque
from dataclasses import dataclass, field

from runner.engine.limit import Limit, refuse, succeed
from runner.engine.token_estimate import TokenEstimate
from runner.engine.window import Window, WindowEntry
from runner.planning.plan import Request


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send a request once, at `at_ns`; with it so many are under way."""

    target: str
    at_ns: int
    in_flight: int
    tokens: WindowEntry | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A place in the row of those who have begun and want to send again. No two claims are equal."""

    request: Request


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A lane's limit as it was and as it is."""

    at_ns: int
    before: int
    after: int
    why: str


@dataclass(slots=True)
class Lane:
    """One promise: so many at once, so many a minute. What is asked of one lane never holds up another.

    `in_flight` counts requests that are being sent or heard, `begun` conversations, of which some wait between two
    attempts: they keep their place, so that a provider that fails at once is not asked ever faster.
    """

    provider: str
    limit: Limit
    model: str | None = None
    requests: Window | None = None
    tokens: Window | None = None
    in_flight: int = 0
    begun: int = 0
    _claims: deque[Waiter] = field(default_factory=deque)
    _appetite: TokenEstimate = field(default_factory=TokenEstimate)

    @property
    def name(self) -> str:
        """What the lane is called: its provider, or provider/model."""
        return self.provider if self.model is None else f"{self.provider}/{self.model}"

    def begins_at(self, request: Request, now_ns: int) -> int | None:
        """Return when a new conversation may begin; None if something in the lane must end first.

        Those who have begun go first.
        """
        if self._claims or self.begun >= self.limit.width:
            return None
        return self._opens_at(request, now_ns)

    def begin(self, request: Request, now_ns: int) -> Permit:
        """Let a new conversation send its first request."""
        self.begun += 1
        return self._admit(request, now_ns)

    def end(self) -> None:
        """Give the place of a conversation free."""
        self.begun -= 1

    @property
    def first(self) -> Waiter | None:
        """Who is first in the row; None if nobody waits."""
        return self._claims[0] if self._claims else None

    def queue(self, request: Request) -> Waiter:
        """Get into the row for another attempt, or for a later turn."""
        claim = Waiter(request)
        self._claims.append(claim)
        return claim

    def returns_at(self, claim: Waiter, now_ns: int) -> int | None:
        """Return when a claim may go; None if others must go, or something must end, first."""
        return self._opens_at(claim.request, now_ns) if self._claims[0] is claim else None

    def readmit(self, claim: Waiter, now_ns: int) -> Permit:
        """Let the first of the row send."""
        self.withdraw(claim)
        return self._admit(claim.request, now_ns)

    def withdraw(self, claim: Waiter) -> None:
        """Leave the row."""
        self._claims.remove(claim)

    def _opens_at(self, request: Request, now_ns: int) -> int | None:
        if self.in_flight >= self.limit.width:
            return None
        opens_ns = max(now_ns, self.limit.closed_until_ns)
        if self.requests is not None:
            opens_ns = max(opens_ns, self.requests.opens_at(1, now_ns))
        if self.tokens is not None:
            opens_ns = max(opens_ns, self.tokens.opens_at(self._appetite.expect(request), now_ns))
        return opens_ns

    def _admit(self, request: Request, now_ns: int) -> Permit:
        self.in_flight += 1
        if self.requests is not None:
            self.requests.take(1, now_ns)
        entry = None if self.tokens is None else self.tokens.take(self._appetite.expect(request), now_ns)
        return Permit(request.target.name, now_ns, self.in_flight, entry)

    def leave(self, ticket: Permit, *, input_tokens: int | None = None, output_tokens: int | None = None) -> None:
        """Note that an attempt is over, and what it used, where the provider said so."""
        self.in_flight -= 1
        if self.tokens is None or ticket.tokens is None or output_tokens is None:
            return
        self._appetite.learn(ticket.target, output_tokens)
        if input_tokens is not None:
            self.tokens.correct(ticket.tokens, input_tokens + output_tokens)

    def refused(self, ticket: Permit, now_ns: int, *, wait_s: float, why: str) -> LimitChange | None:
        """Halve, and let nobody send until the wait is over; return the change if there is one."""
        return self._limit(refuse(self.limit, sent_ns=ticket.at_ns, at_ns=now_ns, wait_s=wait_s), now_ns, why)

    def succeeded(self, ticket: Permit, now_ns: int) -> LimitChange | None:
        """Count a good reply, which may widen the lane; return the change if it did."""
        limit = succeed(self.limit, sent_ns=ticket.at_ns, in_flight=ticket.in_flight)
        return self._limit(limit, now_ns, "a round of good replies")

    def set_limit(self, limit: Limit, now_ns: int, why: str) -> LimitChange | None:
        """Put another limit in force, as each level of a sweep does; return the change if there is one."""
        return self._limit(limit, now_ns, why)

    def _limit(self, limit: Limit, now_ns: int, why: str) -> LimitChange | None:
        before, self.limit = self.limit.width, limit
        return None if before == limit.width else LimitChange(now_ns, before, limit.width, why)
