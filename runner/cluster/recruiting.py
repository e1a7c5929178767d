"""Workers are started on a cluster's nodes and made known: who each one is, where, and how well it hears."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import anyio
import ray
from ray.exceptions import RayError

from runner.cluster.hand import Hand, WorkerLost, dismiss, last_line
from runner.cluster.handover import Introduction
from runner.cluster.nodes import Node, name_nodes
from runner.cluster.worker import Worker
from runner.errors import CompareError
from runner.version import __version__

Answer = TypeVar("Answer")

START_LIMIT_S = 60.0
"""How long workers may take to start: a cluster that must grow first is to be grown beforehand."""

MOST_AT_ONCE = 10_000
"""Attempts that one worker may have under way; a run has no more."""


async def recruit(workers: int | None, names: Iterator[str]) -> list[Hand]:
    """Start so many workers, or one for each node, spread over the nodes; return them calibrated.

    Raises:
        CompareError: the cluster has no room for them, lacks this package, or has another version of it.

    """
    handles = [await _start() for _ in range(workers or len(await list_nodes()))]
    try:
        introductions, nodes = await _introduce(handles), await list_nodes()
        hands = [_name(*each, nodes) for each in zip(handles, introductions, names, strict=False)]
        await asyncio.gather(*map(_calibrate, hands))
    except BaseException:
        for handle in handles:
            dismiss(handle)
        raise
    return hands


async def _start() -> Any:
    """Start a worker that Ray neither restarts nor asks anything twice, since every attempt needs leave."""
    options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": MOST_AT_ONCE}
    return await _ask_head(ray.remote(Worker).options(**options, scheduling_strategy="SPREAD").remote)


async def _introduce(handles: list[Any]) -> list[Introduction]:
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


def _name(handle: Any, introduction: Introduction, name: str, nodes: Mapping[str, Node]) -> Hand:
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


async def list_nodes() -> dict[str, Node]:
    """Return the cluster's living nodes by their ids."""
    return name_nodes(await _ask_head(ray.nodes))


async def _ask_head(question: Callable[[], Answer]) -> Answer:
    """Ask what Ray answers by way of the cluster's head, in a thread: where the head is gone, that waits a minute."""
    return await anyio.to_thread.run_sync(question, abandon_on_cancel=True)
