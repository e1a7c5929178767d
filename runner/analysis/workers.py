"""Who heard a run on a cluster: the workers, how well each one hears, and which were lost."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.analysis.calibration import ClockError

WORKER_LOST = "worker_lost"
"""The `error_type` of an attempt whose worker was lost while it heard the reply."""


@dataclass(frozen=True, slots=True)
class WorkerSummary:
    """One worker. `error` is None where it could not be calibrated; the bound is that of `compare calibrate`."""

    name: str
    node: str
    region: str | None
    error: ClockError | None
    within_bound: bool

    def __str__(self) -> str:
        return f"{self.name} on {self.node}"


@dataclass(frozen=True, slots=True)
class LostWorker:
    """A worker that was lost, and how many attempts with it."""

    name: str
    node: str
    under_way: int

    def __str__(self) -> str:
        return f"{self.name} on {self.node}"


@dataclass(frozen=True, slots=True)
class Workforce:
    """All who heard a run; empty for a run on one machine."""

    workers: tuple[WorkerSummary, ...] = ()
    lost: tuple[LostWorker, ...] = ()
    asked_again: int = 0
    """Attempts that were made once more because their worker was lost."""

    @property
    def nodes(self) -> Mapping[str, int]:
        """How many workers each node had."""
        return Counter(worker.node for worker in self.workers)


def summarize_workers(lines: Iterable[Mapping[str, Any]]) -> Workforce:
    """Sum up the `worker`, `worker_lost` and `attempt` lines of a journal."""
    workers, lost, asked_again = [], [], 0
    for line in lines:
        if line["kind"] == "worker":
            error = ClockError.of(line["calibration"] or {})
            workers.append(WorkerSummary(line["name"], line["node"], line["region"], error, line["within_bound"]))
        elif line["kind"] == "worker_lost":
            lost.append(LostWorker(line["name"], line["node"], line["under_way"]))
        else:
            asked_again += line["error_type"] == WORKER_LOST
    return Workforce(tuple(workers), tuple(lost), asked_again)
