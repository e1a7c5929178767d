"""Conversations: each is started when the schedule permits, and held turn by turn in a task of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil, inf
from time import perf_counter_ns

import anyio
import anyio.abc
import anyio.lowlevel

from runner.core.cluster_node import Node
from runner.core.conversation_state import earlier_reply
from runner.core.events import TIMED
from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.engine.lane_schedule import Begin, Levels, Schedule, ScheduledLane, StopCheck, Wait, never_stop
from runner.engine.permit_queue import LaneQueue
from runner.engine.provider_lane import Permit
from runner.engine.send_requests import RequestSender
from runner.engine.spread_rounds import Spread
from runner.planning.plan import Plan
from runner.planning.request import Request, Target


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane's queue, its targets, and the sender that sends its requests."""

    sender: RequestSender
    queue: LaneQueue
    targets: Sequence[Target]
    seed: int = 0
    """Seed of the plan, which determines the users' think times."""
    load: LoadProfile = field(default_factory=LoadProfile)
    repeat: int | None = None
    """Number of rounds of the plan; None without a limit."""

    @property
    def scheduled(self) -> ScheduledLane:
        """The lane and its targets, for the schedule."""
        return ScheduledLane(self.queue.lane, self.targets)

    def enter_level(self, width: int | None, now_ns: int) -> None:
        """Change the lane to a level of load, and write the change to the journal."""
        self.sender.note_limit(self.queue.lane, self.queue.lane.enter_level(width, self.load.ramp, now_ns))
        self._note_opening()

    def free_place(self, held_ns: int | None = None) -> None:
        """Free a place for others; `held_ns` is how long a conversation held it, None if it has not ended."""
        self.queue.lane.end(perf_counter_ns(), held_ns)
        self._note_opening()
        self.queue.wake()

    def _note_opening(self) -> None:
        if self.load.has_steady_state(self.repeat):
            self.sender.note_opening(self.queue.lane)


@dataclass(slots=True)
class WarmUp:
    """The warm-up of a run, in which requests are sent until the first refusal."""

    check: StopCheck = never_stop
    refusal: str | None = None

    def may_send(self) -> bool:
        """Return whether another request may be sent."""
        self.refusal = self.refusal or self.check()
        return self.refusal is None


async def hold_conversations(lanes: Sequence[OpenLane], levels: Levels, warming: WarmUp | None = None) -> None:
    """Send the warm-up requests, then hold all conversations of all levels; return when the last one has ended.

    A lane enters the next level once it has begun all conversations of the previous one, while its last replies are
    still arriving: a lane that ran empty in between would have to fill again. The same holds for the warm-up and the
    first level.
    """
    async with anyio.create_task_group() as tasks:
        warming = warming or WarmUp()
        async with anyio.create_task_group() as starting:
            for lane in lanes:
                lane.enter_level(levels.width(0), perf_counter_ns())
                starting.start_soon(_warm_up, lane, levels.plan, warming, tasks)
        if warming.refusal is not None:
            return
        for lane in lanes:
            tasks.start_soon(_start_levels, lanes, lane, levels, tasks)


async def _warm_up(lane: OpenLane, plan: Plan, warming: WarmUp, tasks: anyio.abc.TaskGroup) -> None:
    """Start a lane's warm-up requests; return when all are sent and each target has finished one from each node.

    Measured requests begin then, and take the places of the remaining warm-up requests as these end.
    """
    ended: dict[tuple[str, Node | None], anyio.Event] = {}
    names = {target.name for target in lane.targets}
    for request in plan.warmup_requests(lane.queue.lane.provider):
        if request.target.name in names:
            permit = await _begin_warmup(lane, request, _max_warmups(lane, plan), warming)
            if permit is None:
                break
            event = ended.setdefault((request.target.name, request.vantage), anyio.Event())
            tasks.start_soon(_hold_warmup, lane, request, permit, event)
    for event in ended.values():
        await event.wait()


def _max_warmups(lane: OpenLane, plan: Plan) -> float:
    """Return how many warm-up requests may be in flight: at most all conversations, or one second of an open loop."""
    rate, targets = lane.load.rate, len(lane.targets)
    planned = inf if plan.repeat is None else plan.repeat * targets * len(plan.origins) * len(plan.cases)
    return planned if rate is None else min(planned, ceil(rate * targets))


async def _begin_warmup(lane: OpenLane, request: Request, most: float, warming: WarmUp) -> Permit | None:
    """Wait for one of the lane's first `most` places; return the permit, or None if the request is refused."""
    while True:
        now_ns = perf_counter_ns()
        is_free = lane.queue.lane.conversations < most
        begins_ns = lane.queue.lane.may_begin_at(request, now_ns) if is_free else None
        if begins_ns is not None and begins_ns <= now_ns:
            return lane.queue.lane.begin(request, now_ns) if warming.may_send() else None
        await lane.queue.starts.wait_until(begins_ns)


async def _hold_warmup(lane: OpenLane, request: Request, permit: Permit, ended: anyio.Event) -> None:
    """Send a warm-up request; then free its place in the lane."""
    held_ns = None
    try:
        await lane.sender.send(request, permit.at_ns, permit=permit)
        held_ns = _conversation_ns(request, perf_counter_ns() - permit.at_ns, lane.seed)
    finally:
        ended.set()
        lane.free_place(held_ns)


def _conversation_ns(request: Request, turn_ns: int, seed: int) -> int:
    """Return the expected duration of a conversation: that of one turn for each turn, plus the user's think times."""
    case = request.case
    later = range(2, len(case.turns) + 1)
    waits_s = [case.think_time.wait_s(seed, case.id, request.repeat, turn) for turn in later] if case.think_time else []
    return turn_ns * len(case.turns) + round(sum(waits_s) * 1e9)


async def _start_levels(lanes: Sequence[OpenLane], lane: OpenLane, levels: Levels, tasks: anyio.abc.TaskGroup) -> None:
    """Start one lane's conversations, level after level, until it has no more."""
    for level in count():
        now_ns = perf_counter_ns()
        schedule = levels.enter(level, now_ns)
        if schedule is None:
            return
        if level:
            lane.enter_level(levels.width(level), now_ns)
        await _start_conversations(schedule, lanes, lane, tasks)


async def _start_conversations(
    schedule: Schedule, lanes: Sequence[OpenLane], lane: OpenLane, tasks: anyio.abc.TaskGroup
) -> None:
    """Start one lane's conversations at one level until it has no more."""
    while True:
        progress_marker, awaited = schedule.progress_marker, schedule.awaited_round
        step = schedule.decide(lane.queue.lane, perf_counter_ns())
        if step is None or schedule.progress_marker != progress_marker or not schedule.is_next(lane.queue.lane):
            _wake_others(schedule, lanes, everyone=step is None)
        match step:
            case None:
                return
            case Wait(until_ns):
                if (spread := schedule.rules.spread) is not None and schedule.awaited_round != awaited:
                    _notify_of_round(spread, schedule.awaited_round, lane)
                await lane.queue.starts.wait_until(until_ns)
            case Begin():
                tasks.start_soon(_hold_conversation, lane, step)
                await anyio.lowlevel.checkpoint()


def _notify_of_round(spread: Spread, number: int, lane: OpenLane) -> None:
    """Notify the observer of the round that is waited for, and when the last one begins."""
    lane.sender.context.observer.round_awaited(number, spread.start_time_s(number), spread.start_time_s(spread.rounds))


def _wake_others(schedule: Schedule, lanes: Sequence[OpenLane], *, everyone: bool) -> None:
    """Wake the lanes that may be able to continue; if `everyone`, all other lanes, which may have to stop."""
    for other in lanes:
        if everyone or schedule.is_next(other.queue.lane):
            other.queue.wake()


async def _hold_conversation(lane: OpenLane, begin: Begin) -> None:
    """Hold a conversation to its end or its first failure; then free its place in the lane."""
    held_ns = None
    try:
        await _hold_turns(lane, begin)
        held_ns = perf_counter_ns() - begin.permit.at_ns
    finally:
        lane.free_place(held_ns)


async def _hold_turns(lane: OpenLane, begin: Begin) -> None:
    """Send the turns of a conversation, one after the other, up to its first failure."""
    sender, request = lane.sender, begin.request
    record = await _send_first(sender, begin)
    while record.outcome in TIMED:
        next_turn = request.next_request(earlier_reply(record))
        if next_turn is None:
            return
        await _idle(lane, next_turn)
        request = next_turn
        await _think(request, lane.seed)
        record = await sender.send(request, perf_counter_ns())
    _write_skipped_turns(sender, request)


async def _send_first(sender: RequestSender, begin: Begin) -> Record:
    """Send the first request of a conversation, after one that fills the prompt cache if that is wanted."""
    request, permit, ready_ns = begin.request, begin.permit, begin.ready_ns
    warmed_ns = await sender.warmer.warm(
        request, permit, lambda warming, permit: sender.send(warming, perf_counter_ns(), permit=permit)
    )
    if warmed_ns is None:
        return await sender.send(request, ready_ns, planned_ns=begin.planned_ns, permit=permit)
    return await sender.send(request, warmed_ns, planned_ns=begin.planned_ns)


async def _idle(lane: OpenLane, following: Request) -> None:
    """Wait for a cache probe's idle time before its next turn; its place in the lane is free meanwhile."""
    idle_s = following.case.idle_s[following.turn - 1] if following.case.idle_s else 0.0
    if not idle_s:
        return
    lane.free_place()
    try:
        await anyio.sleep(idle_s)
    finally:
        lane.queue.lane.rejoin()


async def _think(request: Request, seed: int) -> None:
    """Wait for the user's think time before a turn, but not before a tool's result; the lane's place is kept."""
    case = request.case
    turn, step = case.steps.turn_and_step(request.turn)
    if case.think_time is not None and step == 1:
        await anyio.sleep(case.think_time.wait_s(seed, case.id, request.repeat, turn))


def _write_skipped_turns(sender: RequestSender, failed: Request) -> None:
    """Write a record for each turn after a failed one, so that every planned request has a row."""
    for request in failed.later_turns():
        sender.write(request.skipped(failed.turn))
