"""Observers of a run: the methods that a view overrides, and observers that forward calls or count requests."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from runner.core.conversation_state import CompletedRequestCount
from runner.core.events import Event
from runner.core.record import Record
from runner.planning.plan import Plan
from runner.planning.request import Request, Target


class Observer:
    """Ignores everything; subclasses override what they need. Calls share the loop that measures: keep them short."""

    watches_text = False
    """Whether `received` is wanted: decoding early for a live view costs time."""

    def planned(self, plan: Plan) -> None:
        """Handle the whole plan, before the run starts."""

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Handle the number of requests, by target, that an earlier part of a resumed run has completed."""

    def connected(self, provider: str, connections: int) -> None:
        """Handle the connections opened to a provider, before the first request."""

    def lane_opened(self, lane: str, targets: Sequence[Target], limit: int) -> None:
        """Handle a lane, its targets and its concurrency limit, before the first request."""

    def limit_changed(self, lane: str, limit: int, why: str) -> None:
        """Handle a lane's new concurrency limit."""

    def lane_paused(self, lane: str, wait_s: float, why: str) -> None:
        """Handle a pause, in seconds, in which a lane sends nothing."""

    def round_awaited(self, number: int, begins_s: float, last_begins_s: float) -> None:
        """Handle a round that waits for its moment, and when the last one begins, in seconds since 1970."""

    def started(self, request: Request) -> None:
        """Handle a request that has left its lane."""

    def received(self, request: Request, event: Event) -> None:
        """Handle an event of a response, soon after it arrived."""

    def finished(self, record: Record) -> None:
        """Handle the record of a finished request; the journal holds it already."""

    def still_working(self, line: str) -> None:
        """Handle a progress line on long work after the last request; called from another thread."""


class ForwardingObserver(Observer, ABC):
    """Turns every call into one value, which a subclass passes on to other observers."""

    @abstractmethod
    def forward(self, call: Callable[[Observer], None]) -> None:
        """Apply `call` to each observer that should see it, now or later."""

    def planned(self, plan: Plan) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.planned(plan))

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.resumed(recorded))

    def connected(self, provider: str, connections: int) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.connected(provider, connections))

    def lane_opened(self, lane: str, targets: Sequence[Target], limit: int) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.lane_opened(lane, targets, limit))

    def limit_changed(self, lane: str, limit: int, why: str) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.limit_changed(lane, limit, why))

    def lane_paused(self, lane: str, wait_s: float, why: str) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.lane_paused(lane, wait_s, why))

    def round_awaited(self, number: int, begins_s: float, last_begins_s: float) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.round_awaited(number, begins_s, last_begins_s))

    def started(self, request: Request) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.started(request))

    def received(self, request: Request, event: Event) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.received(request, event))

    def finished(self, record: Record) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.finished(record))

    def still_working(self, line: str) -> None:
        """Forward the call."""
        self.forward(lambda observer: observer.still_working(line))


class CompositeObserver(ForwardingObserver):
    """Passes each call on to several observers, one after the other."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._text_watchers = tuple(observer for observer in observers if observer.watches_text)
        self.watches_text = bool(self._text_watchers)

    def forward(self, call: Callable[[Observer], None]) -> None:
        """Apply a call to all observers."""
        for observer in self._observers:
            call(observer)

    def received(self, request: Request, event: Event) -> None:
        """Pass an event on to the observers that watch text."""
        for observer in self._text_watchers:
            observer.received(request, event)


class StopRule(Observer, ABC):
    """Decides before each conversation whether it may start; observes records, those of a resumed run first."""

    @abstractmethod
    def __call__(self) -> str | None:
        """Return why to stop, in a clause; None allows one more conversation."""

    def refuse_warmup(self) -> str | None:
        """Return why no warm-up request and no probe may be sent, in a clause; None allows one more."""
        return None


class RequestCounts(Observer):
    """An observer that counts requests, except warm-up requests; subclasses show the counts."""

    def __init__(self) -> None:
        self.done = self.failed = 0
        self.total: int | None = None
        """Maximum number of requests; None if it is not known."""
        self._completed: CompletedRequestCount | None = None

    def planned(self, plan: Plan) -> None:
        """Add the requests of a plan to the total."""
        self._completed = CompletedRequestCount(plan.cases)
        self.total = None if plan.requests is None else self.done + plan.requests

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Subtract the completed requests from the total."""
        self.total = None if self.total is None else self.total - sum(recorded.values())

    def finished(self, record: Record) -> None:
        """Count a request as done, and subtract requests that its conversation no longer sends from the total."""
        if record.warmup:
            return
        self.done += 1
        self.failed += record.failed
        if self.total is not None and self._completed is not None:
            self.total -= self._completed.left_out(record)
