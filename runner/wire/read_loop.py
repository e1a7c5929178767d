"""Hears one reply out: decodes what arrived, seldom, in slices, and watches the clock meanwhile."""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns

import anyio

from runner.core.events import Event, Failed, Flagged, ResponseStarted
from runner.core.fold import Fold
from runner.core.suite import Timeouts
from runner.wire.connection_failure import describe
from runner.wire.failure import request_id
from runner.wire.recording_buffer import RecordingBuffer
from runner.wire.response_body import Head, ResponseBody
from runner.wire.response_decoder import ResponseDecoder
from runner.wire.time_slices import READS_PER_SLICE, TimeSlices
from runner.wire.timers import due_ns, expired

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

    body: ResponseBody = field(default_factory=ResponseBody)
    fold: Fold = field(default_factory=Fold)
    tape: RecordingBuffer | None = None
    """Where reads are kept, if the run is recorded."""
    closed_ns: int | None = None
    """When it was clear that nothing more would be heard of the body."""
    cut: Failed | None = None
    """Why not, if the body did not end by itself."""


def opened(head: Head, at_ns: int) -> ResponseStarted:
    """Return the event of a response's head."""
    simulated = head.headers.get("x-simulated") == "true"
    return ResponseStarted(at_ns, head.status, request_id(head.headers), received_ns(head.headers), simulated)


def received_ns(headers: Mapping[str, str]) -> int | None:
    """Return when a server with a known clock, as the simulator is, says that it had the whole request."""
    said = headers.get("x-received-ns", "")
    return int(said) if STAMP.fullmatch(said) else None


async def hear_out(head: Head, timeouts: Timeouts, attempt: Attempt, airtime: TimeSlices, watch: Watch | None) -> None:
    """Decode until the reply ends, or a timer says that it will not."""
    listener = _ReadLoop(attempt, ResponseDecoder(head.status, head.headers), airtime, watch)
    body, fold = attempt.body, attempt.fold
    fold.add(opened(head, body.headers_ns or perf_counter_ns()))
    if body.compressed:
        fold.add(Flagged(perf_counter_ns(), "compressed"))
    try:
        failed = await _hear_until_due(listener, timeouts)
        if listener.hearing.over:
            await body.wait(perf_counter_ns() + LINGER_NS)
        await listener.decode()
    except anyio.get_cancelled_exc_class():
        listener.decode_at_once()
        raise
    broken = describe(body.error, perf_counter_ns()) if body.error is not None else None
    attempt.cut = failed or broken
    listener.close()


async def _hear_until_due(listener: "_ReadLoop", timeouts: Timeouts) -> Failed | None:
    """Decode until the body ends, nothing more of it matters, or a timer runs out, which is returned."""
    body, fold = listener.attempt.body, listener.attempt.fold
    # Text may have come that nobody has decoded yet, and be followed by silence: look at least that often.
    interval_ns = int(timeouts.idle * 1e9) if listener.watch is None else WATCH_INTERVAL_NS
    failed: Failed | None = None
    while failed is None and not body.complete and not listener.hearing.over:
        limit_ns = due_ns(body.sent_ns, fold.has_text, fold.last_event, timeouts)
        await body.wait(min(limit_ns, perf_counter_ns() + interval_ns))
        await listener.decode()
        if not body.complete:
            failed = expired(body.sent_ns, fold.has_text, fold.last_event, timeouts, perf_counter_ns())
    return failed


@dataclass(slots=True)
class _ReadLoop:
    """Takes arrivals out of a body, and puts events into a fold."""

    attempt: Attempt
    hearing: ResponseDecoder
    airtime: TimeSlices
    watch: Watch | None
    arrivals: deque[tuple[int, bytes]] = field(default_factory=deque)

    async def decode(self) -> None:
        """Decode all that has arrived, a slice at a time."""
        self.arrivals.extend(self.attempt.body.take())
        while self.arrivals:
            async with self.airtime:
                self._decode(READS_PER_SLICE)

    def decode_at_once(self) -> None:
        """Decode all that has arrived, where no turn can be waited for any more."""
        self.arrivals.extend(self.attempt.body.take())
        self._decode(len(self.arrivals))

    def _decode(self, reads: int) -> None:
        taken = [self.arrivals.popleft() for _ in range(min(reads, len(self.arrivals)))]
        for at_ns, data in taken:
            self._take_in(self.hearing.feed(at_ns, data))
        if self.attempt.tape is not None:
            self.attempt.tape.keep(taken)

    def close(self) -> None:
        """Say that nothing more comes, and why if it should have."""
        self.attempt.closed_ns = perf_counter_ns()
        self._take_in(self.hearing.close(self.attempt.closed_ns, self.attempt.cut))

    def _take_in(self, events: Sequence[Event]) -> None:
        for event in events:
            self.attempt.fold.add(event)
            if self.watch is not None:
                self.watch(event)
