"""Requests that are excluded from all statistics: input probes, and requests that warm prompt caches (`cache: warm`).

An input probe measures a target's characters per token, for texts of a wanted size in tokens. It is a small request to
each target whose cases have such a text. Probes are sent before all other requests.

The shared beginning of conversations is sent once before the first conversation that is measured.
"""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Protocol

import anyio

from runner.core.record import Record
from runner.core.sized_input import InputProbe
from runner.engine.permit_queue import LaneQueues
from runner.engine.provider_lane import Permit
from runner.planning.plan import Plan, cache_warming_request, probe_requests, warms_cache
from runner.planning.request import Request
from runner.storage.journal.writer import RecordLog


class Sender(Protocol):
    """Sends a request, as a `RequestSender` does."""

    queues: LaneQueues

    async def send(self, request: Request, ready_ns: int) -> Record:
        """Send a request and return its record."""


@dataclass(slots=True)
class InputProbes:
    """The probes of a run: (target, digest of the text) -> the characters and tokens measured.

    Each is a line of the journal, so that a resumed run cuts texts at the same places.
    """

    found: MutableMapping[tuple[str, str], InputProbe] = field(default_factory=dict)

    def of(self, request: Request) -> InputProbe | None:
        """Return the probe for a request; None if its case has no text to cut, or was not probed."""
        sized = request.case.input
        return None if sized is None else self.found.get((request.target.name, sized.sha256))

    def is_estimated(self, request: Request) -> bool:
        """Return whether the text of a request is cut by an estimate, for want of a measurement."""
        found = self.of(request)
        return request.case.input is not None and (found is None or not found.is_known)

    async def send(self, plan: Plan, sender: Sender, journal: RecordLog, may_send: Callable[[], bool]) -> None:
        """Send a provider's probes concurrently, except those known from an earlier part of the run.

        `may_send` is called before each probe; once it returns False, no other probe is sent.
        """
        async with anyio.create_task_group() as tasks:
            for text_digest, request in self._missing(plan, sender.queues.provider):
                if not may_send():
                    return
                tasks.start_soon(self._probe, text_digest, request, sender, journal)

    def _missing(self, plan: Plan, provider: str) -> Iterator[tuple[str, Request]]:
        for text_digest, request in probe_requests(plan, provider):
            if (request.target.name, text_digest) not in self.found:
                yield text_digest, request

    async def _probe(self, text_digest: str, request: Request, sender: Sender, journal: RecordLog) -> None:
        record = await sender.send(request, perf_counter_ns())
        characters = sum(len(message.content) for message in request.messages(""))
        probe = InputProbe(characters, record.input_tokens)
        self.found[request.target.name, text_digest] = probe
        line = {"target": request.target.name, "text": text_digest, "characters": characters, "tokens": probe.tokens}
        journal.append({"kind": "input_probe", **line})


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
        if not warms_cache(opening.target, opening.case):
            return None
        earlier = self._warmed.get(opening.prefix_key)
        if earlier is not None:
            await earlier.wait()
            return None
        ended = self._warmed[opening.prefix_key] = anyio.Event()
        try:
            await send(cache_warming_request(opening), permit)
        finally:
            ended.set()
        return perf_counter_ns()
