"""Counts of a run's requests for a view: how many are done and failed, and how many there will be at most."""

from collections.abc import Mapping

from runner.core.earlier_reply import SettledRequests
from runner.core.record import Record
from runner.engine.run_observers import Observer
from runner.planning.plan import Plan


class RequestCounts(Observer):
    """An observer that counts requests, those of warm-up apart; a subclass shows the counts."""

    def __init__(self) -> None:
        self.done = self.failed = 0
        self.total: int | None = None
        """How many there will be at most; None where that is not known."""
        self._settled: SettledRequests | None = None

    def planned(self, plan: Plan) -> None:
        """Add the requests of a plan to the total."""
        self._settled = SettledRequests(plan.cases)
        self.total = None if plan.requests is None else self.done + plan.requests

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Take the completed requests off the total."""
        self.total = None if self.total is None else self.total - sum(recorded.values())

    def finished(self, record: Record) -> None:
        """Count a request as done, and take those off the total that its conversation leaves out."""
        if record.warmup:
            return
        self.done += 1
        self.failed += record.failed
        if self.total is not None and self._settled is not None:
            self.total -= self._settled.left_out(record)
