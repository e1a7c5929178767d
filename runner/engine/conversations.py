"""Conversations: started when the schedule says so, and held turn by turn, each in a task of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter_ns

import anyio
import anyio.abc
import anyio.lowlevel

from runner.core.conversation import earlier_reply
from runner.core.events import TIMED
from runner.core.record import Record
from runner.engine.lane_schedule import Begin, Schedule, ScheduledLane, Wait
from runner.engine.permit_queue import LaneQueue
from runner.engine.send_requests import RequestExchange
from runner.engine.spread_rounds import Spread
from runner.engine.sweep_levels import Levels
from runner.planning.plan import Request, Target


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane's queue, its targets, and the exchange that sends its requests."""

    exchange: RequestExchange
    queue: LaneQueue
    targets: Sequence[Target]
    seed: int = 0
    """Of the plan: users think as long in every run with it."""

    @property
    def scheduled(self) -> ScheduledLane:
        """The lane as the schedule knows it."""
        return ScheduledLane(self.queue.lane, self.targets)


async def hold_conversations(lanes: Sequence[OpenLane], levels: Levels) -> None:
    """Start and hold all conversations of all levels; return when the last one has ended.

    A lane comes to the next level when it has begun everything of the one before, whose last replies are still
    under way: a lane that ran empty in between would have to fill again.
    """
    async with anyio.create_task_group() as tasks:
        for lane in lanes:
            tasks.start_soon(_start_levels, lanes, lane, levels, tasks)


async def _start_levels(lanes: Sequence[OpenLane], lane: OpenLane, levels: Levels, tasks: anyio.abc.TaskGroup) -> None:
    """Start one lane's conversations, level after level, until it has no more."""
    for level in count():
        now_ns = perf_counter_ns()
        schedule = levels.enter(level, now_ns)
        if schedule is None:
            return
        change = lane.queue.lane.enter_level(levels.width(level), levels.load.ramp_s, now_ns)
        lane.exchange.note_limit(lane.queue.lane, change)
        await _start_conversations(schedule, lanes, lane, tasks)


async def _start_conversations(
    schedule: Schedule, lanes: Sequence[OpenLane], lane: OpenLane, tasks: anyio.abc.TaskGroup
) -> None:
    """Start one lane's conversations at one level until it has no more."""
    while True:
        milestone, awaited = schedule.milestone, schedule.awaited_round
        step = schedule.decide(lane.queue.lane, perf_counter_ns())
        if step is None or schedule.milestone != milestone or not schedule.is_next(lane.queue.lane):
            _wake_others(schedule, lanes, everyone=step is None)
        match step:
            case None:
                return
            case Wait(until_ns):
                if schedule.spread is not None and schedule.awaited_round != awaited:
                    _tell_of_round(schedule.spread, schedule.awaited_round, lane)
                await lane.queue.starts.wait_until(until_ns)
            case Begin():
                tasks.start_soon(_hold_conversation, lane, step)
                await anyio.lowlevel.checkpoint()


def _tell_of_round(spread: Spread, number: int, lane: OpenLane) -> None:
    """Notify the observers of the round that is waited for, and when the last one begins."""
    lane.exchange.observer.round_awaited(number, spread.moment_s(number), spread.moment_s(spread.rounds))


def _wake_others(schedule: Schedule, lanes: Sequence[OpenLane], *, everyone: bool) -> None:
    """Wake the lanes that may be free to go on, or everyone, who may have to stop."""
    for other in lanes:
        if everyone or schedule.is_next(other.queue.lane):
            other.queue.wake()


async def _hold_conversation(lane: OpenLane, begin: Begin) -> None:
    """Hold a conversation to its end or its first failure; then free its place in the lane."""
    try:
        exchange, request = lane.exchange, begin.request
        record = await _send_first(exchange, begin)
        while record.outcome in TIMED:
            next_turn = request.follow(earlier_reply(record))
            if next_turn is None:
                return
            await _idle(lane, next_turn)
            request = next_turn
            await _think(request, lane.seed)
            record = await exchange.send(request, perf_counter_ns())
        _write_skipped_turns(exchange, request)
    finally:
        lane.queue.lane.end()
        lane.queue.wake()


async def _send_first(exchange: RequestExchange, begin: Begin) -> Record:
    """Send the first request of a conversation, behind what brings it into a prompt cache if that is wanted."""
    request, permit, ready_ns = begin.request, begin.permit, begin.ready_ns
    warmed_ns = await exchange.warmer.warm(
        request, permit, lambda warming, permit: exchange.send(warming, perf_counter_ns(), permit=permit)
    )
    if warmed_ns is None:
        return await exchange.send(request, ready_ns, planned_ns=begin.planned_ns, permit=permit)
    return await exchange.send(request, warmed_ns, planned_ns=begin.planned_ns)


async def _idle(lane: OpenLane, following: Request) -> None:
    """Wait as long as a cache probe has to before its next turn; meanwhile others have its place in the lane."""
    idle_s = following.case.idle_s[following.turn - 1] if following.case.idle_s else 0.0
    if not idle_s:
        return
    lane.queue.lane.end()
    lane.queue.wake()
    try:
        await anyio.sleep(idle_s)
    finally:
        lane.queue.lane.rejoin()


async def _think(request: Request, seed: int) -> None:
    """Wait as long as the user thinks before a turn, and not before a tool's result; the lane's place is kept."""
    case = request.case
    turn, step = case.steps.place(request.turn)
    if case.think_time is not None and step == 1:
        await anyio.sleep(case.think_time.wait_s(seed, case.id, request.repeat, turn))


def _write_skipped_turns(exchange: RequestExchange, failed: Request) -> None:
    """Write a record for each turn behind a failed one: every planned request has its row."""
    for request in failed.unasked():
        exchange.write(request.skipped(failed.turn))
