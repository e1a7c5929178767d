"""A run on a virtual clock: the real schedule and lanes, and a heap of events in place of sleeping."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from runner.core.load import LoadProfile
from runner.engine.lane import Lane
from runner.engine.schedule import Begin, Schedule, Wait, never_stop, resume_nothing
from runner.planning.plan import Plan, Request, Target
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
    """Conversations are in `held`, in the order of their beginnings; `after_moment` is called after each moment."""

    plan: Plan
    lanes: Mapping[str, Lane]
    lasts_ns: Callable[[Request], int]
    load: LoadProfile = field(default_factory=LoadProfile)
    level: int = 0
    first_missing: Callable[[Request], Request | None] = resume_nothing
    stop: Callable[[], str | None] = never_stop
    uses: Callable[[Request], tuple[int, int]] = lambda _: (0, 0)
    """Tokens sent and received."""
    after_moment: Callable[["VirtualRun", int], None] = lambda _, __: None
    held: list[TimedConversation] = field(default_factory=list)
    schedule: Schedule = field(init=False)
    _moments: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        """Create the schedule."""
        whom: dict[str, list[Target]] = {name: [] for name in self.lanes}
        for target in self.plan.targets:
            whom[target.provider].append(target)
        self.schedule = Schedule(
            self.plan, self.load, whom, 0, level=self.level, first_missing=self.first_missing, stop=self.stop
        )

    def run(self) -> list[TimedConversation]:
        """Process events until none is left; return all conversations."""
        self._begin_what_may(0)
        while self._moments:
            now_ns = self._moments[0][0]
            while self._moments and self._moments[0][0] == now_ns:
                heapq.heappop(self._moments)[2](now_ns)
            self._begin_what_may(now_ns)
        return self.held

    def _begin_what_may(self, now_ns: int) -> None:
        """Ask every lane until none starts anything more."""
        stirred = True
        while stirred:
            before = self.schedule.slowest_block
            stirred = sum(self._ask(lane, now_ns) for lane in self.lanes.values()) > 0
            stirred |= self.schedule.slowest_block != before
        self.after_moment(self, now_ns)

    def _ask(self, lane: Lane, now_ns: int) -> bool:
        match self.schedule.decide(lane, now_ns):
            case Begin(request, permit, _, planned_ns):
                end_ns = now_ns + self.lasts_ns(request)
                self.held.append(TimedConversation(lane.name, request, now_ns, end_ns, planned_ns))
                sent, received = self.uses(request)

                def finish(_: int) -> None:
                    lane.release(permit, input_tokens=sent, output_tokens=received)
                    lane.end()

                heapq.heappush(self._moments, (end_ns, next(self._numbers), finish))
                return True
            case Wait(until_ns) if until_ns == now_ns:
                return True
            case Wait(int(until_ns)):
                heapq.heappush(self._moments, (until_ns, next(self._numbers), lambda _: None))
        return False


def shortest_ns(plan: Plan, widths: Mapping[str, int], lasts_ns: Callable[[Request], int], lead: int | None) -> int:
    """Return the least makespan of a plan's order, found block by block and knowing nothing of the scheduler.

    A lane begins in the plan's order, each conversation as soon as a place is free and, where there is a `lead`,
    every other lane has begun all that lies more than `lead` blocks behind.
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
