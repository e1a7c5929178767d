"""The read loop of one response: decodes what arrived, in time slices, and enforces the timeouts."""

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter_ns

import anyio

from runner.core.events import Event, Failed, Flagged, Text
from runner.core.suite import Timeouts
from runner.wire.attempt import Attempt, Watch
from runner.wire.connection_failures import connection_failure
from runner.wire.decoders.provider_failures import undecodable
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.decoders.response_head import ResponseHead, response_started
from runner.wire.dialects import Dialect
from runner.wire.event_loop_time_slices import READS_PER_SLICE, TimeSlices
from runner.wire.timeouts import expired_timeout, next_deadline_ns

WATCH_INTERVAL_NS = 50_000_000
"""Time between two decodings for a live view: at most 20 a second, so that the view does not disturb the timing."""

SLICE_BYTES = 64 * 1024
"""Bytes decoded in one time slice, so that timeouts are checked however fast a server sends."""

OVERTIME_NS = 500_000_000
"""Maximum time spent after the timeout `total` on decoding what arrived before it. A common stream needs 1 % of it."""

LINGER_NS = 100_000_000
"""Maximum wait for the end of the body after [DONE]; a body read to its end leaves its connection reusable."""

BODY_FLAGS = ("compressed", "reads_paused")
"""Flags on how a body was received that cannot be derived from its reads."""


async def read_response(
    head: ResponseHead,
    timeouts: Timeouts,
    attempt: Attempt,
    time_slices: TimeSlices,
    watch: Watch | None,
    *,
    dialect: Dialect,
) -> None:
    """Read and decode the attempt's body into its fold, until the reply ends or a timeout expires."""
    decoder = ResponseDecoder(head.status, head.headers, dialect=dialect.decoder, now=datetime.now(UTC))
    loop = _ReadLoop(attempt, decoder, time_slices, watch)
    body, fold = attempt.body, attempt.fold
    fold.add(response_started(head, body.headers_ns or perf_counter_ns()))
    try:
        expired = await loop.read_until_timeout(timeouts)
        if loop.decoder.over:
            await body.wait(perf_counter_ns() + LINGER_NS)
        await loop.decode()
        if loop.gave_up:
            started = fold.has_text, fold.last_event
            expired = expired or expired_timeout(body.sent_ns, *started, timeouts, perf_counter_ns())
        broken = connection_failure(body.error, perf_counter_ns()) if body.error is not None else None
        attempt.ended_by = expired or broken
        loop.flag_body()
        loop.close()
    except anyio.get_cancelled_exc_class():
        loop.decode_at_once()
        loop.flag_body()
        raise
    except Exception as error:  # noqa: BLE001 -- no bytes of one provider may end the run of the others
        fold.add(undecodable(error, perf_counter_ns()))


@dataclass(slots=True)
class _ReadLoop:
    """Takes reads out of a body and adds their events to a fold."""

    attempt: Attempt
    decoder: ResponseDecoder
    time_slices: TimeSlices
    watch: Watch | None
    undecoded: deque[tuple[int, bytes]] = field(default_factory=deque)
    last_read_ns: int = -1
    end_ns: int = sys.maxsize
    """Time at which the timeout `total` expires."""
    overtime_ns: int = 0
    """Time spent on decoding after `end_ns`."""
    gave_up: bool = False
    """Whether reads were dropped because `overtime_ns` exceeded its limit."""

    async def read_until_timeout(self, timeouts: Timeouts) -> Failed | None:
        """Decode until the body ends, its rest is not needed, or a timeout expires; return that timeout's failure."""
        body, fold = self.attempt.body, self.attempt.fold
        # Decode at least this often: undecoded text may have arrived, followed by silence.
        interval_ns = int(timeouts.idle * 1e9) if self.watch is None else WATCH_INTERVAL_NS
        self.end_ns = (body.sent_ns or 0) + int(timeouts.total * 1e9)
        expired: Failed | None = None
        while expired is None and not body.complete and not self.decoder.over:
            deadline_ns = next_deadline_ns(body.sent_ns, fold.has_text, fold.last_event, timeouts)
            await body.wait(min(deadline_ns, perf_counter_ns() + interval_ns))
            await self.decode()
            if not body.complete:
                expired = expired_timeout(body.sent_ns, fold.has_text, fold.last_event, timeouts, perf_counter_ns())
        return expired

    async def decode(self) -> None:
        """Decode all reads that have arrived, in time slices, for at most `OVERTIME_NS` beyond `total`."""
        self.undecoded.extend(self.attempt.body.take())
        while self.undecoded:
            async with self.time_slices:
                self._decode_slice()

    def decode_at_once(self) -> None:
        """Decode the reads that have arrived without waiting for time slices, after a cancellation."""
        self.undecoded.extend(self.attempt.body.take())
        self.end_ns = min(self.end_ns, perf_counter_ns())
        while self.undecoded:
            self._decode_slice()

    def _decode_slice(self) -> None:
        """Decode what fits into one time slice; drop the rest if decoding takes too long beyond `total`."""
        began_ns, size, undecoded = perf_counter_ns(), 0, self.undecoded
        reads: list[tuple[int, bytes]] = []
        while undecoded and size < SLICE_BYTES and len(reads) < READS_PER_SLICE:
            reads.append(undecoded.popleft())
            size += len(reads[-1][1])
        self._decode(reads)
        ended_ns = perf_counter_ns()
        if ended_ns > self.end_ns:
            self.overtime_ns += ended_ns - max(began_ns, self.end_ns)
            if not self.attempt.body.complete:
                self.attempt.body.stop()
            if self.overtime_ns > OVERTIME_NS and self.undecoded:
                self.gave_up = True
                self.undecoded.clear()

    def _decode(self, reads: Sequence[tuple[int, bytes]]) -> None:
        if self.attempt.recording is not None:
            self.attempt.recording.add(reads)  # first, so that bytes that cannot be decoded are kept
        self._note_shared(reads)
        while reads:
            texts = self.decoder.feed_plain(reads)
            if texts:
                self._add_texts(texts)
            if len(texts) < len(reads):
                self._decode_any(*reads[len(texts)])
            reads = reads[len(texts) + 1 :]

    def _decode_any(self, at_ns: int, data: bytes) -> None:
        events = self.decoder.feed(at_ns, data)
        if len(events) > 1:
            self.attempt.shared_ns.add(at_ns)
        self._add(events)

    def _note_shared(self, reads: Sequence[tuple[int, bytes]]) -> None:
        """Collect the timestamps that successive reads share."""
        for at_ns, _ in reads:
            if at_ns == self.last_read_ns:
                self.attempt.shared_ns.add(at_ns)
            self.last_read_ns = at_ns

    def flag_body(self) -> None:
        """Flag a body that was compressed, whatever its headers say, or whose reads were paused."""
        body, at_ns = self.attempt.body, perf_counter_ns()
        flags = dict(zip(BODY_FLAGS, (body.compressed, body.was_paused), strict=True))
        self._add([Flagged(at_ns, flag) for flag, is_true in flags.items() if is_true])

    def close(self) -> None:
        """Add the events of the body's end."""
        self.attempt.closed_ns = perf_counter_ns()
        self._add(self.decoder.close(self.attempt.closed_ns, self.attempt.ended_by))

    def _add_texts(self, texts: Sequence[Text]) -> None:
        self.attempt.fold.add_texts(texts)
        if self.watch is not None:
            for text in texts:
                self.watch(text)

    def _add(self, events: Sequence[Event]) -> None:
        for event in events:
            self.attempt.fold.add(event)
            if self.watch is not None:
                self.watch(event)
