"""The worker of a cluster run: it runs attempts, and has no state that must be saved."""

import os
import platform
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from time import perf_counter_ns

import anyio

from runner.analysis.timestamp_errors import ClockError, is_sustained
from runner.calibration.measure import CalibrationLoad, run_trial
from runner.cluster.worker_messages import (
    AttemptReport,
    PackedKey,
    WarmUpReport,
    WorkerCalibration,
    WorkerIntroduction,
    WorkerSpan,
    unpack_keys,
)
from runner.engine.attempt_runners import AttemptRunner, open_local_runners
from runner.engine.process_limits_and_signals import allow_connections, rare_gc
from runner.providers.endpoint import Endpoint
from runner.version import __version__
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.event_loop_time_slices import TimeSlices

TRIAL = CalibrationLoad(concurrency=20, requests=100, ttft_ms=100.0, gap_ms=5.0, tokens=20)
"""Load with which a worker is calibrated; it takes about a second."""


class Worker:
    """One worker process. Ray stores the arguments of a constructor, so this one has none; `set_up` takes the keys."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._runners: Mapping[str, AttemptRunner] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}

    async def introduce(self) -> WorkerIntroduction:
        """Return the node and the version of this worker."""
        import ray  # noqa: PLC0415 -- only a process that Ray started can tell

        return WorkerIntroduction(__version__, ray.get_runtime_context().get_node_id(), platform.node(), os.getpid())

    async def calibrate(self) -> WorkerCalibration | None:
        """Measure this process's clock error against a local simulator; None if no request was timed."""
        from runner.simulator.child_process import launch  # noqa: PLC0415 -- needed once

        async with launch() as base_url:
            errors = (await run_trial(base_url, TRIAL)).errors
        if errors.ttft is None or errors.gap is None:
            return None
        clock_error = ClockError(
            calibrated_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            concurrency=TRIAL.concurrency,
            n=errors.ttft.n,
            ttft_p50_s=errors.ttft.p50_s,
            ttft_p99_s=errors.ttft.p99_s,
            gap_p99_s=errors.gap.p99_s,
        )
        return WorkerCalibration(clock_error.to_plain(), is_sustained(errors))

    async def set_up(
        self, keyless: Mapping[str, Endpoint], keys: Mapping[str, PackedKey], connect_s: float, connections: int
    ) -> None:
        """Prepare for attempts at these endpoints.

        Raises:
            CompareError: this process cannot open that many connections.

        """
        allow_connections(connections)
        endpoints = unpack_keys(keyless, keys)
        self._stack.enter_context(rare_gc())
        self._runners = await self._stack.enter_async_context(open_local_runners(endpoints, connect_s, TimeSlices()))

    async def warm_up(self, provider: str, connections: int) -> WarmUpReport:
        """Open connections to a provider; return the phases of each."""
        began_ns = perf_counter_ns()
        phases = await self._runners[provider].warm_up(connections)
        return WarmUpReport(phases, WorkerSpan(began_ns, perf_counter_ns()))

    async def run_attempt(self, provider: str, number: int, request: AttemptRequest) -> AttemptReport:
        """Run one attempt; return the received data, which is partial if `cancel` is called with this number."""
        began_ns = perf_counter_ns()
        runner, attempt = self._runners[provider], Attempt()
        with anyio.CancelScope() as self._scopes[number]:
            await runner.run(request, attempt)
        del self._scopes[number]
        return AttemptReport(
            fold=attempt.fold,
            sent_ns=attempt.body.sent_ns,
            sent_by_ns=attempt.body.sent_by_ns,
            write_start_ns=attempt.body.write_start_ns,
            headers_ns=attempt.body.headers_ns,
            phases=attempt.body.phases,
            clock=attempt.body.clock,
            late_ns=runner.provenance_of(attempt).late_ns,
            span=WorkerSpan(began_ns, perf_counter_ns()),
        )

    async def cancel(self, number: int) -> None:
        """Cancel an attempt if it is still in flight."""
        if number in self._scopes:
            self._scopes[number].cancel()
