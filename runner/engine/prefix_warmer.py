"""Requests that warm prompt caches (`cache: warm`) and are excluded from all statistics.

The shared beginning of conversations is sent once before the first conversation that is measured.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter_ns

import anyio

from runner.core.record import Record
from runner.engine.provider_lane import Permit
from runner.planning.plan import warm_request, warms
from runner.planning.request import Request

Send = Callable[[Request, Permit], Awaitable[Record]]


@dataclass(slots=True)
class PrefixWarmer:
    """Sends each shared prefix once; conversations with this prefix wait until its reply has ended."""

    _warmed: dict[str, anyio.Event] = field(default_factory=dict)
    """Digest of a prefix that was sent -> event that is set when its reply has ended."""

    async def warm(self, opening: Request, permit: Permit, send: Send) -> int | None:
        """Send a conversation's prefix with the permit of its first request, unless the prefix has been sent before.

        A failure becomes a record like any other, and the conversation begins all the same.

        Returns:
            When the reply ended, in `perf_counter_ns`; the permit is then used up. None if nothing was sent.

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
