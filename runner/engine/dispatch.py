"""Conversations are begun when the schedule says so, and held turn by turn, each in a task of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter_ns

import anyio
import anyio.abc
import anyio.lowlevel

from runner.core.events import TIMED
from runner.engine.exchange import RequestExchange
from runner.engine.lane_queue import LaneQueue
from runner.engine.schedule import Begin, Schedule, Wait
from runner.planning.plan import Request, Target


@dataclass(frozen=True, slots=True)
class Track:
    """A lane with its door, whom it asks, and what asks them."""

    exchange: RequestExchange
    door: LaneQueue
    targets: Sequence[Target]


async def dispatch(schedule: Schedule, tracks: Sequence[Track]) -> None:
    """Begin and hold all that a schedule gives out; return when the last conversation is over."""
    async with anyio.create_task_group() as conversations:
        for track in tracks:
            conversations.start_soon(_serve, schedule, tracks, track, conversations)


async def _serve(schedule: Schedule, tracks: Sequence[Track], track: Track, conversations: anyio.abc.TaskGroup) -> None:
    """Begin one lane's conversations until it has no more."""
    while True:
        slowest = schedule.slowest_block
        step = schedule.decide(track.door.lane, perf_counter_ns())
        if step is None or schedule.slowest_block != slowest:
            # The others may be free to go on, or not to begin at all.
            for other in tracks:
                other.door.ring()
        match step:
            case None:
                return
            case Wait(until_ns):
                await track.door.newcomers.wait_until(until_ns)
            case Begin():
                conversations.start_soon(_converse, track, step)
                await anyio.lowlevel.checkpoint()


async def _converse(track: Track, begin: Begin) -> None:
    """Hold a conversation to its end, or to its first failure; then give its place free."""
    try:
        exchange, request = track.exchange, begin.request
        record = await exchange.hold(request, begin.ready_ns, planned_ns=begin.planned_ns, ticket=begin.ticket)
        while record.outcome in TIMED:
            following = request.follow(record.reply or "")
            if following is None:
                return
            request = following
            record = await exchange.hold(request, perf_counter_ns())
        _skip_unasked(exchange, request)
    finally:
        track.door.lane.end()
        track.door.ring()


def _skip_unasked(exchange: RequestExchange, failed: Request) -> None:
    """Record the turns that cannot be asked: every planned request has its row."""
    for request in failed.unasked():
        exchange.write(request.skipped(failed.turn))
