"""The worker's side: sends what it is handed, hears the reply out, and holds nothing worth keeping."""

import os
import platform
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from time import perf_counter_ns

import anyio

from runner.analysis.calibration import ClockError, is_sustained
from runner.calibration.measure import CalibrationLoad, probe
from runner.cluster.messages import (
    Calibrated,
    PackedKey,
    RemoteOpened,
    Report,
    WorkerIntroduction,
    WorkerStay,
    unpack_keys,
)
from runner.engine.attempts import AttemptRunner, open_own_askers
from runner.engine.descriptors import allow_connections
from runner.engine.gc_pause import keep_collector_away
from runner.providers.endpoint import Endpoint
from runner.version import __version__
from runner.wire.client import ChatRequestBody
from runner.wire.read_loop import Attempt
from runner.wire.time_slices import TimeSlices

TRIAL = CalibrationLoad(concurrency=20, requests=100, ttft_ms=100.0, gap_ms=5.0, tokens=20)
"""What a worker is calibrated with: about a second."""


class Worker:
    """One process that hears. Its constructor takes nothing, since Ray keeps what it takes; keys come by `open`."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._askers: Mapping[str, AttemptRunner] = {}
        self._hearings: dict[int, anyio.CancelScope] = {}

    async def introduce(self) -> WorkerIntroduction:
        """Say who this is."""
        import ray  # noqa: PLC0415 -- only a process that Ray started can tell

        return WorkerIntroduction(__version__, ray.get_runtime_context().get_node_id(), platform.node(), os.getpid())

    async def calibrate(self) -> Calibrated | None:
        """Find this process's own error, by asking a simulator beside it; None if nothing could be heard."""
        from runner.simulator.process import launch  # noqa: PLC0415 -- needed once

        async with launch() as base_url:
            found = await probe(base_url, TRIAL)
        if found.errors.ttft is None or found.errors.gap is None:
            return None
        error = ClockError(
            calibrated_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            concurrency=TRIAL.concurrency,
            n=found.errors.ttft.n,
            ttft_p50_s=found.errors.ttft.p50_s,
            ttft_p99_s=found.errors.ttft.p99_s,
            gap_p99_s=found.errors.gap.p99_s,
        )
        return Calibrated(error.to_plain(), is_sustained(found.errors))

    async def open(
        self, keyless: Mapping[str, Endpoint], keys: Mapping[str, PackedKey], connect_s: float, connections: int
    ) -> None:
        """Get ready to ask these endpoints; raise `CompareError` where so many connections cannot be had."""
        allow_connections(connections)
        endpoints = unpack_keys(keyless, keys)
        self._stack.enter_context(keep_collector_away())
        self._askers = await self._stack.enter_async_context(open_own_askers(endpoints, connect_s, TimeSlices()))

    async def warm_up(self, provider: str, connections: int) -> RemoteOpened:
        """Open connections to a provider."""
        begun_ns = perf_counter_ns()
        phases = await self._askers[provider].warm_up(connections)
        return RemoteOpened(phases, WorkerStay(begun_ns, perf_counter_ns()))

    async def hear(self, provider: str, number: int, question: ChatRequestBody) -> Report:
        """Ask once, and return what was heard; what was heard so far if `hush` is called with this number."""
        begun_ns = perf_counter_ns()
        asker, attempt = self._askers[provider], Attempt()
        with anyio.CancelScope() as self._hearings[number]:
            await asker.ask(question, attempt)
        del self._hearings[number]
        return Report(
            fold=attempt.fold,
            sent_ns=attempt.body.sent_ns,
            headers_ns=attempt.body.headers_ns,
            phases=attempt.body.phases,
            clock=attempt.body.clock,
            late_ns=asker.standpoint(attempt).late_ns,
            stay=WorkerStay(begun_ns, perf_counter_ns()),
        )

    async def hush(self, number: int) -> None:
        """Stop hearing."""
        if number in self._hearings:
            self._hearings[number].cancel()
