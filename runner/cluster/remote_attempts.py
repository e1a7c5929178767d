"""Attempts on a cluster: each runs on the worker that has the fewest in flight."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter_ns

import anyio

from runner.analysis.cluster_workers import WORKER_LOST
from runner.cluster.worker_messages import AttemptReport, WarmUpReport, shift_phases
from runner.cluster.worker_pool import WorkerHandle, WorkerLost, WorkerPool
from runner.core.cluster_node import Node
from runner.core.events import Failed, Outcome
from runner.engine.attempt_runners import AttemptRunner, OpenAttemptRunners, Provenance
from runner.providers.endpoint import Endpoint
from runner.wire.attempt import Attempt, AttemptRequest, Watch
from runner.wire.event_loop_time_slices import TimeSlices
from runner.wire.response_body import Phases, ResponseBody

CANCEL_LIMIT_S = 5.0
"""Seconds that an interrupted run waits for the data that a worker has received so far."""


def remote_runners(pool: WorkerPool, connections: int) -> OpenAttemptRunners:
    """Return the function that opens attempt runners on a pool, whose workers may each need `connections`."""

    @asynccontextmanager
    async def open_runners(
        endpoints: Mapping[str, Endpoint], connect_s: float, _time_slices: TimeSlices
    ) -> AsyncIterator[dict[str, AttemptRunner]]:
        await pool.set_up(endpoints, connect_s, connections)
        yield {name: RemoteAttemptRunner(name, pool) for name in endpoints}

    return open_runners


class _RemoteBody(ResponseBody):
    """The part of a response body that the driver knows; a worker receives the body."""

    provenance = Provenance()

    def take_from(self, report: AttemptReport, worker: WorkerHandle, called_ns: int) -> None:
        """Store the report of a worker that the driver called at `called_ns`."""
        self.sent_ns, self.sent_by_ns, self.headers_ns = report.sent_ns, report.sent_by_ns, report.headers_ns
        self.phases, self.clock, self.write_start_ns = report.phases, report.clock, report.write_start_ns
        ahead_ns = report.span.clock_ahead_ns(called_ns, perf_counter_ns())
        self.provenance = Provenance(report.late_ns, ahead_ns, worker.node.name, worker.node.region)


@dataclass(frozen=True, slots=True)
class RemoteAttemptRunner:
    """A runner of attempts at one provider, on the workers of a pool."""

    provider: str
    pool: WorkerPool

    async def warm_up(self, connections: int) -> list[Phases]:
        """Open connections from all workers, an equal share from each; return the phases by this process's clock."""
        workers = tuple(self.pool.workers) or (await self.pool.least_busy(),)
        shares = _share_out(connections, len(workers), evenly=bool(self.pool.vantages))
        opened: list[Phases] = []

        async def open_share(worker: WorkerHandle, share: int) -> None:
            called_ns = perf_counter_ns()
            call = worker.actor.warm_up.remote(self.provider, share)
            try:
                report: WarmUpReport = await self.pool.result_of(worker, call)
            except WorkerLost:
                return  # its replacement opens connections when it needs them
            ahead_ns = report.span.clock_ahead_ns(called_ns, perf_counter_ns())
            opened.extend(shift_phases(phases, -ahead_ns) for phases in report.phases)

        async with anyio.create_task_group() as tasks:
            for worker, share in zip(workers, shares, strict=True):
                tasks.start_soon(open_share, worker, share)
        return opened

    async def run(
        self,
        request: AttemptRequest,
        attempt: Attempt,
        watch: Watch | None = None,  # noqa: ARG002
        *,
        vantage: Node | None = None,
    ) -> None:
        """Run an attempt on a worker, on a vantage if one is given; events are not passed to `watch`."""
        attempt.body = body = _RemoteBody()
        if vantage is not None:
            body.provenance = _provenance_on(vantage)
        try:
            worker = await self.pool.least_busy(vantage)
        except WorkerLost as lost:
            attempt.fold.add(Failed(perf_counter_ns(), Outcome.CONNECTION, str(lost), WORKER_LOST))
            return
        await self._run_on(worker, request, attempt, body)

    async def _run_on(self, worker: WorkerHandle, request: AttemptRequest, attempt: Attempt, body: _RemoteBody) -> None:
        body.provenance = _provenance_on(worker.node)
        number, called_ns = self.pool.next_attempt_number(), perf_counter_ns()
        call = worker.actor.run_attempt.remote(self.provider, number, request)

        async def fetch() -> None:
            report: AttemptReport = await self.pool.result_of(worker, call)
            body.take_from(report, worker, called_ns)
            attempt.fold = report.fold

        worker.in_flight += 1
        try:
            await fetch()
        except anyio.get_cancelled_exc_class():
            await _cancel(worker, number, fetch)
            raise
        except WorkerLost as lost:
            failed = Failed(perf_counter_ns(), Outcome.CONNECTION, str(lost), WORKER_LOST, worth_repeating=True)
            attempt.fold.add(failed)
        finally:
            worker.in_flight -= 1

    def provenance_of(self, attempt: Attempt) -> Provenance:
        """Return the node that measured an attempt, and the clock and delay of its timestamps."""
        return attempt.body.provenance if isinstance(attempt.body, _RemoteBody) else Provenance()


def _provenance_on(node: Node) -> Provenance:
    return Provenance(node=node.name, region=node.region)


def _share_out(connections: int, workers: int, *, evenly: bool) -> list[int]:
    """Return the number of connections for each worker; `evenly`, all get the same number, rounded up."""
    if evenly:
        return [-(-connections // workers)] * workers
    return [connections // workers + (at < connections % workers) for at in range(workers)]


async def _cancel(worker: WorkerHandle, number: int, fetch: Callable[[], Awaitable[None]]) -> None:
    """Cancel an attempt at its worker, and fetch the data received so far if the worker still responds."""
    with anyio.move_on_after(CANCEL_LIMIT_S, shield=True), contextlib.suppress(WorkerLost):
        await worker.result_of(worker.actor.cancel.remote(number))
        await fetch()
