"""What to know of the workers that heard a run, in words."""

from runner.analysis.workers import WorkerSummary, Workforce
from runner.outputs.figures import count, milliseconds


def describe_workforce(workforce: Workforce) -> list[str]:
    """Say who heard a run on a cluster, whose stamps may be late, and who was lost; nothing of one machine's run."""
    if not workforce.workers:
        return []
    nodes = ", ".join(f"{node} {workers}" for node, workers in sorted(workforce.nodes.items()))
    said = [f"heard by {count(len(workforce.workers), 'worker')} on {count(len(workforce.nodes), 'node')}: {nodes}"]
    said += [_describe_error(worker) for worker in workforce.workers if not worker.within_bound]
    if workforce.lost:
        names = ", ".join(map(str, workforce.lost))
        said.append(f"lost: {names}; {count(workforce.asked_again, 'request')} asked again of others")
    return said


def _describe_error(worker: WorkerSummary) -> str:
    error = worker.error
    if error is None:
        return f"{worker}: its clock error could not be found"
    figures = f"{milliseconds(error.ttft_p50_s)} (p50) to {milliseconds(error.ttft_p99_s)} (p99)"
    sample = f"n {error.n}, {error.concurrency} at a time"
    return f"{worker} may be late: TTFT off by {figures} at the start, {sample}, which is above the bound"
