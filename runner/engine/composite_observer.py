"""Several who watch one run."""

from collections.abc import Mapping, Sequence

from runner.core.events import Event
from runner.core.record import Record
from runner.engine.observer import Observer
from runner.planning.plan import Plan, Request, Target


class CompositeObserver(Observer):
    """Passes on all that a run tells, to one after the other."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self.watches_text = any(observer.watches_text for observer in observers)

    def planned(self, plan: Plan) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.planned(plan)

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.resumed(recorded)

    def connected(self, provider: str, connections: int) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.connected(provider, connections)

    def started(self, request: Request) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.started(request)

    def heard(self, request: Request, event: Event) -> None:
        """Tell those who want to know."""
        for observer in self._observers:
            if observer.watches_text:
                observer.heard(request, event)

    def opened(self, lane: str, targets: Sequence[Target], limit: int) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.opened(lane, targets, limit)

    def limited(self, lane: str, limit: int, why: str) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.limited(lane, limit, why)

    def paused(self, lane: str, wait_s: float, why: str) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.paused(lane, wait_s, why)

    def finished(self, record: Record) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.finished(record)
