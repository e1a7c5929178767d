"""The workers of a run on a cluster: their clock errors, and lost workers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.analysis.timestamp_errors import ClockError

WORKER_LOST = "worker_lost"
"""The `error_type` of an attempt whose worker was lost while the reply was streaming."""


@dataclass(frozen=True, slots=True)
class WorkerSummary:
    """A worker; `error` is None if calibration failed, `within_bound` refers to the limit of `compare calibrate`."""

    name: str
    node: str
    region: str | None
    error: ClockError | None
    within_bound: bool

    def __str__(self) -> str:
        return f"{self.name} on {self.node}"


@dataclass(frozen=True, slots=True)
class LostWorker:
    """A lost worker, and the number of attempts in flight on it."""

    name: str
    node: str
    in_flight: int

    def __str__(self) -> str:
        return f"{self.name} on {self.node}"


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """The workers of a run; empty for a run on one machine."""

    workers: tuple[WorkerSummary, ...] = ()
    lost: tuple[LostWorker, ...] = ()
    repeated: int = 0
    """Number of attempts that were repeated because their worker was lost."""

    @property
    def nodes(self) -> Mapping[str, int]:
        """The number of workers of each node."""
        return Counter(worker.node for worker in self.workers)


def summarize_workers(lines: Iterable[Mapping[str, Any]]) -> ClusterSummary:
    """Return a summary of the `worker`, `worker_lost` and `attempt` lines of a journal."""
    workers, lost, repeated = [], [], 0
    for line in lines:
        if line["kind"] == "worker":
            error = ClockError.from_plain(line["calibration"] or {})
            workers.append(WorkerSummary(line["name"], line["node"], line["region"], error, line["within_bound"]))
        elif line["kind"] == "worker_lost":
            lost.append(LostWorker(line["name"], line["node"], line["under_way"]))
        else:
            repeated += line["error_type"] == WORKER_LOST
    return ClusterSummary(tuple(workers), tuple(lost), repeated)
