"""The schedule: decides which conversation a lane begins now or, if none, how long the lane waits. Pure.

A lane takes its conversations in the plan's order. It waits for its own limits, for its turn if the targets of a case
begin together, for the slowest lane if there is a lead, or, in an open loop, for the time at which the next
conversation is due. The same code runs with the real clock and with a test's virtual one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from random import Random

from runner.core.load_profile import Arrivals, LoadProfile, Release
from runner.engine.group_order import FirstMissing, GroupOrder
from runner.engine.provider_lane import Lane, Permit
from runner.engine.spread_rounds import Spread
from runner.errors import counted
from runner.planning.plan import Plan
from runner.planning.request import Request, Target

StopCheck = Callable[[], str | None]
"""Returns why no further conversation may begin; None while one may."""

SKIPS_PER_STEP = 32
"""Maximum number of completed conversations that one decision skips; a resumed run may have 100,000 of them."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a conversation; the lane has permitted its first request."""

    request: Request
    permit: Permit
    ready_ns: int
    planned_ns: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Decide again at `until_ns`, or as soon as something changes in the lane; None waits only for a change."""

    until_ns: int | None


@dataclass(frozen=True, slots=True)
class ScheduledLane:
    """A lane and its targets."""

    lane: Lane
    targets: Sequence[Target]


@dataclass(slots=True)
class _Openings:
    """The first requests of conversations, in order, and, in an open loop, the times at which they are due."""

    requests: Iterator[Request]
    times_ns: Iterator[int] | None
    due_ns: int | None = None

    def __post_init__(self) -> None:
        self.advance()

    def advance(self) -> None:
        """Move on to the next due time."""
        self.due_ns = None if self.times_ns is None else next(self.times_ns)

    def count_overdue(self, ends_ns: int) -> int:
        """Return the number of requests that were due before a time and have not begun, and consume them."""
        overdue = 0
        while self.due_ns is not None and self.due_ns < ends_ns and next(self.requests, None) is not None:
            overdue += 1
            self.advance()
        return overdue


@dataclass(slots=True)
class _LaneProgress:
    """The progress of a lane in the plan."""

    openings: list[_Openings]
    round_number: float = 0
    """Round of the lane's next conversation; infinite after the last conversation."""
    next: Request | None = None
    due_ns: int | None = None

    def count_overdue(self, ends_ns: int) -> int:
        """Return the number of requests that an open loop had due before a time and has not begun, and consume them."""
        is_next_overdue = self.next is not None and self.due_ns is not None and self.due_ns < ends_ns
        return is_next_overdue + sum(openings.count_overdue(ends_ns) for openings in self.openings)


def first_request(opening: Request) -> Request:
    """Return the conversation's first request: in a run that resumes no other, nothing has been sent yet."""
    return opening


def never_stop() -> None:
    """Return no reason to stop."""


@dataclass(frozen=True, slots=True)
class RunRules:
    """The load of a run, and the rules on the conversations that it may begin."""

    load: LoadProfile = field(default_factory=LoadProfile)
    first_missing: FirstMissing = first_request
    stop: StopCheck = never_stop
    spread: Spread | None = None
    """Times at which rounds may begin; None if a round may begin as soon as the lanes have room."""


@dataclass(slots=True)
class Schedule:
    """The schedule of one level of a sweep, or of the whole run. `reason` says why it ended early."""

    plan: Plan
    rules: RunRules
    lanes: Sequence[ScheduledLane]
    start_ns: int
    level: int = 0
    reason: str | None = None
    is_stopped: bool = False
    """Whether `stop` gave the reason, which then also applies to the remaining levels."""
    awaited_round: int = 0
    """Number of the last round whose start was waited for; 0 if there is none."""
    _open_round: int = 0
    _ready_ns: int = 0
    """Time at which the next requests were ready: the start of the level or, with a spread, of their round."""
    _counted: int = 0
    """Maximum number of requests of the conversations that have begun, or that a resumed run has completed before."""
    _progress: dict[str, _LaneProgress] = field(default_factory=dict)
    _groups: GroupOrder | None = None
    """Order of the conversations across lanes, if the targets of a case begin together."""

    def __post_init__(self) -> None:
        """Find the first conversation of each lane."""
        self._ready_ns = self.start_ns
        if self.release == "together":
            lane_of = {target.name: lane.lane for lane in self.lanes for target in lane.targets}
            self._groups = GroupOrder(self.plan.groups_at(self.level), lane_of, self.rules.first_missing)
            self._counted += self._groups.find_next(SKIPS_PER_STEP)
            return
        self._progress = {each.lane.name: _LaneProgress(self._openings(each.targets)) for each in self.lanes}
        for progress in self._progress.values():
            self._find_next(progress)

    @property
    def release(self) -> Release:
        """The rule that keeps lanes together."""
        return self.rules.load.release(self.plan.order)

    def _openings(self, targets: Sequence[Target]) -> list[_Openings]:
        if self.rules.load.rate is None:
            return [_Openings(self.plan.openings_at(self.level, {target.name for target in targets}), None)]
        return [
            _Openings(self.plan.openings_at(self.level, {target.name}), self._times_of(target)) for target in targets
        ]

    def _times_of(self, target: Target) -> Iterator[int]:
        assert self.rules.load.rate is not None
        phase = self.plan.targets.index(target) / len(self.plan.targets)
        times_ns = arrival_times(self.rules.load.rate, self.rules.load.arrivals, self.plan.seed, phase)
        return (self.start_ns + at_ns for at_ns in times_ns)

    @property
    def progress_marker(self) -> float:
        """A number whose change means that lanes waiting for other lanes may continue.

        It is the round of the slowest lane, infinite once all conversations have begun. If the targets of a case begin
        together, it is the number of conversations that have begun.
        """
        if self._groups is not None:
            return self._groups.begun
        return min(progress.round_number for progress in self._progress.values())

    def is_next(self, lane: Lane) -> bool:
        """Return whether the order of the lanes allows a lane to begin a conversation."""
        return self._groups is None or self._groups.next_lane in {None, lane.name}

    def decide(self, lane: Lane, now_ns: int) -> Begin | Wait | None:
        """Return what a lane does now; None if it has no more conversations to begin."""
        if self._groups is not None:
            return self._decide_together(self._groups, lane, now_ns)
        progress = self._progress[lane.name]
        if progress.next is None and self.reason is None:
            self._find_next(progress)
        if progress.round_number == inf or self._has_ended(progress.next, now_ns):
            return None
        if progress.next is None:
            return Wait(now_ns)
        begins_ns = self._begins_at(lane, progress, progress.next, now_ns)
        if begins_ns is None or begins_ns > now_ns:
            return Wait(self._or_end(begins_ns))
        return None if self._must_stop() else self._begin(lane, progress, progress.next, now_ns)

    def _begins_at(self, lane: Lane, progress: _LaneProgress, opening: Request, now_ns: int) -> int | None:
        if self._leads_too_far(progress):
            return None
        round_ns = self._round_opens_at(opening, now_ns)
        if round_ns > now_ns:
            return round_ns
        if progress.due_ns is not None and progress.due_ns > now_ns:
            return progress.due_ns
        return lane.may_begin_at(opening, now_ns)

    def _decide_together(self, groups: GroupOrder, lane: Lane, now_ns: int) -> Begin | Wait | None:
        if groups.next is None and self.reason is None:
            self._counted += groups.find_next(SKIPS_PER_STEP)
        if groups.is_over or self._has_ended(groups.next, now_ns):
            return None
        if groups.next is None:
            return Wait(now_ns)
        round_ns = self._round_opens_at(groups.next, now_ns)
        begins_ns = groups.begins_at(now_ns) if round_ns <= now_ns else round_ns
        if begins_ns is None or begins_ns > now_ns:
            return Wait(self._or_end(begins_ns))
        if groups.next_lane != lane.name:
            return Wait(self._or_end(None))
        return None if self._must_stop() else self._begin_together(groups, lane, now_ns)

    def _must_stop(self) -> bool:
        """Return whether `stop` forbids further conversations, and store its reason."""
        self.reason = self.rules.stop()
        self.is_stopped = self.reason is not None
        return self.is_stopped

    def _begin_together(self, groups: GroupOrder, lane: Lane, now_ns: int) -> Begin:
        request = groups.take()
        self._counted += request.case.steps.most
        if groups.next is None:
            self._counted += groups.find_next(SKIPS_PER_STEP)
        return Begin(request, lane.begin(request, now_ns), self._ready_ns, None)

    def _round_opens_at(self, request: Request, now_ns: int) -> int:
        if self.rules.spread is None:
            return now_ns
        opens_ns = self.rules.spread.opens_at(request.block, now_ns)
        if opens_ns > now_ns:
            self.awaited_round = request.block
        elif request.block != self._open_round:
            self._open_round, self._ready_ns = request.block, now_ns
        return opens_ns

    def _leads_too_far(self, progress: _LaneProgress) -> bool:
        lead = self.rules.load.lead if self.release == "lead" else None
        return lead is not None and progress.round_number > self.progress_marker + lead

    def _begin(self, lane: Lane, progress: _LaneProgress, request: Request, now_ns: int) -> Begin:
        ready_ns = self._ready_ns if progress.due_ns is None else progress.due_ns
        begin = Begin(request, lane.begin(request, now_ns), ready_ns, progress.due_ns)
        self._counted += request.case.steps.most
        self._find_next(progress)
        return begin

    def _find_next(self, progress: _LaneProgress) -> None:
        """Find the lane's next conversation with a missing request, skipping at most `SKIPS_PER_STEP` conversations."""
        progress.next = None
        for _ in range(SKIPS_PER_STEP):
            if not progress.openings:
                progress.round_number = inf
                return
            openings = min(progress.openings, key=lambda openings: openings.due_ns or 0)
            opening = next(openings.requests, None)
            if opening is None:
                progress.openings.remove(openings)
                continue
            progress.round_number = opening.block
            progress.next = self.rules.first_missing(opening)
            if progress.next is not None:
                progress.due_ns = openings.due_ns
                openings.advance()
                return
            self._counted += opening.case.steps.most

    def _has_ended(self, request: Request | None, now_ns: int) -> bool:
        """Return whether the limit of time or of requests ends the schedule before `request`, and store the reason."""
        load, ends_ns = self.rules.load, self._ends_ns
        most, where = load.max_requests, " at each level" if len(load.levels) > 1 else ""
        if self.reason is None and ends_ns is not None and now_ns >= ends_ns:
            self.reason = f"stopped after {load.duration_s:g} s{where} (--duration)"
        elif self.reason is None and most is not None and self._counted + _max_requests(request) > most:
            has_steps = request is not None and request.case.steps.max_steps > 1
            at_most = "at most " if has_steps else ""
            self.reason = f"stopped after {at_most}{counted(self._counted, 'request')}{where} (--requests {most})"
        return self.reason is not None

    def describe_early_end(self) -> str | None:
        """Return why the schedule ended early, once it has ended; None if it did not.

        The text counts the conversations that an open loop had due and could not begin: without that count the figures
        would look better than they are.
        """
        ends_ns = self._ends_ns
        if self.reason is None or self.is_stopped or ends_ns is None:
            return self.reason
        overdue = sum(progress.count_overdue(ends_ns) for progress in self._progress.values())
        if not overdue:
            return self.reason
        waited = f"{counted(overdue, 'conversation')} due by then {'was' if overdue == 1 else 'were'}"
        return f"{self.reason}; {waited} not started"

    @property
    def _ends_ns(self) -> int | None:
        return None if self.rules.load.duration_s is None else self.start_ns + round(self.rules.load.duration_s * 1e9)

    def _or_end(self, begins_ns: int | None) -> int | None:
        return min((at_ns for at_ns in (begins_ns, self._ends_ns) if at_ns is not None), default=None)


def _max_requests(request: Request | None) -> int:
    """Return the maximum number of requests of a conversation; 0 if there is none."""
    return 0 if request is None else request.case.steps.most


def arrival_times(rate: float, arrivals: Arrivals, seed: int, phase: float = 0.0) -> Iterator[int]:
    """Yield the times at which an open loop sends, in nanoseconds since its start, ascending and without end.

    Args:
        rate: mean arrivals per second.
        arrivals: evenly spaced, or with the exponential gaps of a Poisson process.
        seed: determines the gaps; every target has the same ones.
        phase: moves all times by this share of the mean gap, so that targets do not send at the same instant.

    """
    gap_ns = 1e9 / rate
    if arrivals == "constant":
        return (round((number + phase) * gap_ns) for number in count())
    return _poisson_times(gap_ns, Random(f"arrivals/{seed}"), phase * gap_ns)  # noqa: S311 -- a load, not a secret


def _poisson_times(gap_ns: float, random: Random, at_ns: float) -> Iterator[int]:
    while True:
        at_ns += random.expovariate(1 / gap_ns)
        yield round(at_ns)


@dataclass(slots=True)
class Levels:
    """The schedules of the levels that have begun. A level begins when the first lane enters it."""

    plan: Plan
    rules: RunRules
    lanes: Sequence[ScheduledLane]
    schedules: list[Schedule] = field(default_factory=list)

    def enter(self, level: int, now_ns: int) -> Schedule | None:
        """Return the schedule of a level, counted from 0, for a lane that enters it; None if nothing more may begin."""
        if level >= max(1, len(self.rules.load.levels)) or any(schedule.is_stopped for schedule in self.schedules):
            return None
        if level == len(self.schedules):
            self.schedules.append(Schedule(self.plan, self.rules, self.lanes, now_ns, level))
        return self.schedules[level]

    def width(self, level: int) -> int | None:
        """Return the number of requests in flight at a level; None if the run is not a sweep."""
        return self.rules.load.levels[level] if self.rules.load.levels else None

    def describe_early_end(self) -> str | None:
        """Return why the run ended early; None if it did not."""
        stopped = [schedule for schedule in self.schedules if schedule.is_stopped]
        last = [*stopped, *self.schedules[-1:]]
        return last[0].describe_early_end() if last else None
