"""Attempt runners: they send a request and receive its response, in this process or, on a cluster, in another.

The schedule, the lanes, retries and the journal do not depend on the kind of runner. Each attempt needs a permit of its
lane, so a lane's limits hold wherever its requests are sent from.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import anyio

from runner.core.cluster_node import Node
from runner.engine.event_loop_lateness import NEGLIGIBLE_NS, PERIOD_NS, LateSpans, doubtful_timestamps, measure_lateness
from runner.providers.endpoint import Endpoint
from runner.wire.attempt import Attempt, AttemptRequest, Watch
from runner.wire.batched_reads import max_batch_delay_ns
from runner.wire.client import Client
from runner.wire.event_loop_time_slices import TimeSlices
from runner.wire.proxy import ProxyLogins
from runner.wire.response_body import KERNEL_CLOCK, Phases


@dataclass(frozen=True, slots=True)
class Provenance:
    """The place where an attempt was measured, and the accuracy and offset of its timestamps."""

    late_ns: int | None = None
    """Maximum lateness of the timestamps; None if no text was received."""
    clock_ahead_ns: int = 0
    """Lead of the measuring clock over this process's clock."""
    node: str | None = None
    region: str | None = None


class AttemptRunner(Protocol):
    """Runs attempts at one provider."""

    async def warm_up(self, connections: int) -> list[Phases]:
        """Open connections before anything is measured; return the phases of each, by this process's clock."""

    async def run(
        self, request: AttemptRequest, attempt: Attempt, watch: Watch | None = None, *, vantage: Node | None = None
    ) -> None:
        """Send a request and receive the response into `attempt`, which keeps what was received before a cancellation.

        With a vantage, the request is sent from that node and no other.
        """

    def provenance_of(self, attempt: Attempt) -> Provenance:
        """Return where an attempt was measured."""


OpenAttemptRunners = Callable[
    [Mapping[str, Endpoint], float, TimeSlices], AbstractAsyncContextManager[Mapping[str, AttemptRunner]]
]
"""Opens an attempt runner for each provider, given endpoints, seconds to connect and the event loop's time slices."""


@dataclass(frozen=True, slots=True)
class LocalAttemptRunner:
    """Runs attempts in this process."""

    client: Client
    late: LateSpans

    async def warm_up(self, connections: int) -> list[Phases]:
        """Open connections; return the phases of each."""
        return await self.client.warm_up(connections)

    async def run(
        self, request: AttemptRequest, attempt: Attempt, watch: Watch | None = None, *, vantage: Node | None = None
    ) -> None:
        """Send a request on this event loop and receive the response into `attempt`."""
        assert vantage is None, "only a cluster has nodes to send from"
        await self.client.ask(request, attempt, watch)

    def provenance_of(self, attempt: Attempt) -> Provenance:
        """Return how late this event loop may have been during an attempt."""
        if not attempt.fold.has_text:
            return Provenance()
        by_kernel = attempt.body.clock == KERNEL_CLOCK
        shared_ns = attempt.shared_ns & attempt.body.merged_ns
        timestamps_ns = doubtful_timestamps(attempt.fold.timestamps_ns, shared_ns, by_kernel=by_kernel)
        late_ns = self.late.worst_ns(timestamps_ns)
        if by_kernel and timestamps_ns:
            # Parts of a read waited for each other, for less than a tick's period if no tick was late.
            late_ns = max(late_ns, PERIOD_NS + NEGLIGIBLE_NS) + max_batch_delay_ns()
        return Provenance(late_ns=late_ns)


@asynccontextmanager
async def open_local_runners(
    endpoints: Mapping[str, Endpoint], connect_s: float, time_slices: TimeSlices
) -> AsyncIterator[dict[str, LocalAttemptRunner]]:
    """Open a client for each provider in this process, and measure how late its event loop is."""
    logins = ProxyLogins()
    clients = {name: Client(endpoint, connect_s, time_slices, logins) for name, endpoint in endpoints.items()}
    try:
        with measure_lateness() as late:
            yield {name: LocalAttemptRunner(client, late) for name, client in clients.items()}
    finally:
        with anyio.CancelScope(shield=True):
            for client in clients.values():
                await client.aclose()
