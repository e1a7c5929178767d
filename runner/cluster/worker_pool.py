"""The worker pool of a run: handles of workers, the choice of one for the next attempt, replacement of lost ones."""

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

import anyio
import ray
from ray.exceptions import RayError, RayTaskError

from runner.cluster.worker_messages import PackedKey, WorkerCalibration, pack_keys
from runner.core.cluster_node import Node
from runner.errors import ClusterLost, CompareError
from runner.providers.base_url import is_on_this_machine
from runner.providers.endpoint import Endpoint

Result = TypeVar("Result")

WORKER_START_LIMIT_S = 60.0
"""Seconds that workers may take to start, including the wait for a node that must come back first."""

WriteLine = Callable[[Mapping[str, object]], None]
"""Function that writes a line into the journal."""


class WorkerLost(Exception):
    """A worker was lost, with its attempts in flight."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.why = why


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """The driver's handle of a worker that has introduced itself."""

    actor: Any
    """Ray's handle of the `Worker` actor."""
    name: str
    node: Node
    host: str
    pid: int
    calibration: WorkerCalibration | None = None
    in_flight: int = 0
    """Number of the worker's attempts in flight."""

    def __str__(self) -> str:
        return f"{self.name} on {self.node.name}"

    def journal_line(self) -> dict[str, object]:
        """Return the worker's line in the journal."""
        return {
            "kind": "worker",
            "name": self.name,
            "node": self.node.name,
            "region": self.node.region,
            "host": self.host,
            "pid": self.pid,
            "calibration": None if self.calibration is None else self.calibration.facts,
            "within_bound": self.calibration is not None and self.calibration.is_within_bound,
        }

    async def result_of(self, call: Awaitable[Result]) -> Result:
        """Return the result of a call to the worker.

        Raises:
            WorkerLost: the worker was lost.
            CompareError: the worker raised it.

        """
        try:
            return await call
        except RayTaskError as error:
            if isinstance(error.cause, CompareError):
                raise CompareError(f"{self}: {error.cause}") from None
            raise
        except RayError as error:
            # The process, the node or the result was lost: a long reply stays on its node until it is fetched.
            raise WorkerLost(f"{self} was lost", first_line(error)) from None

    def stop(self) -> None:
        """Stop the worker, even during a call."""
        stop_actor(self.actor)


def stop_actor(actor: Any) -> None:
    """Stop a worker, even if it has not introduced itself."""
    ray.kill(actor, no_restart=True)


def first_line(error: Exception) -> str:
    """Return the first line of Ray's message, which may be several pages long."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """The arguments of `Worker.set_up`."""

    keyless: Mapping[str, Endpoint]
    keys: Mapping[str, PackedKey]
    connect_s: float
    connections: int


class WorkerPool:
    """The current workers of a run, at least one at first. All methods run on the driver's event loop.

    With vantages, each node has workers of its own, and a lost worker is replaced on the same node.
    """

    def __init__(
        self,
        workers: list[WorkerHandle],
        start_replacement: Callable[[Node], Awaitable[WorkerHandle]],
        vantages: Sequence[Node] = (),
        own_raylet: str | None = None,
    ) -> None:
        self.workers = workers
        self._own_raylet = own_raylet
        """Socket of the raylet through which this process reaches the cluster; None if it is unknown."""
        self.vantages = vantages
        self._start_replacement = start_replacement
        self._write_line: WriteLine = _discard
        self._attempt_numbers = count(1)
        self._setup: WorkerSetup | None = None
        self._replacements: dict[asyncio.Task[None], Node] = {}

    def write_to(self, write_line: WriteLine) -> None:
        """Write a journal line for each worker, and from now on one for each change."""
        self._write_line = write_line
        for worker in self.workers:
            write_line(worker.journal_line())

    async def set_up(self, endpoints: Mapping[str, Endpoint], connect_s: float, connections: int) -> None:
        """Prepare all current and later workers for attempts at these endpoints.

        Raises:
            CompareError: an address would refer to another machine on a worker, a worker cannot open that many
                connections, or a worker was lost.

        """
        self._setup = WorkerSetup(*pack_keys(endpoints), connect_s, connections)
        try:
            await asyncio.gather(*(_set_up_worker(worker, self._setup) for worker in self.workers))
        except WorkerLost as lost:
            raise CompareError(f"{lost} before anything was sent: {lost.why}") from None

    async def least_busy(self, vantage: Node | None = None) -> WorkerHandle:
        """Return the worker with the fewest attempts in flight, on a vantage if one is given.

        If there is none, wait for a replacement that is being started.

        Raises:
            ClusterLost: no worker is left and none is being started, or this process lost its own raylet.
            WorkerLost: no worker is left on the vantage and none is being started there.

        """
        while not (workers := [worker for worker in self.workers if vantage in {None, worker.node}]):
            starting = [task for task, node in self._replacements.items() if vantage in {None, node}]
            if starting:
                await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
            elif vantage is None or not (self.workers or self._replacements):
                lost = "Ray's own process of this machine (the raylet) was lost, so that no worker can be reached"
                what = "the last worker of the cluster was lost" if await _is_reachable(self._own_raylet) else lost
                raise ClusterLost(
                    f"{what}. What was recorded is safe and in the run's tables: go on with `compare run --resume`, "
                    f"on a cluster{'' if self.vantages else ' or without one'}"
                )
            else:
                why = (
                    f"{vantage.name} was lost and not back within {WORKER_START_LIMIT_S:g} s; no other node asks for it"
                )
                raise WorkerLost(why, why)
        return min(workers, key=lambda worker: worker.in_flight)

    def next_attempt_number(self) -> int:
        """Return a number that identifies an attempt to its worker."""
        return next(self._attempt_numbers)

    async def result_of(self, worker: WorkerHandle, call: Awaitable[Result]) -> Result:
        """Return the result of a call to a worker.

        Raises:
            WorkerLost: the worker was lost, and a replacement is being started.

        """
        try:
            return await worker.result_of(call)
        except WorkerLost as lost:
            self._remove(worker, lost)
            raise

    def _remove(self, worker: WorkerHandle, lost: WorkerLost) -> None:
        """Remove a lost worker, stop it in case it is still running, and start a replacement."""
        if worker not in self.workers:
            return  # another call already found that it was lost
        self.workers.remove(worker)
        worker.stop()
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        what = {"name": worker.name, "node": worker.node.name, "under_way": worker.in_flight, "why": lost.why}
        self._write_line({"kind": "worker_lost", "at": at, **what})
        replacement = asyncio.create_task(self._replace(worker.node))
        self._replacements[replacement] = worker.node
        replacement.add_done_callback(self._replacements.pop)

    async def _replace(self, node: Node) -> None:
        """Start one more worker if the cluster has a free CPU; else continue with the others."""
        assert self._setup is not None
        try:
            worker = await self._start_replacement(node)
        except CompareError:
            return
        try:
            await _set_up_worker(worker, self._setup)
        except (CompareError, WorkerLost):
            worker.stop()
            return
        self._write_line(worker.journal_line())
        self.workers.append(worker)

    async def close(self) -> None:
        """Stop all workers, including those that are being started."""
        for replacement in self._replacements:
            replacement.cancel()
        await asyncio.gather(*self._replacements, return_exceptions=True)
        for worker in self.workers:
            worker.stop()


async def _is_reachable(raylet: str | None) -> bool:
    """Return whether a process listens at a raylet's socket; True if that is unknown."""
    if raylet is None or sys.platform == "win32":
        return True
    try:
        stream = await anyio.connect_unix(raylet)
    except OSError:
        return False
    await stream.aclose()
    return True


def _discard(_line: Mapping[str, object]) -> None:
    """Discard a line, as long as there is no journal."""


async def _set_up_worker(worker: WorkerHandle, setup: WorkerSetup) -> None:
    for endpoint in setup.keyless.values():
        _refuse_loopback(endpoint, worker)
    # The arguments of a call go from process to process, while Ray would store those of a constructor.
    call = worker.actor.set_up.remote(setup.keyless, setup.keys, setup.connect_s, setup.connections)
    await worker.result_of(call)


def _refuse_loopback(endpoint: Endpoint, worker: WorkerHandle) -> None:
    if worker.host != platform.node() and is_on_this_machine(endpoint.base_url):
        raise CompareError(
            f"{endpoint.provider} is asked at {endpoint.base_url}, which {worker} would look for on its own machine. "
            "Give an address that every node reaches; `compare simulate` runs the simulator on one"
        )
