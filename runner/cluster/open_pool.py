"""The door of this room: a fleet that was asked for becomes a crew that can be worked with."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from runner.cluster.connect import check_cluster, join_cluster
from runner.core.nodes import ClusterOptions, Node
from runner.engine.attempts import AttemptRunner, OpenAskers
from runner.errors import CompareError
from runner.providers.endpoint import Endpoint
from runner.wire.time_slices import TimeSlices

if TYPE_CHECKING:
    from runner.cluster.worker_pool import WorkerPool


@asynccontextmanager
async def muster(fleet: ClusterOptions, vantages: Sequence[Node] = ()) -> AsyncIterator["WorkerPool"]:
    """Join a cluster and hire workers, on these nodes if some are named, for the length of an `async with` block.

    Raises:
        CompareError: Ray is not installed, no such cluster answers, or it has no room; nothing was sent.

    """
    address = await check_cluster(fleet.address)
    from runner.cluster.worker_pool import open_crew  # noqa: PLC0415 -- imports Ray, an extra

    with join_cluster(address):
        async with open_crew(fleet, vantages) as crew:
            yield crew


async def find_vantages(fleet: ClusterOptions) -> tuple[Node, ...]:
    """Return the nodes that a cluster can be asked from, in the order of their names.

    Raises:
        CompareError: Ray is not installed, no such cluster answers, or none of its nodes has a CPU to give.

    """
    address = await check_cluster(fleet.address)
    from runner.cluster.nodes import list_vantages  # noqa: PLC0415 -- few runs need it
    from runner.cluster.start_workers import list_nodes  # noqa: PLC0415 -- imports Ray, an extra

    with join_cluster(address):
        vantages = tuple(list_vantages(await list_nodes()).values())
    if not vantages:
        raise CompareError("no node of the cluster has a CPU to give to a worker. Nothing was sent")
    return vantages


def distant_askers(crew: "WorkerPool", connections: int) -> OpenAskers:
    """Return what opens askers for the engine, through a crew whose workers may need so many connections each."""
    from runner.cluster.remote_attempts import RemoteAttemptRunner  # noqa: PLC0415 -- imports Ray, an extra

    @asynccontextmanager
    async def open_askers(
        endpoints: Mapping[str, Endpoint], connect_s: float, _airtime: TimeSlices
    ) -> AsyncIterator[dict[str, AttemptRunner]]:
        await crew.equip(endpoints, connect_s, connections)
        yield {name: RemoteAttemptRunner(name, crew) for name in endpoints}

    return open_askers
