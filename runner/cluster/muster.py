"""The door of this room: a fleet that was asked for becomes a crew that can be worked with."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from runner.cluster.joining import check_cluster, join_cluster
from runner.engine.asker import Asker, OpenAskers
from runner.errors import CompareError
from runner.fleet import Fleet, Node
from runner.providers.endpoint import Endpoint
from runner.wire.airtime import Airtime

if TYPE_CHECKING:
    from runner.cluster.crew import Crew


@asynccontextmanager
async def muster(fleet: Fleet, vantages: Sequence[Node] = ()) -> AsyncIterator["Crew"]:
    """Join a cluster and hire workers, on these nodes if some are named, for the length of an `async with` block.

    Raises:
        CompareError: Ray is not installed, no such cluster answers, or it has no room; nothing was sent.

    """
    address = await check_cluster(fleet.address)
    from runner.cluster.crew import open_crew  # noqa: PLC0415 -- imports Ray, an extra

    with join_cluster(address):
        async with open_crew(fleet, vantages) as crew:
            yield crew


async def find_vantages(fleet: Fleet) -> tuple[Node, ...]:
    """Return the nodes that a cluster can be asked from, in the order of their names.

    Raises:
        CompareError: Ray is not installed, no such cluster answers, or none of its nodes has a CPU to give.

    """
    address = await check_cluster(fleet.address)
    from runner.cluster.nodes import list_vantages  # noqa: PLC0415 -- few runs need it
    from runner.cluster.recruiting import list_nodes  # noqa: PLC0415 -- imports Ray, an extra

    with join_cluster(address):
        vantages = tuple(list_vantages(await list_nodes()).values())
    if not vantages:
        raise CompareError("no node of the cluster has a CPU to give to a worker. Nothing was sent")
    return vantages


def distant_askers(crew: "Crew", connections: int) -> OpenAskers:
    """Return what opens askers for the engine, through a crew whose workers may need so many connections each."""
    from runner.cluster.asker import DistantAsker  # noqa: PLC0415 -- imports Ray, an extra

    @asynccontextmanager
    async def open_askers(
        endpoints: Mapping[str, Endpoint], connect_s: float, _airtime: Airtime
    ) -> AsyncIterator[dict[str, Asker]]:
        await crew.equip(endpoints, connect_s, connections)
        yield {name: DistantAsker(name, crew) for name in endpoints}

    return open_askers
