"""A lane: the requests to one provider, or to a model with limits of its own, and when each of them may be sent.

Pure: time is an argument, in nanoseconds of any monotonic clock. `permit_queue` does the waiting.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.core.load_profile import RampSetting
from runner.engine.lane_limits import ConcurrencyLimit, RateWindow, TokenEstimate, WindowEntry
from runner.planning.request import Request


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to send a request once, given at `at_ns`; `in_flight` counts the lane's requests with this one."""

    target: str
    at_ns: int
    in_flight: int
    tokens: WindowEntry | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A place in a lane's queue, for another attempt or a later turn of a conversation. No two are equal."""

    request: Request


@dataclass(frozen=True, slots=True)
class Ramp:
    """The opening of a lane's places: the first `before` at once, the others one by one over `span_ns`.

    `span_ns` is None while it depends on the duration of a conversation and none has ended yet. Until then only the
    first `before` places are open, and at least one.
    """

    before: int
    start_ns: int
    span_ns: int | None

    def opens_at(self, place: int, width: int) -> int | None:
        """Return when a place, counted from 0, of a lane with `width` places opens; None if that is not known yet."""
        if place < max(self.before, self.span_ns is None):
            return self.start_ns
        if self.span_ns is None:
            return None
        return self.start_ns + self.span_ns * (place - self.before) // max(1, width - self.before)


@dataclass(slots=True)
class HeldPlaces:
    """The total time for which conversations that have ended held their places, and their number."""

    total_ns: int = 0
    ended: int = 0

    def add(self, held_ns: int) -> None:
        """Add a conversation that has ended."""
        self.total_ns += held_ns
        self.ended += 1

    @property
    def mean_ns(self) -> int | None:
        """Mean time for which a place was held; None if no conversation has ended."""
        return self.total_ns // self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class LevelOpening:
    """A lane's change to a level of load: when it began, and when the last of its places opens.

    `measured` is the number of conversations whose mean duration is the ramp's length; 0 if it was not measured.
    """

    width: int
    at_ns: int
    open_ns: int
    measured: int


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A lane's concurrency limit before and after a change."""

    at_ns: int
    before: int
    after: int
    why: str


@dataclass(slots=True)
class Lane:
    """The limits that requests share: in flight, and per minute. One lane never delays another.

    `in_flight` counts requests whose response has not ended, `conversations` those that have begun and not ended. A
    conversation that waits between two attempts keeps its place; otherwise a provider that fails at once would be sent
    ever more requests.
    """

    provider: str
    limit: ConcurrencyLimit
    model: str | None = None
    requests: RateWindow | None = None
    tokens: RateWindow | None = None
    in_flight: int = 0
    conversations: int = 0
    ramp: Ramp | None = None
    _entered_ns: int = 0
    _held: HeldPlaces = field(default_factory=HeldPlaces)
    """Times of the conversations that ended at this level; they determine the ramp of the next level."""
    _opening: LevelOpening | None = None
    _waiters: deque[Waiter] = field(default_factory=deque)
    _estimate: TokenEstimate = field(default_factory=TokenEstimate)

    @property
    def name(self) -> str:
        """The lane's name: its provider, or provider/model."""
        return self.provider if self.model is None else f"{self.provider}/{self.model}"

    @property
    def is_full(self) -> bool:
        """Whether all places are taken, so that no conversation may begin until one ends."""
        return self.conversations >= self.limit.width

    def may_begin_at(self, request: Request, now_ns: int) -> int | None:
        """Return when a new conversation may begin; None if something in the lane must end first.

        Conversations that have begun take precedence.
        """
        if self._waiters or self.is_full:
            return None
        opens_ns = self._opens_at(request, now_ns)
        if opens_ns is None or self.ramp is None:
            return opens_ns
        place_ns = self.ramp.opens_at(self.conversations, self.limit.width)
        return None if place_ns is None else max(opens_ns, place_ns)

    def enter_level(self, width: int | None, ramp: RampSetting, now_ns: int) -> LimitChange | None:
        """Change to a level of load, whose new places open over a ramp; return the change of the limit.

        Args:
            width: the level's limit; None keeps the lane's own.
            ramp: how places open. `auto` uses the mean duration of the conversations that ended since the previous
                level began. If none did, it uses that of the next one that ends; until then no further place opens.
            now_ns: the current time.

        """
        before = 0 if self.ramp is None else self.limit.width
        change = None
        if width is not None:
            change = self.set_limit(self.limit.at_level(width), now_ns, f"the sweep is at {width}")
        held, self._held = self._held, HeldPlaces()
        self._entered_ns = now_ns
        if ramp == "none" or self.limit.width <= max(before, 1):
            self._open_places(before, now_ns, 0)
        elif ramp == "auto":
            self._open_places(before, now_ns, held.mean_ns, held.ended)
        else:
            self._open_places(before, now_ns, round(ramp * 1e9))
        return change

    def _open_places(self, before: int, now_ns: int, span_ns: int | None, measured: int = 0) -> None:
        """Start the ramp of the level's places; `span_ns` is None if its length is not known yet."""
        self.ramp = Ramp(before, now_ns, span_ns)
        if span_ns is not None:
            self._opening = LevelOpening(self.limit.width, self._entered_ns, now_ns + span_ns, measured)

    def take_opening(self) -> LevelOpening | None:
        """Return the opening of the lane's level, once, when the opening of its last place is known; otherwise None."""
        opening, self._opening = self._opening, None
        return opening

    def begin(self, request: Request, now_ns: int) -> Permit:
        """Begin a conversation: permit its first request."""
        self.conversations += 1
        return self._permit(request, now_ns)

    def end(self, now_ns: int, held_ns: int | None = None) -> None:
        """Free the place of a conversation; `held_ns` is its duration, None if it has not ended."""
        self.conversations -= 1
        if held_ns is None:
            return
        self._held.add(held_ns)
        if self.ramp is not None and self.ramp.span_ns is None:
            self._open_places(self.ramp.before, now_ns, held_ns, 1)

    def rejoin(self) -> None:
        """Take a place for a conversation that gave its place up for a pause, even if none is free."""
        self.conversations += 1

    @property
    def first_waiter(self) -> Waiter | None:
        """The first place in the queue; None if nobody waits."""
        return self._waiters[0] if self._waiters else None

    def enqueue(self, request: Request) -> Waiter:
        """Add a request to the queue, for another attempt or a later turn."""
        waiter = Waiter(request)
        self._waiters.append(waiter)
        return waiter

    def may_send_at(self, waiter: Waiter, now_ns: int) -> int | None:
        """Return when a waiter may send; None if others precede it, or something in the lane must end first."""
        return self._opens_at(waiter.request, now_ns) if self._waiters[0] is waiter else None

    def admit(self, waiter: Waiter, now_ns: int) -> Permit:
        """Take the first waiter out of the queue and permit its request."""
        self.withdraw(waiter)
        return self._permit(waiter.request, now_ns)

    def withdraw(self, waiter: Waiter) -> None:
        """Take a waiter out of the queue."""
        self._waiters.remove(waiter)

    def _opens_at(self, request: Request, now_ns: int) -> int | None:
        if self.in_flight >= self.limit.width:
            return None
        opens_ns = max(now_ns, self.limit.closed_until_ns)
        return max([opens_ns, *(window.opens_at(amount, now_ns) for window, amount in self.rates_for(request))])

    def rates_for(self, request: Request) -> Iterator[tuple[RateWindow, int]]:
        """Yield the limits per minute that a request counts towards, each with the amount expected of the request."""
        if self.requests is not None:
            yield self.requests, 1
        if self.tokens is not None:
            yield self.tokens, self._estimate.expect(request)

    def _permit(self, request: Request, now_ns: int) -> Permit:
        self.in_flight += 1
        if self.requests is not None:
            self.requests.take(1, now_ns)
        entry = None if self.tokens is None else self.tokens.take(self._estimate.expect(request), now_ns)
        return Permit(request.target.name, now_ns, self.in_flight, entry)

    def release(self, permit: Permit, *, input_tokens: int | None = None, output_tokens: int | None = None) -> None:
        """Give a permit back after its attempt, with the number of tokens used if the provider reported it."""
        self.in_flight -= 1
        if self.tokens is None or permit.tokens is None or output_tokens is None:
            return
        self._estimate.learn(permit.target, output_tokens)
        if input_tokens is not None:
            self.tokens.correct(permit.tokens, input_tokens + output_tokens)

    def note_refusal(self, permit: Permit, now_ns: int, *, wait_s: float, why: str) -> LimitChange | None:
        """Halve the limit and close the lane for `wait_s` seconds; return the change of the limit, if there is one."""
        limit = self.limit.after_refusal(sent_ns=permit.at_ns, at_ns=now_ns, wait_s=wait_s)
        return self.set_limit(limit, now_ns, why)

    def note_success(self, permit: Permit, now_ns: int) -> LimitChange | None:
        """Count a successful reply, which may raise the limit; return the change, if there is one."""
        limit = self.limit.after_success(sent_ns=permit.at_ns, in_flight=permit.in_flight)
        return self.set_limit(limit, now_ns, "a round of good replies")

    def set_limit(self, limit: ConcurrencyLimit, now_ns: int, why: str) -> LimitChange | None:
        """Replace the limit; return the change of the width, if there is one."""
        before, self.limit = self.limit.width, limit
        return None if before == limit.width else LimitChange(now_ns, before, limit.width, why)
