"""Queues of requests that wait for their lane, on the real clock; one for each lane of a provider."""

from dataclasses import dataclass, field
from time import perf_counter_ns

import anyio
import anyio.lowlevel

from runner.engine.lane_limits import ConcurrencyLimit, RateWindow
from runner.engine.provider_lane import Lane, Permit, Waiter
from runner.planning.request import Request
from runner.providers.provider_row import Limits, ProviderRow


@dataclass(slots=True)
class TimedEvent:
    """A reusable event that can be waited for until a deadline."""

    _event: anyio.Event | None = None
    """Event of the tasks that wait now; None if there are none, as most of the time."""

    def wake(self) -> None:
        """Wake every task that waits now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait_until(self, at_ns: int | None) -> None:
        """Wait for the event or the deadline, whichever comes first; None waits for the event alone."""
        left_s = None if at_ns is None else (at_ns - perf_counter_ns()) / 1e9
        if left_s is not None and left_s <= 0:
            await anyio.lowlevel.checkpoint()
            return
        self._event = self._event or anyio.Event()
        if left_s is None:
            await self._event.wait()
            return
        with anyio.move_on_after(left_s):
            await self._event.wait()


@dataclass(slots=True)
class LaneQueue:
    """The tasks that wait for one lane. Only those that may continue are woken: the first waiter, and `starts`."""

    lane: Lane
    starts: TimedEvent = field(default_factory=TimedEvent)
    """Event of the task that begins the lane's conversations."""
    _events: dict[Waiter, TimedEvent] = field(default_factory=dict)

    async def acquire(self, request: Request) -> Permit:
        """Wait for a permit to send a request, in the order of the calls."""
        waiter, event = self.lane.enqueue(request), TimedEvent()
        self._events[waiter] = event
        try:
            while (at_ns := self.lane.may_send_at(waiter, now_ns := perf_counter_ns())) is None or at_ns > now_ns:
                await event.wait_until(at_ns)
            return self.lane.admit(waiter, now_ns)
        except BaseException:
            self.lane.withdraw(waiter)
            raise
        finally:
            del self._events[waiter]
            self.wake()  # for the next waiter

    def wake(self) -> None:
        """Wake the tasks that may continue, after a change in the lane."""
        self.wake_waiter()
        self.starts.wake()

    def wake_waiter(self) -> None:
        """Wake only the first waiter, if no place for another conversation has become free."""
        first = self.lane.first_waiter
        if first is not None:
            self._events[first].wake()


@dataclass(slots=True)
class LaneQueues:
    """A provider's lanes: one for each model with limits of its own, and one that all other models share.

    A model with an entry of its own shares the limits that the entry omits with the provider's other models.
    """

    provider: str
    row: ProviderRow
    concurrency: int
    shared: LaneQueue = field(init=False)
    _own: dict[str, LaneQueue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the shared lane."""
        limit = ConcurrencyLimit.of(self.concurrency)
        requests, tokens = _window(self.row.requests_per_minute), _window(self.row.tokens_per_minute)
        self.shared = LaneQueue(Lane(self.provider, limit, requests=requests, tokens=tokens))

    def for_model(self, model: str) -> LaneQueue:
        """Return the queue for requests to a model."""
        limits = self.row.limits_of(model)
        if limits is None:
            return self.shared
        if model not in self._own:
            self._own[model] = LaneQueue(self._own_lane(model, limits))
        return self._own[model]

    def _own_lane(self, model: str, limits: Limits) -> Lane:
        shared = self.shared.lane
        return Lane(
            self.provider,
            ConcurrencyLimit.of(limits.concurrency or self.concurrency),
            model,
            requests=_window(limits.requests_per_minute) or shared.requests,
            tokens=_window(limits.tokens_per_minute) or shared.tokens,
        )


def _window(limit: int | None) -> RateWindow | None:
    return None if limit is None else RateWindow(limit)
