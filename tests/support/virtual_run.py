"""A run on a virtual clock: the real schedule and lanes, with a heap of events instead of waits."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from runner.core.load_profile import LoadProfile
from runner.engine.lane_schedule import (
    Begin,
    Levels,
    RunRules,
    Schedule,
    ScheduledLane,
    Wait,
    first_request,
    never_stop,
)
from runner.engine.provider_lane import Lane, LevelOpening
from runner.engine.spread_rounds import Spread
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from tests.support.plans import first_requests

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimedConversation:
    """A conversation of one request: when it started and when it ended, in virtual nanoseconds."""

    lane: str
    request: Request
    start_ns: int
    end_ns: int
    planned_ns: int | None


@dataclass(slots=True)
class VirtualRun:
    """A run on a virtual clock.

    `held` has the conversations in the order of their starts; `after_moment` is called after each time with events.
    """

    plan: Plan
    lanes: Mapping[str, Lane]
    lasts_ns: Callable[[Request], int]
    load: LoadProfile = field(default_factory=LoadProfile)
    level: int = 0
    first_missing: Callable[[Request], Request | None] = first_request
    stop: Callable[[], str | None] = never_stop
    spread: Spread | None = None
    uses: Callable[[Request], tuple[int, int]] = lambda _: (0, 0)
    """Function that returns the tokens that a request sends and receives."""
    after_moment: Callable[["VirtualRun", int], None] = lambda _, __: None
    held: list[TimedConversation] = field(default_factory=list)
    schedule: Schedule = field(init=False)
    now_ns: int = 0
    openings: list[LevelOpening] = field(default_factory=list)
    """Openings of levels by the lanes."""
    _levels: Levels | None = None
    """Levels of a sweep that the lanes enter; None if there is no sweep."""
    _level_of: dict[str, int] = field(default_factory=dict)
    _moments: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        """Create the schedule."""
        targets_of: dict[str, list[Target]] = {name: [] for name in self.lanes}
        for target in self.plan.targets:
            targets_of[target.provider].append(target)
        rules = RunRules(self.load, self.first_missing, self.stop, self.spread)
        scheduled = [ScheduledLane(lane, targets_of[name]) for name, lane in self.lanes.items()]
        self.schedule = Schedule(self.plan, rules, scheduled, 0, self.level)

    def run_levels(self) -> list[TimedConversation]:
        """Process all events of a sweep, in which each lane enters its next level; return all conversations."""
        self._levels = Levels(self.plan, self.schedule.rules, self.schedule.lanes)
        for lane in self.lanes.values():
            self._enter_level(lane, 0)
        return self.run()

    def _enter_level(self, lane: Lane, level: int) -> bool:
        """Move a lane to a level; return whether the level exists."""
        if self._levels is None or self._levels.enter(level, self.now_ns) is None:
            return False
        self._level_of[lane.name] = level
        lane.enter_level(self._levels.width(level), self.load.ramp, self.now_ns)
        self._note_opening(lane)
        return True

    def _schedule_of(self, lane: Lane) -> Schedule:
        return self.schedule if self._levels is None else self._levels.schedules[self._level_of[lane.name]]

    def run(self) -> list[TimedConversation]:
        """Process events until none is left; return all conversations."""
        self._start_conversations(0)
        while self._moments:
            self.now_ns = now_ns = self._moments[0][0]
            while self._moments and self._moments[0][0] == now_ns:
                heapq.heappop(self._moments)[2](now_ns)
            self._start_conversations(now_ns)
        return self.held

    def _start_conversations(self, now_ns: int) -> None:
        """Start conversations in all lanes until no lane starts another one."""
        changed = True
        while changed:
            before = self._progress_markers()
            changed = sum(self._ask(lane, now_ns) for lane in self.lanes.values()) > 0
            changed |= self._progress_markers() != before
        self.after_moment(self, now_ns)

    def _progress_markers(self) -> list[float]:
        return [self._schedule_of(lane).progress_marker for lane in self.lanes.values()]

    def _ask(self, lane: Lane, now_ns: int) -> bool:
        match step := self._schedule_of(lane).decide(lane, now_ns):
            case None:
                return self._enter_level(lane, self._level_of.get(lane.name, 0) + 1)
            case Begin():
                self.hold(lane, step, now_ns)
                return True
            case Wait(until_ns) if until_ns == now_ns:
                return True
            case Wait(int(until_ns)):
                self.call_at(until_ns, lambda _: None)
        return False

    def hold(self, lane: Lane, begin: Begin, now_ns: int) -> None:
        """Hold a conversation that starts now."""
        end_ns = now_ns + self.lasts_ns(begin.request)
        self.held.append(TimedConversation(lane.name, begin.request, now_ns, end_ns, begin.planned_ns))
        self.call_at(end_ns, lambda at_ns: self.finish(lane, begin, at_ns))

    def finish(self, lane: Lane, begin: Begin, now_ns: int) -> None:
        """End a conversation now."""
        sent, received = self.uses(begin.request)
        lane.release(begin.permit, input_tokens=sent, output_tokens=received)
        lane.end(now_ns, now_ns - begin.permit.at_ns)
        self._note_opening(lane)

    def _note_opening(self, lane: Lane) -> None:
        opening = lane.take_opening()
        self.openings += [opening] if opening else []

    def call_at(self, at_ns: int, call: Callable[[int], None]) -> None:
        """Call a function at a time, with the time as its argument."""
        heapq.heappush(self._moments, (at_ns, next(self._numbers), call))


def shortest_together_ns(plan: Plan, widths: Mapping[str, int], lasts_ns: Callable[[Request], int]) -> int:
    """Return the least makespan if the targets of a case start together, computed without the scheduler.

    A group starts when each of its lanes has a free slot; its conversations start in its order.
    """
    places = {name: [0] * width for name, width in widths.items()}
    now_ns = 0
    for group in plan.groups_at(0):
        now_ns = max([now_ns, *(places[request.target.provider][0] for request in group)])
        for request in group:
            now_ns = max(now_ns, heapq.heappop(places[request.target.provider]))
            heapq.heappush(places[request.target.provider], now_ns + lasts_ns(request))
    return max(max(free) for free in places.values())


def shortest_ns(plan: Plan, widths: Mapping[str, int], lasts_ns: Callable[[Request], int], lead: int | None) -> int:
    """Return the least makespan of a plan's order, computed block by block without the scheduler.

    A lane starts its conversations in the plan's order, each as soon as a slot is free. With a `lead`, it also waits
    until all other lanes have started everything that is more than `lead` rounds behind.
    """
    places = {name: [0] * width for name, width in widths.items()}
    begun_ns: dict[tuple[str, int], int] = {}
    previous_ns = dict.fromkeys(widths, 0)
    for request in first_requests(plan):
        lane, block = request.target.provider, request.block
        behind = 0 if lead is None else block - lead - 1
        released_ns = max((begun_ns.get((other, behind), 0) for other in widths if other != lane), default=0)
        start_ns = max(heapq.heappop(places[lane]), released_ns, previous_ns[lane])
        heapq.heappush(places[lane], start_ns + lasts_ns(request))
        previous_ns[lane] = begun_ns[lane, block] = start_ns
    return max(max(free) for free in places.values())
