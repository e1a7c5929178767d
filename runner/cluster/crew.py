"""The workers of a run: made ready, chosen between, and replaced when they are lost."""

import asyncio
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar
from urllib.parse import urlsplit

from runner.cluster.hand import Hand, WorkerLost
from runner.cluster.handover import PackedKey, pack_keys
from runner.cluster.recruiting import recruit
from runner.errors import ClusterLost, CompareError
from runner.providers.endpoint import LOOPBACK, Endpoint

Told = TypeVar("Told")

Tell = Callable[[Mapping[str, object]], None]
"""Writes a line into the journal."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a worker is given before it hears anything."""

    keyless: Mapping[str, Endpoint]
    keys: Mapping[str, PackedKey]
    connect_s: float
    connections: int


class Crew:
    """The workers there are now, at least one at first. All of it runs on the driver's loop."""

    def __init__(self, hands: list[Hand], names: "count[int]") -> None:
        self.hands = hands
        self._names = names
        self._tell: Tell = _ignore
        self._numbers = count(1)
        self._equipment: Equipment | None = None
        self._replacements: set[asyncio.Task[None]] = set()

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
        self._equipment = Equipment(*pack_keys(endpoints), connect_s, connections)
        try:
            await asyncio.gather(*(_hand_out(self._equipment, hand) for hand in self.hands))
        except WorkerLost as lost:
            raise CompareError(f"{lost} before anything was sent: {lost.why}") from None

    async def choose(self) -> Hand:
        """Return the worker with least to do; wait for a replacement where there is none.

        Raises:
            ClusterLost: no worker is left, and none comes.

        """
        while not self.hands:
            if not self._replacements:
                raise ClusterLost(
                    "the last worker of the cluster was lost. What was recorded is safe: go on with `compare run "
                    "--resume`, on a cluster or without one"
                )
            await asyncio.wait(self._replacements, return_when=asyncio.FIRST_COMPLETED)
        return min(self.hands, key=lambda hand: hand.busy)

    def next_number(self) -> int:
        """Return a number by which an attempt can be named to its worker."""
        return next(self._numbers)

    async def collect(self, hand: Hand, reference: Awaitable[Told]) -> Told:
        """Await what a worker was told to do.

        Raises:
            WorkerLost: it is gone, and another one on its way.

        """
        try:
            return await hand.collect(reference)
        except WorkerLost as lost:
            self._strike_off(hand, lost)
            raise

    def _strike_off(self, hand: Hand, lost: WorkerLost) -> None:
        """Count on a worker no more, stop what it may still do, and look for another."""
        if hand not in self.hands:
            return  # others were waiting for it, too
        self.hands.remove(hand)
        hand.dismiss()
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        what = {"name": hand.name, "node": hand.node.name, "under_way": hand.busy, "why": lost.why}
        self._tell({"kind": "worker_lost", "at": at, **what})
        replacement = asyncio.create_task(self._replace())
        self._replacements.add(replacement)
        replacement.add_done_callback(self._replacements.discard)

    async def _replace(self) -> None:
        """Hire one worker more, if the cluster has room for it; if not, the others do without."""
        assert self._equipment is not None
        try:
            (hand,) = await recruit(1, name_workers(self._names))
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


async def _hand_out(equipment: Equipment, hand: Hand) -> None:
    for endpoint in equipment.keyless.values():
        _refuse_loopback(endpoint, hand)
    # By a call, whose arguments go from process to process. Those of a constructor are stored by Ray.
    opened = hand.handle.open.remote(equipment.keyless, equipment.keys, equipment.connect_s, equipment.connections)
    await hand.collect(opened)


def _refuse_loopback(endpoint: Endpoint, hand: Hand) -> None:
    if hand.host != platform.node() and urlsplit(endpoint.base_url).hostname in LOOPBACK:
        raise CompareError(
            f"{endpoint.provider} is asked at {endpoint.base_url}, which {hand} would look for on its own machine. "
            "Give an address that every node reaches; `compare serve` runs the simulator on one"
        )


def name_workers(numbers: "count[int]") -> "map[str]":
    """Yield names without end."""
    return map("worker {}".format, numbers)


@asynccontextmanager
async def open_crew(workers: int | None) -> AsyncIterator[Crew]:
    """Hire so many workers, or one for each node, for the length of an `async with` block.

    Raises:
        CompareError: the cluster that this process has joined cannot give them.

    """
    numbers = count(1)
    crew = Crew(await recruit(workers, name_workers(numbers)), numbers)
    try:
        yield crew
    finally:
        await crew.disband()
