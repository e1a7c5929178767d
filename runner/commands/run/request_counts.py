"""Counts of a run's requests for a view: done, failed, and the maximum total."""

from collections.abc import Mapping

from runner.core.conversation_state import SettledRequests
from runner.core.record import Record
from runner.engine.run_observers import Observer
from runner.planning.plan import Plan


class RequestCounts(Observer):
    """An observer that counts requests, except warm-up requests; subclasses show the counts."""

    def __init__(self) -> None:
        self.done = self.failed = 0
        self.total: int | None = None
        """Maximum number of requests; None if it is not known."""
        self._settled: SettledRequests | None = None

    def planned(self, plan: Plan) -> None:
        """Add the requests of a plan to the total."""
        self._settled = SettledRequests(plan.cases)
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
        if self.total is not None and self._settled is not None:
            self.total -= self._settled.left_out(record)
