"""Hears one reply out: decodes what arrived, seldom, in slices, and watches the clock meanwhile."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns

import httpx2

from runner.events import Event, Failed, Opened
from runner.record import Fold
from runner.suite.case import Timeouts
from runner.wire.airtime import READS_PER_SLICE, Airtime
from runner.wire.connection_failure import describe
from runner.wire.failure import request_id
from runner.wire.hearing import Hearing
from runner.wire.timers import due_ns, expired
from runner.wire.transport import Body

Watch = Callable[[Event], None]
"""Called with each event soon after it arrived, for a live view."""

WATCH_INTERVAL_NS = 50_000_000
"""A live view decodes at most 20 times a second, so that it cannot disturb what it shows."""

LINGER_NS = 100_000_000
"""How long to wait for the end of the body behind [DONE], which lets the connection be used again."""


STAMP = re.compile(r"[0-9]{1,18}")
"""A clock's nanoseconds; what is longer fits no column of 64-bit numbers."""


@dataclass(slots=True)
class Attempt:
    """One try as it is being heard. What was heard before a cancellation is here, too."""

    body: Body = field(default_factory=Body)
    fold: Fold = field(default_factory=Fold)


def opened(response: httpx2.Response, body: Body) -> Opened:
    """Return the event of a response's head."""
    at_ns = body.headers_ns or perf_counter_ns()
    headers = dict(response.headers)
    return Opened(at_ns, response.status_code, request_id(headers), received_ns(headers))


def received_ns(headers: Mapping[str, str]) -> int | None:
    """Return when a server with a known clock, as the simulator is, says that it had the whole request."""
    said = headers.get("x-received-ns", "")
    return int(said) if STAMP.fullmatch(said) else None


async def hear_out(
    response: httpx2.Response, timeouts: Timeouts, attempt: Attempt, airtime: Airtime, watch: Watch | None
) -> None:
    """Decode until the reply ends, or a timer says that it will not."""
    listener = _Listener(attempt, Hearing(response.status_code, dict(response.headers)), airtime, watch)
    body, fold = attempt.body, attempt.fold
    fold.add(opened(response, body))
    failed: Failed | None = None
    while failed is None and not body.complete and not listener.hearing.over:
        limit_ns = due_ns(body.sent_ns, fold.has_text, fold.last_event, timeouts)
        await body.wait(limit_ns if watch is None else min(limit_ns, perf_counter_ns() + WATCH_INTERVAL_NS))
        await listener.decode()
        if not body.complete:
            failed = expired(body.sent_ns, fold.has_text, fold.last_event, timeouts, perf_counter_ns())
    if listener.hearing.over:
        await body.wait(perf_counter_ns() + LINGER_NS)
    await listener.decode()
    broken = describe(body.error, perf_counter_ns()) if body.error is not None else None
    listener.close(failed or broken)


@dataclass(slots=True)
class _Listener:
    """Takes arrivals out of a body, and puts events into a fold."""

    attempt: Attempt
    hearing: Hearing
    airtime: Airtime
    watch: Watch | None

    async def decode(self) -> None:
        """Decode all that has arrived, a slice at a time."""
        arrivals = self.attempt.body.take()
        for start in range(0, len(arrivals), READS_PER_SLICE):
            async with self.airtime:
                for at_ns, data in arrivals[start : start + READS_PER_SLICE]:
                    self._take_in(self.hearing.feed(at_ns, data))

    def close(self, failed: Failed | None) -> None:
        """Say that nothing more comes, and why if it should have."""
        self._take_in(self.hearing.close(perf_counter_ns(), failed))

    def _take_in(self, events: Sequence[Event]) -> None:
        for event in events:
            self.attempt.fold.add(event)
            if self.watch is not None:
                self.watch(event)
