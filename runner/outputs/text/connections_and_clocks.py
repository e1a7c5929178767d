"""Sentences on how a run was measured: the connections opened, this machine's clock, and the workers of a cluster."""

from collections.abc import Iterable, Sequence

from runner.analysis.cluster_workers import ClusterSummary, LostWorker, WorkerSummary
from runner.analysis.run_results import Run
from runner.analysis.summary import ConnectionSummary
from runner.analysis.timestamp_errors import ClockError
from runner.outputs.text.number_format import low_to_high, milliseconds
from runner.outputs.text.translation import BilingualText, _, clauses, comma_list, labelled, plural

MAX_WORKERS_LISTED = 8
"""Maximum number of workers listed with their clock errors; the errors of more workers are given as a range."""


def describe_connections(opened: Sequence[ConnectionSummary]) -> list[str]:
    """Return one sentence on all connections opened, with medians of their phases, as ranges over several providers."""
    if not opened:
        return []
    n = sum(each.n for each in opened)
    connections = plural(
        n, "{n} connection opened before the first request", "{n} connections opened before the first request"
    )
    names = list(dict.fromkeys(phase for each in opened for phase in each.phases_s))
    phases = [f"{name} " + _range(each.phases_s[name] for each in opened if name in each.phases_s) for name in names]
    who = opened[0].provider if len(opened) == 1 else _("{n} providers", n=len(opened))
    of = _("medians") if len(opened) == 1 else _("medians of the fastest to the slowest provider")
    if not phases:
        return [labelled(who, connections)]
    return [
        labelled(who, _("{connections} ({phases}, {of})", connections=connections, phases=comma_list(phases), of=of))
    ]


def describe_clock(run: Run) -> list[str]:
    """Return a sentence on this machine's clock error at the last calibration; empty if there was none."""
    error = run.clock_error
    if error is None:
        return []
    return [
        _(
            "this machine's clock error: TTFT off by {error}, n {n}, {concurrency} at a time, calibrated on {date}",
            error=describe_clock_error(error),
            n=error.n,
            concurrency=error.concurrency,
            date=error.calibrated_at[:10],
        )
    ]


def describe_clock_error(error: ClockError) -> str:
    """Return the error of TTFT: `0.08 ms (p50) to 0.61 ms (p99)`."""
    return _("{p50} (p50) to {p99} (p99)", p50=milliseconds(error.ttft_p50_s), p99=milliseconds(error.ttft_p99_s))


def describe_workers(cluster: ClusterSummary) -> list[str]:
    """Return sentences on a cluster's workers, their clock errors and the lost ones; empty if it had no workers."""
    if not cluster.workers:
        return []
    nodes = comma_list(f"{node} {workers}" for node, workers in sorted(cluster.nodes.items()))
    on_nodes = plural(len(cluster.nodes), "{n} node", "{n} nodes")
    workers = _("{workers} on {nodes}", workers=_count_workers(len(cluster.workers)), nodes=on_nodes)
    sentences: list[str] = [_("measured by {workers}: {nodes}", workers=workers, nodes=nodes)]
    sentences += describe_worker_clocks(cluster)
    sentences += [_describe_late_worker(worker) for worker in cluster.workers if not worker.within_bound]
    if cluster.lost:
        one, many = (
            "lost: {names}; {n} request sent again by other workers",
            "lost: {names}; {n} requests sent again by other workers",
        )
        sentences.append(plural(cluster.repeated, one, many, names=comma_list(map(name_worker, cluster.lost))))
    return sentences


def _count_workers(number: int) -> BilingualText:
    return plural(number, "{n} worker", "{n} workers")


def describe_worker_clocks(cluster: ClusterSummary) -> list[str]:
    """Return a sentence on the workers' clock errors at the start; empty if no worker was calibrated."""
    errors = [worker.error for worker in cluster.workers if worker.error is not None]
    if not errors:
        return []
    concurrency = errors[0].concurrency
    if len(cluster.workers) <= MAX_WORKERS_LISTED:
        return [
            _(
                "clock error (TTFT) of each worker at the start, {concurrency} requests at a time: {errors}",
                concurrency=concurrency,
                errors=_list_errors(cluster.workers),
            )
        ]
    return [
        _(
            "clock error (TTFT) of {workers} at the start, {concurrency} requests at a time: {errors}",
            workers=_count_workers(len(errors)),
            concurrency=concurrency,
            errors=_error_range(errors),
        )
    ]


def _list_errors(workers: Sequence[WorkerSummary]) -> str:
    return clauses(
        _("{worker} unknown", worker=name_worker(worker))
        if worker.error is None
        else _(
            "{worker} {error}, n {n}",
            worker=name_worker(worker),
            error=describe_clock_error(worker.error),
            n=worker.error.n,
        )
        for worker in workers
    )


def _error_range(errors: Sequence[ClockError]) -> str:
    return _(
        "{p50} (p50), {p99} (p99), from the best worker to the worst, n at least {n} each",
        p50=_range(error.ttft_p50_s for error in errors),
        p99=_range(error.ttft_p99_s for error in errors),
        n=min(error.n for error in errors),
    )


def _range(values: Iterable[float]) -> str:
    ascending = sorted(values)
    return low_to_high(milliseconds(ascending[0]), milliseconds(ascending[-1]))


def _describe_late_worker(worker: WorkerSummary) -> str:
    error = worker.error
    if error is None:
        return _("{worker}: its clock error could not be found", worker=name_worker(worker))
    return _(
        "{worker} may be late: TTFT off by {error} at the start, n {n}, which is above the bound",
        worker=name_worker(worker),
        error=describe_clock_error(error),
        n=error.n,
    )


def name_worker(worker: WorkerSummary | LostWorker) -> BilingualText:
    """Return the name of a worker with its node."""
    return _("{worker} on {node}", worker=worker.name, node=worker.node)
