"""What to know of the workers that heard a run, in words."""

from collections.abc import Iterable, Sequence

from runner.analysis.calibration import ClockError
from runner.analysis.workers import ClusterSummary, WorkerSummary
from runner.outputs.text.figures import count, milliseconds

FEW = 8
"""Workers that are each told of; of more than these it is told how they spread."""


def describe_workers(cluster: ClusterSummary) -> list[str]:
    """Say who heard a run on a cluster, whose stamps may be late, and who was lost; nothing of one machine's run."""
    if not cluster.workers:
        return []
    nodes = ", ".join(f"{node} {workers}" for node, workers in sorted(cluster.nodes.items()))
    said = [f"heard by {count(len(cluster.workers), 'worker')} on {count(len(cluster.nodes), 'node')}: {nodes}"]
    said += describe_clocks(cluster)
    said += [_describe_error(worker) for worker in cluster.workers if not worker.within_bound]
    if cluster.lost:
        names = ", ".join(map(str, cluster.lost))
        said.append(f"lost: {names}; {count(cluster.repeated, 'request')} asked again of others")
    return said


def describe_clocks(cluster: ClusterSummary) -> list[str]:
    """Say how far the stamps of each worker were off when it was calibrated; nothing where none could be."""
    errors = [worker.error for worker in cluster.workers if worker.error is not None]
    if not errors:
        return []
    how = f"at the start, {errors[0].concurrency} requests at a time"
    if len(cluster.workers) <= FEW:
        return [f"clock error (TTFT) of each worker {how}: {_each_error(cluster.workers)}"]
    return [f"clock error (TTFT) of {count(len(errors), 'worker')} {how}: {_spread_of_errors(errors)}"]


def _each_error(workers: Sequence[WorkerSummary]) -> str:
    return "; ".join(
        f"{worker} " + ("unknown" if worker.error is None else f"{describe_spread(worker.error)}, n {worker.error.n}")
        for worker in workers
    )


def describe_spread(error: ClockError) -> str:
    """Say how far TTFT was off, usually and at worst."""
    return f"{milliseconds(error.ttft_p50_s)} (p50) to {milliseconds(error.ttft_p99_s)} (p99)"


def _spread_of_errors(errors: Sequence[ClockError]) -> str:
    p50 = _extremes(error.ttft_p50_s for error in errors)
    p99 = _extremes(error.ttft_p99_s for error in errors)
    least = min(error.n for error in errors)
    return f"{p50} (p50), {p99} (p99), from the best worker to the worst, n at least {least} each"


def _extremes(values: Iterable[float]) -> str:
    known = sorted(values)
    return f"{milliseconds(known[0])} to {milliseconds(known[-1])}"


def _describe_error(worker: WorkerSummary) -> str:
    error = worker.error
    if error is None:
        return f"{worker}: its clock error could not be found"
    spread = describe_spread(error)
    return f"{worker} may be late: TTFT off by {spread} at the start, n {error.n}, which is above the bound"
