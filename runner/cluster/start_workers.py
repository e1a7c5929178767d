"""Workers are started on a cluster's nodes and made known: who each one is, where, and how well it hears."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar

import anyio
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from runner.cluster.messages import WorkerIntroduction
from runner.cluster.nodes import list_vantages, name_nodes
from runner.cluster.worker import Worker
from runner.cluster.worker_handle import WorkerHandle, WorkerLost, dismiss, last_line
from runner.core.nodes import Node
from runner.errors import CompareError
from runner.version import __version__

Answer = TypeVar("Answer")

START_LIMIT_S = 60.0
"""How long workers may take to start: a cluster that must grow first is to be grown beforehand."""

LOOK_S = 1.0
"""How often a cluster is asked whether a node is back."""

MOST_AT_ONCE = 10_000
"""Attempts that one worker may have under way; a run has no more."""


async def recruit(workers: int | None, names: Iterator[str]) -> list[WorkerHandle]:
    """Start so many workers, or one for each node, spread over the nodes; return them calibrated.

    Raises:
        CompareError: the cluster has no room for them, lacks this package, or has another version of it.

    """
    number = workers or len(list_vantages(await list_nodes()))
    return await _make_known([await _start() for _ in range(number)], names)


async def recruit_at(vantages: Sequence[Node], workers: int, names: Iterator[str]) -> list[WorkerHandle]:
    """Start so many workers on each of these nodes, and nowhere else; return them calibrated.

    Raises:
        CompareError: a node is not there, or as `recruit`.

    """
    ids = {node.name: node_id for node_id, node in list_vantages(await list_nodes()).items()}
    missing = [vantage.name for vantage in vantages if vantage.name not in ids]
    if missing:
        raise CompareError(f"the cluster has no node {', '.join(missing)} any more. Nothing was sent")
    places = [vantage for vantage in vantages for _ in range(workers)]
    return await _make_known([await _start(ids[place.name]) for place in places], names, places)


async def recruit_back(vantage: Node, names: Iterator[str]) -> WorkerHandle:
    """Start a worker on a node where one was lost; wait for the node itself to come back, if need be.

    Raises:
        CompareError: it was not back in time, or cannot take a worker.

    """
    until_s = monotonic() + START_LIMIT_S
    while True:
        try:
            (hand,) = await recruit_at([vantage], 1, names)
        except CompareError:  # a node that is gone may seem to live for a while
            if monotonic() > until_s:
                raise
            await anyio.sleep(LOOK_S)
        else:
            return hand


async def _make_known(handles: list[Any], names: Iterator[str], places: Sequence[Node] = ()) -> list[WorkerHandle]:
    """Let workers introduce themselves, and calibrate them; where they are is known, or they say it."""
    try:
        introductions = await _introduce(handles)
        nodes = places or await _find_nodes(introductions)
        hands = [*map(_name, handles, introductions, nodes, names)]
        await asyncio.gather(*map(_calibrate, hands))
    except BaseException:
        for handle in handles:
            dismiss(handle)
        raise
    return hands


async def _start(node_id: str | None = None) -> Any:
    """Start a worker that Ray neither restarts nor asks anything twice, since every attempt needs leave."""
    options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": MOST_AT_ONCE}
    where = "SPREAD" if node_id is None else NodeAffinitySchedulingStrategy(node_id, soft=False)
    return await _ask_head(ray.remote(Worker).options(**options, scheduling_strategy=where).remote)


async def _introduce(handles: list[Any]) -> list[WorkerIntroduction]:
    try:
        with anyio.fail_after(START_LIMIT_S):
            introductions = await asyncio.gather(*(handle.introduce.remote() for handle in handles))
    except TimeoutError:
        raise CompareError(
            f"the cluster did not start {len(handles)} workers, each with a CPU of its own, within "
            f"{START_LIMIT_S:g} s. Ask for fewer with --workers, or let it grow first. Nothing was sent"
        ) from None
    except RayError as error:
        raise CompareError(
            f"a worker did not start: {last_line(error).rstrip('.')}. compare {__version__} must be installed on every "
            "node. Nothing was sent"
        ) from None
    return list(introductions)


async def _find_nodes(introductions: Sequence[WorkerIntroduction]) -> list[Node]:
    nodes: Mapping[str, Node] = name_nodes(await list_nodes())
    return [nodes.get(each.node_id, Node(each.host, None)) for each in introductions]


def _name(handle: Any, introduction: WorkerIntroduction, node: Node, name: str) -> WorkerHandle:
    if introduction.version != __version__:
        raise CompareError(
            f"node {node.name} has compare {introduction.version}, this machine {__version__}. Install the same on "
            "all. Nothing was sent"
        )
    return WorkerHandle(handle, name, node, introduction.host, introduction.pid)


async def _calibrate(hand: WorkerHandle) -> None:
    try:
        hand.calibrated = await hand.collect(hand.handle.calibrate.remote())
    except WorkerLost as lost:
        raise CompareError(f"{lost} while it was calibrated: {lost.why}") from None


async def list_nodes() -> list[dict[str, Any]]:
    """Return the cluster's nodes as Ray describes them."""
    rows: list[dict[str, Any]] = await _ask_head(ray.nodes)
    return rows


async def _ask_head(question: Callable[[], Answer]) -> Answer:
    """Ask what Ray answers by way of the cluster's head, in a thread: where the head is gone, that waits a minute."""
    return await anyio.to_thread.run_sync(question, abandon_on_cancel=True)
