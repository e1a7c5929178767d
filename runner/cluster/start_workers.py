"""Functions that start workers on a cluster's nodes: each introduces itself, is calibrated, and joins the pool."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic
from typing import Any, TypeVar

import anyio
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from runner.cluster.node_names import list_vantages, name_nodes
from runner.cluster.worker import Worker
from runner.cluster.worker_messages import WorkerIntroduction
from runner.cluster.worker_pool import WORKER_START_LIMIT_S, WorkerHandle, WorkerLost, WorkerPool, stop_actor
from runner.core.cluster_node import ClusterOptions, Node
from runner.errors import CompareError, counted
from runner.version import __version__

Answer = TypeVar("Answer")

NODE_CHECK_S = 1.0
"""Seconds between two checks whether a lost node is back."""

MAX_IN_FLIGHT = 10_000
"""Most attempts in flight on one worker, which is also the most of a run."""


@asynccontextmanager
async def start_pool(options: ClusterOptions, vantages: Sequence[Node]) -> AsyncIterator[WorkerPool]:
    """Run workers, on each of the vantages if there are any, during an `async with` block.

    Raises:
        CompareError: the cluster that this process has joined cannot run them.

    """
    names = map("worker {}".format, count(1))
    if vantages:
        workers = await start_workers_on(vantages, options.workers or 1, names)
    else:
        workers = await start_workers(options.workers, names)

    async def start_replacement(node: Node) -> WorkerHandle:
        if vantages:
            return await restart_worker_on(node, names)
        (worker,) = await start_workers(1, names)
        return worker

    pool = WorkerPool(workers, start_replacement, vantages, await _own_raylet())
    try:
        yield pool
    finally:
        await pool.close()


async def start_workers(number: int | None, names: Iterator[str]) -> list[WorkerHandle]:
    """Start workers spread over the nodes, one for each node if `number` is None; return them calibrated.

    Raises:
        CompareError: the cluster has too few free CPUs, lacks this package, or has another version of it.

    """
    number = number or len(list_vantages(await list_nodes()))
    return await _prepare([await _start_actor() for _ in range(number)], names)


async def start_workers_on(vantages: Sequence[Node], number: int, names: Iterator[str]) -> list[WorkerHandle]:
    """Start a number of workers on each of the vantages, and on no other node; return them calibrated.

    Raises:
        CompareError: a node is missing, or as for `start_workers`.

    """
    ids = {node.name: node_id for node_id, node in list_vantages(await list_nodes()).items()}
    missing = [vantage.name for vantage in vantages if vantage.name not in ids]
    if missing:
        raise CompareError(f"the cluster has no node {', '.join(missing)} any more. Nothing was sent")
    nodes = [vantage for vantage in vantages for _ in range(number)]
    return await _prepare([await _start_actor(ids[node.name]) for node in nodes], names, nodes)


async def restart_worker_on(vantage: Node, names: Iterator[str]) -> WorkerHandle:
    """Start a worker on a node that lost one; if necessary, wait until the node itself is back.

    Raises:
        CompareError: the node was not back in time, or cannot run a worker.

    """
    until_s = monotonic() + WORKER_START_LIMIT_S
    while True:
        try:
            (worker,) = await start_workers_on([vantage], 1, names)
        except CompareError:  # Ray reports a lost node as alive for a while
            if monotonic() > until_s:
                raise
            await anyio.sleep(NODE_CHECK_S)
        else:
            return worker


async def _prepare(actors: list[Any], names: Iterator[str], nodes: Sequence[Node] = ()) -> list[WorkerHandle]:
    """Return handles of workers that are introduced and calibrated; without `nodes`, workers report their own."""
    try:
        introductions = await _introduce(actors)
        nodes = nodes or await _find_nodes(introductions)
        workers = [*map(_open_handle, actors, introductions, nodes, names)]
        await asyncio.gather(*map(_calibrate, workers))
    except BaseException:
        for actor in actors:
            stop_actor(actor)
        raise
    return workers


async def _start_actor(node_id: str | None = None) -> Any:
    """Start a worker that Ray neither restarts nor calls twice, since each attempt needs a permit."""
    options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": MAX_IN_FLIGHT}
    where = "SPREAD" if node_id is None else NodeAffinitySchedulingStrategy(node_id, soft=False)
    return await _ask_head(ray.remote(Worker).options(**options, scheduling_strategy=where).remote)


async def _introduce(actors: list[Any]) -> list[WorkerIntroduction]:
    try:
        with anyio.fail_after(WORKER_START_LIMIT_S):
            introductions = await asyncio.gather(*(actor.introduce.remote() for actor in actors))
    except TimeoutError:
        raise CompareError(
            f"the cluster did not start {counted(len(actors), 'worker')}, each with a CPU of its own, within "
            f"{WORKER_START_LIMIT_S:g} s. Ask for fewer with --workers, or let it grow first. Nothing was sent"
        ) from None
    except RayError as error:
        raise CompareError(
            f"a worker did not start: {_last_line(error).rstrip('.')}. compare {__version__} must be installed on "
            "every node. Nothing was sent"
        ) from None
    return list(introductions)


def _last_line(error: Exception) -> str:
    """Return the last line of a traceback that Ray passes on."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


async def _find_nodes(introductions: Sequence[WorkerIntroduction]) -> list[Node]:
    nodes: Mapping[str, Node] = name_nodes(await list_nodes())
    return [nodes.get(each.node_id, Node(each.host, None)) for each in introductions]


def _open_handle(actor: Any, introduction: WorkerIntroduction, node: Node, name: str) -> WorkerHandle:
    if introduction.version != __version__:
        raise CompareError(
            f"node {node.name} has compare {introduction.version}, this machine {__version__}. Install the same on "
            "all. Nothing was sent"
        )
    return WorkerHandle(actor, name, node, introduction.host, introduction.pid)


async def _calibrate(worker: WorkerHandle) -> None:
    try:
        worker.calibration = await worker.result_of(worker.actor.calibrate.remote())
    except WorkerLost as lost:
        raise CompareError(f"{lost} while it was calibrated: {lost.why}") from None


async def list_nodes() -> list[dict[str, Any]]:
    """Return the rows by which Ray describes the cluster's nodes."""
    rows: list[dict[str, Any]] = await _ask_head(ray.nodes)
    return rows


async def _own_raylet() -> str | None:
    """Return the path of the socket of this process's raylet; None if it is unknown."""
    own_id = ray.get_runtime_context().get_node_id()
    return next((row.get("RayletSocketName") for row in await list_nodes() if row["NodeID"] == own_id), None)


async def _ask_head(call: Callable[[], Answer]) -> Answer:
    """Return the result of a call to the cluster's head node, made in a thread: without one it blocks for a minute."""
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
