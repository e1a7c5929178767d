"""Warm prompt caches (`cache: warm`) by requests that no figure counts.

What a conversation begins with is sent once before the first conversation that is measured.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter_ns

import anyio

from runner.core.record import Record
from runner.engine.provider_lane import Permit
from runner.planning.plan import Request
from runner.planning.probe_and_warm_requests import warm_request, warms

Send = Callable[[Request, Permit], Awaitable[Record]]


@dataclass(slots=True)
class PrefixWarmer:
    """Sends each beginning of conversations once; those that share it wait until its reply has ended."""

    _warmed: dict[str, anyio.Event] = field(default_factory=dict)
    """What has been sent, by its digest; the event is set when the reply has ended."""

    async def warm(self, opening: Request, permit: Permit, send: Send) -> int | None:
        """Send what a conversation begins with, with the permit of its first request, if this is still to be done.

        A failure is a record like any other, and no reason not to begin the conversation.

        Returns:
            When the reply ended, by `perf_counter_ns`; the permit is used up then. None if nothing was sent.

        """
        if not warms(opening.target, opening.case):
            return None
        earlier = self._warmed.get(opening.prefix_key)
        if earlier is not None:
            await earlier.wait()
            return None
        ended = self._warmed[opening.prefix_key] = anyio.Event()
        try:
            await send(warm_request(opening), permit)
        finally:
            ended.set()
        return perf_counter_ns()
