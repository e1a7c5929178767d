"""Who sends a request and hears its reply out: this process, or another one in its stead.

The schedule, the lanes, retries and the journal do not care which. Whoever asks needs leave for each attempt, so a
lane's promise holds wherever its requests leave from.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import anyio

from runner.core.nodes import Node
from runner.engine.lateness import LateSpans, doubtful, measure_lateness
from runner.providers.endpoint import Endpoint
from runner.wire.batched_reads import resting_ns
from runner.wire.client import ChatRequestBody, Client
from runner.wire.read_loop import Attempt, Watch
from runner.wire.response_body import KERNEL_CLOCK, Phases
from runner.wire.time_slices import TimeSlices


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where an attempt was heard, and how its stamps are to be read."""

    late_ns: int | None = None
    """How late they may be; None where no text was heard."""
    ahead_ns: int = 0
    """How far the clock that stamped was ahead of this process's own."""
    node: str | None = None
    region: str | None = None


class AttemptRunner(Protocol):
    """Asks one provider."""

    async def warm_up(self, connections: int) -> list[Phases]:
        """Open connections before anything is measured; return what each took, by this process's clock."""

    async def ask(
        self, question: ChatRequestBody, attempt: Attempt, watch: Watch | None = None, *, vantage: Node | None = None
    ) -> None:
        """Send a question and hear the reply out, into `attempt`, which is also filled as far as a cancellation.

        With a vantage, from there alone.
        """

    def standpoint(self, attempt: Attempt) -> Vantage:
        """Tell where an attempt was heard."""


OpenAskers = Callable[
    [Mapping[str, Endpoint], float, TimeSlices], AbstractAsyncContextManager[Mapping[str, AttemptRunner]]
]
"""Given endpoints, the seconds that connecting may take, and the loop's airtime: opens an asker for each provider."""


@dataclass(frozen=True, slots=True)
class LocalAttemptRunner:
    """Asks from this process."""

    client: Client
    late: LateSpans

    async def warm_up(self, connections: int) -> list[Phases]:
        """Open connections."""
        return await self.client.warm_up(connections)

    async def ask(
        self, question: ChatRequestBody, attempt: Attempt, watch: Watch | None = None, *, vantage: Node | None = None
    ) -> None:
        """Ask on this loop."""
        assert vantage is None, "only a cluster has nodes to ask from"
        await self.client.ask(question, attempt, watch)

    def standpoint(self, attempt: Attempt) -> Vantage:
        """Tell how late this loop may have been."""
        if not attempt.fold.has_text:
            return Vantage()
        by_kernel = attempt.body.clock == KERNEL_CLOCK
        stamps_ns = doubtful(attempt.fold.timestamps_ns, by_kernel=by_kernel)
        late_ns = self.late.worst_ns(stamps_ns)
        return Vantage(late_ns=late_ns + resting_ns() if by_kernel and stamps_ns else late_ns)


@asynccontextmanager
async def open_own_askers(
    endpoints: Mapping[str, Endpoint], connect_s: float, airtime: TimeSlices
) -> AsyncIterator[dict[str, LocalAttemptRunner]]:
    """Open a client for each provider in this process, and measure how late its loop is."""
    clients = {name: Client(endpoint, connect_s, airtime) for name, endpoint in endpoints.items()}
    try:
        with measure_lateness() as late:
            yield {name: LocalAttemptRunner(client, late) for name, client in clients.items()}
    finally:
        with anyio.CancelScope(shield=True):
            for client in clients.values():
                await client.aclose()
