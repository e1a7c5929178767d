"""Conversations: started when the schedule says so, and held turn by turn, each in a task of its own."""

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
class OpenLane:
    """A lane's queue, its targets, and the exchange that sends its requests."""

    exchange: RequestExchange
    queue: LaneQueue
    targets: Sequence[Target]


async def hold_conversations(schedule: Schedule, lanes: Sequence[OpenLane]) -> None:
    """Start and hold all conversations of a schedule; return when the last one has ended."""
    async with anyio.create_task_group() as tasks:
        for lane in lanes:
            tasks.start_soon(_start_conversations, schedule, lanes, lane, tasks)


async def _start_conversations(
    schedule: Schedule, lanes: Sequence[OpenLane], lane: OpenLane, tasks: anyio.abc.TaskGroup
) -> None:
    """Start one lane's conversations until it has no more."""
    while True:
        slowest = schedule.slowest_block
        step = schedule.decide(lane.queue.lane, perf_counter_ns())
        if step is None or schedule.slowest_block != slowest:
            # The other lanes may be free to go on, or have to stop.
            for other in lanes:
                other.queue.wake()
        match step:
            case None:
                return
            case Wait(until_ns):
                await lane.queue.starts.wait_until(until_ns)
            case Begin():
                tasks.start_soon(_hold_conversation, lane, step)
                await anyio.lowlevel.checkpoint()


async def _hold_conversation(lane: OpenLane, begin: Begin) -> None:
    """Hold a conversation to its end or its first failure; then free its place in the lane."""
    try:
        exchange, request = lane.exchange, begin.request
        record = await exchange.send(request, begin.ready_ns, planned_ns=begin.planned_ns, permit=begin.permit)
        while record.outcome in TIMED:
            next_turn = request.follow(record.reply or "")
            if next_turn is None:
                return
            request = next_turn
            record = await exchange.send(request, perf_counter_ns())
        _write_skipped_turns(exchange, request)
    finally:
        lane.queue.lane.end()
        lane.queue.wake()


def _write_skipped_turns(exchange: RequestExchange, failed: Request) -> None:
    """Write a record for each turn behind a failed one: every planned request has its row."""
    for request in failed.unasked():
        exchange.write(request.skipped(failed.turn))
