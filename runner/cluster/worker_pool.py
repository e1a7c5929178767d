"""The workers of a run: made ready, chosen between, and replaced when they are lost."""

import asyncio
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar
from urllib.parse import urlsplit

from runner.cluster.messages import PackedKey, pack_keys
from runner.cluster.start_workers import START_LIMIT_S, recruit, recruit_at, recruit_back
from runner.cluster.worker_handle import WorkerHandle, WorkerLost
from runner.core.nodes import ClusterOptions, Node
from runner.errors import ClusterLost, CompareError
from runner.providers.endpoint import LOOPBACK, Endpoint

Told = TypeVar("Told")

Tell = Callable[[Mapping[str, object]], None]
"""Writes a line into the journal."""


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker is given before it hears anything."""

    keyless: Mapping[str, Endpoint]
    keys: Mapping[str, PackedKey]
    connect_s: float
    connections: int


class WorkerPool:
    """The workers there are now, at least one at first. All of it runs on the driver's loop.

    With vantages, each has workers of its own, and a lost one is replaced on its own node.
    """

    def __init__(self, hands: list[WorkerHandle], names: "count[int]", vantages: Sequence[Node] = ()) -> None:
        self.hands = hands
        self.vantages = vantages
        self._names = names
        self._tell: Tell = _ignore
        self._numbers = count(1)
        self._equipment: WorkerSetup | None = None
        self._replacements: dict[asyncio.Task[None], Node] = {}

    def write_to(self, tell: Tell) -> None:
        """Let a journal know of all workers there are, and of all changes from now on."""
        self._tell = tell
        for hand in self.hands:
            tell(hand.facts())

    async def equip(self, endpoints: Mapping[str, Endpoint], connect_s: float, connections: int) -> None:
        """Give all workers, and those that come later, what they need to ask.

        Raises:
            CompareError: an address means another machine to a worker, or a worker lacks file descriptors.

        """
        self._equipment = WorkerSetup(*pack_keys(endpoints), connect_s, connections)
        try:
            await asyncio.gather(*(_hand_out(self._equipment, hand) for hand in self.hands))
        except WorkerLost as lost:
            raise CompareError(f"{lost} before anything was sent: {lost.why}") from None

    async def choose(self, vantage: Node | None = None) -> WorkerHandle:
        """Return the worker with least to do, of a vantage if one is given; wait for a replacement where there is none.

        Raises:
            ClusterLost: no worker is left, and none comes.
            WorkerLost: none is left at the vantage, and none comes.

        """
        while not (hands := [hand for hand in self.hands if vantage in {None, hand.node}]):
            coming = [replacement for replacement, node in self._replacements.items() if vantage in {None, node}]
            if coming:
                await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            elif vantage is None or not (self.hands or self._replacements):
                raise ClusterLost(
                    "the last worker of the cluster was lost. What was recorded is safe: go on with `compare run "
                    f"--resume`, on a cluster{'' if self.vantages else ' or without one'}"
                )
            else:
                why = f"{vantage.name} was lost and not back within {START_LIMIT_S:g} s; no other node asks for it"
                raise WorkerLost(why, why)
        return min(hands, key=lambda hand: hand.busy)

    def next_number(self) -> int:
        """Return a number by which an attempt can be named to its worker."""
        return next(self._numbers)

    async def collect(self, hand: WorkerHandle, reference: Awaitable[Told]) -> Told:
        """Await what a worker was told to do.

        Raises:
            WorkerLost: it is gone, and another one on its way.

        """
        try:
            return await hand.collect(reference)
        except WorkerLost as lost:
            self._strike_off(hand, lost)
            raise

    def _strike_off(self, hand: WorkerHandle, lost: WorkerLost) -> None:
        """Count on a worker no more, stop what it may still do, and look for another."""
        if hand not in self.hands:
            return  # others were waiting for it, too
        self.hands.remove(hand)
        hand.dismiss()
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        what = {"name": hand.name, "node": hand.node.name, "under_way": hand.busy, "why": lost.why}
        self._tell({"kind": "worker_lost", "at": at, **what})
        replacement = asyncio.create_task(self._replace(hand.node))
        self._replacements[replacement] = hand.node
        replacement.add_done_callback(self._replacements.pop)

    async def _replace(self, node: Node) -> None:
        """Hire one worker more, if the cluster, or the very node, has room for it; if not, the others do without."""
        assert self._equipment is not None
        names = name_workers(self._names)
        try:
            hand = await recruit_back(node, names) if self.vantages else (await recruit(1, names))[0]
        except CompareError:
            return
        try:
            await _hand_out(self._equipment, hand)
        except (CompareError, WorkerLost):
            hand.dismiss()
            return
        self._tell(hand.facts())
        self.hands.append(hand)

    async def disband(self) -> None:
        """Stop all workers, those on their way as well."""
        for replacement in self._replacements:
            replacement.cancel()
        await asyncio.gather(*self._replacements, return_exceptions=True)
        for hand in self.hands:
            hand.dismiss()


def _ignore(_line: Mapping[str, object]) -> None:
    """Write nothing: there is no journal yet."""


async def _hand_out(equipment: WorkerSetup, hand: WorkerHandle) -> None:
    for endpoint in equipment.keyless.values():
        _refuse_loopback(endpoint, hand)
    # By a call, whose arguments go from process to process. Those of a constructor are stored by Ray.
    opened = hand.handle.open.remote(equipment.keyless, equipment.keys, equipment.connect_s, equipment.connections)
    await hand.collect(opened)


def _refuse_loopback(endpoint: Endpoint, hand: WorkerHandle) -> None:
    if hand.host != platform.node() and urlsplit(endpoint.base_url).hostname in LOOPBACK:
        raise CompareError(
            f"{endpoint.provider} is asked at {endpoint.base_url}, which {hand} would look for on its own machine. "
            "Give an address that every node reaches; `compare serve` runs the simulator on one"
        )


def name_workers(numbers: "count[int]") -> "map[str]":
    """Yield names without end."""
    return map("worker {}".format, numbers)


@asynccontextmanager
async def open_crew(fleet: ClusterOptions, vantages: Sequence[Node]) -> AsyncIterator[WorkerPool]:
    """Hire workers, on each of the vantages if there are any, for the length of an `async with` block.

    Raises:
        CompareError: the cluster that this process has joined cannot give them.

    """
    numbers = count(1)
    names = name_workers(numbers)
    hired = recruit_at(vantages, fleet.workers or 1, names) if vantages else recruit(fleet.workers, names)
    crew = WorkerPool(await hired, numbers, vantages)
    try:
        yield crew
    finally:
        await crew.disband()
