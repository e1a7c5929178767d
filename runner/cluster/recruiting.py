"""Workers are started on a cluster's nodes and made known: who each one is, where, and how well it hears."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import ray
from ray.exceptions import RayActorError, RayTaskError

from runner.cluster.hand import Hand, WorkerLost, dismiss, first_line
from runner.cluster.handover import Introduction
from runner.cluster.nodes import Node, name_nodes
from runner.cluster.worker import Worker
from runner.errors import CompareError
from runner.version import __version__

START_LIMIT_S = 60.0
"""How long workers may take to start: a cluster that must grow first is to be grown beforehand."""

MOST_AT_ONCE = 10_000
"""Attempts that one worker may have under way; a run has no more."""


async def recruit(workers: int | None, names: Iterator[str]) -> list[Hand]:
    """Start so many workers, or one for each node, spread over the nodes; return them calibrated.

    Raises:
        CompareError: the cluster has no room for them, lacks this package, or has another version of it.

    """
    handles = [_start() for _ in range(workers or len(name_nodes(list_nodes())))]
    try:
        hands = [*map(_name, handles, await _introduce(handles), names)]
        await asyncio.gather(*map(_calibrate, hands))
    except BaseException:
        for handle in handles:
            dismiss(handle)
        raise
    return hands


def _start() -> Any:
    """Start a worker that Ray neither restarts nor asks anything twice, since every attempt needs leave."""
    options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": MOST_AT_ONCE}
    return ray.remote(Worker).options(**options, scheduling_strategy="SPREAD").remote()


async def _introduce(handles: list[Any]) -> list[Introduction]:
    try:
        with anyio.fail_after(START_LIMIT_S):
            introductions = await asyncio.gather(*(handle.introduce.remote() for handle in handles))
    except TimeoutError:
        raise CompareError(
            f"the cluster did not start {len(handles)} workers, each with a CPU of its own, within "
            f"{START_LIMIT_S:g} s. Ask for fewer with --workers, or let it grow first. Nothing was sent"
        ) from None
    except (RayActorError, RayTaskError) as error:
        raise CompareError(
            f"a worker did not start: {first_line(error)} compare {__version__} must be installed on every node. "
            "Nothing was sent"
        ) from None
    return list(introductions)


def _name(handle: Any, introduction: Introduction, name: str) -> Hand:
    nodes: Mapping[str, Node] = name_nodes(list_nodes())
    node = nodes.get(introduction.node_id, Node(introduction.host, None))
    if introduction.version != __version__:
        raise CompareError(
            f"node {node.name} has compare {introduction.version}, this machine {__version__}. Install the same on "
            "all. Nothing was sent"
        )
    return Hand(handle, name, node, introduction.host, introduction.pid)


async def _calibrate(hand: Hand) -> None:
    try:
        hand.calibrated = await hand.collect(hand.handle.calibrate.remote())
    except WorkerLost as lost:
        raise CompareError(f"{lost} while it was calibrated: {lost.why}") from None


def list_nodes() -> list[dict[str, Any]]:
    """Return the cluster's nodes as Ray describes them."""
    rows: list[dict[str, Any]] = ray.nodes()
    return rows
