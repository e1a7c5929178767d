"""Which conversation a lane begins now, and if none, when to ask again. Pure.

A lane takes its conversations in the plan's order. What may keep it waiting is its own limit, the slowest lane (in
the order `blocks`), or, in an open loop, the time that was set for the next one. The same object decides under the
real clock and under a test's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from runner.core.load import LoadProfile
from runner.engine.arrivals import arrival_times
from runner.engine.lane import Lane, Permit
from runner.planning.plan import Plan, Request, Target

Resume = Callable[[Request], Request | None]
"""Told a conversation's first request: the first one that is still to be asked, None if there is none."""

Stop = Callable[[], str | None]
"""Why no further conversation may begin; None while one may."""

SKIPS_A_STEP = 32
"""Conversations already held that one decision passes over: a resumed run may have a hundred thousand."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a conversation: its first request has left the lane by this ticket."""

    request: Request
    ticket: Permit
    ready_ns: int
    planned_ns: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at a time, or as soon as something changes; None is then only."""

    until_ns: int | None


@dataclass(slots=True)
class _CaseQueue:
    """Conversations in their order and, in an open loop, the times at which they are due."""

    openings: Iterator[Request]
    times_ns: Iterator[int] | None
    due_ns: int | None = None

    def __post_init__(self) -> None:
        self.proceed()

    def proceed(self) -> None:
        """Go on to the next time."""
        self.due_ns = None if self.times_ns is None else next(self.times_ns)

    def count_overdue(self, ends_ns: int) -> int:
        """Count the conversations that were due by a time and are not begun; this uses them up."""
        overdue = 0
        while self.due_ns is not None and self.due_ns < ends_ns and next(self.openings, None) is not None:
            overdue += 1
            self.proceed()
        return overdue


@dataclass(slots=True)
class _Course:
    """One lane's way through the plan."""

    sources: list[_CaseQueue]
    block: float = 0
    """Where the lane has come to: the block of what it begins next, infinite behind the last."""
    next: Request | None = None
    due_ns: int | None = None

    def count_overdue(self, ends_ns: int) -> int:
        """Count what an open loop wanted begun by a time, and is not; this uses it up."""
        waiting = self.next is not None and self.due_ns is not None and self.due_ns < ends_ns
        return waiting + sum(source.count_overdue(ends_ns) for source in self.sources)


def from_the_start(opening: Request) -> Request:
    """Resume nothing: every conversation begins with its first request."""
    return opening


def never() -> None:
    """Stop for no reason."""


@dataclass(slots=True)
class Schedule:
    """One level of a run, or the whole of it where there is no sweep. `reason` says why it was ended early."""

    plan: Plan
    load: LoadProfile
    lanes: Mapping[str, Sequence[Target]]
    """Lane -> whom it asks."""
    start_ns: int
    level: int = 0
    resume: Resume = from_the_start
    stop: Stop = never
    reason: str | None = None
    is_stopped: bool = False
    """Whether `stop` gave that reason: it speaks for the levels to come as well."""
    _counted: int = 0
    _courses: dict[str, _Course] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay out each lane's way and find its beginning."""
        self._courses = {name: _Course(self._sources(targets)) for name, targets in self.lanes.items()}
        for course in self._courses.values():
            self._find_next(course)

    def _sources(self, targets: Sequence[Target]) -> list[_CaseQueue]:
        if self.load.rate is None:
            return [_CaseQueue(self.plan.openings_at(self.level, {target.name for target in targets}), None)]
        return [
            _CaseQueue(self.plan.openings_at(self.level, {target.name}), self._times_of(target)) for target in targets
        ]

    def _times_of(self, target: Target) -> Iterator[int]:
        assert self.load.rate is not None
        phase = self.plan.targets.index(target) / len(self.plan.targets)
        times_ns = arrival_times(self.load.rate, self.load.arrivals, self.plan.seed, phase)
        return (self.start_ns + at_ns for at_ns in times_ns)

    @property
    def slowest_block(self) -> float:
        """The block at which the slowest lane is; infinite when all are through."""
        return min(course.block for course in self._courses.values())

    def decide(self, lane: Lane, now_ns: int) -> Begin | Wait | None:
        """Say what a lane does now; None if it begins nothing more."""
        course = self._courses[lane.name]
        if course.next is None and self.reason is None:
            self._find_next(course)
        if course.block == inf or self._is_over(course, now_ns):
            return None
        if course.next is None:
            return Wait(now_ns)
        begins_ns = self._begins_at(lane, course, course.next, now_ns)
        if begins_ns is None or begins_ns > now_ns:
            return Wait(self._at_the_latest(begins_ns))
        self.reason = self.stop()
        self.is_stopped = self.reason is not None
        return None if self.is_stopped else self._begin(lane, course, course.next, now_ns)

    def _begins_at(self, lane: Lane, course: _Course, opening: Request, now_ns: int) -> int | None:
        if self._leads_too_far(course):
            return None
        if course.due_ns is not None and course.due_ns > now_ns:
            return course.due_ns
        return lane.begins_at(opening, now_ns)

    def _leads_too_far(self, course: _Course) -> bool:
        keeps_close = self.plan.order == "blocks" and self.load.rate is None
        return keeps_close and course.block > self.slowest_block + self.load.lead

    def _begin(self, lane: Lane, course: _Course, request: Request, now_ns: int) -> Begin:
        ready_ns = self.start_ns if course.due_ns is None else course.due_ns
        begin = Begin(request, lane.begin(request, now_ns), ready_ns, course.due_ns)
        self._counted += len(request.case.turns)
        self._find_next(course)
        return begin

    def _find_next(self, course: _Course) -> None:
        """Go on to the next conversation that is still to be held, as far as one step may go."""
        course.next = None
        for _ in range(SKIPS_A_STEP):
            if not course.sources:
                course.block = inf
                return
            source = min(course.sources, key=lambda source: source.due_ns or 0)
            opening = next(source.openings, None)
            if opening is None:
                course.sources.remove(source)
                continue
            course.block = opening.block
            course.next = self.resume(opening)
            if course.next is not None:
                course.due_ns = source.due_ns
                source.proceed()
                return
            self._counted += len(opening.case.turns)

    def _is_over(self, course: _Course, now_ns: int) -> bool:
        """Tell whether nothing more may begin, and keep the reason."""
        most, turns = self.load.max_requests, 0 if course.next is None else len(course.next.case.turns)
        if self.reason is None and self._ends_ns is not None and now_ns >= self._ends_ns:
            self.reason = f"{self.load.duration_s:g} s are over, as asked"
        elif self.reason is None and most is not None and self._counted + turns > most:
            self.reason = f"{self._counted} of at most {most} requests are asked"
        return self.reason is not None

    def account(self) -> str | None:
        """Say why the schedule was ended early, once it is over; None if it was not.

        What an open loop wanted begun in time and could not is named: left out in silence, it flatters all figures.
        """
        ends_ns = self._ends_ns
        if self.reason is None or self.is_stopped or ends_ns is None:
            return self.reason
        overdue = sum(course.count_overdue(ends_ns) for course in self._courses.values())
        return f"{self.reason}; {overdue} conversations due by then were not begun" if overdue else self.reason

    @property
    def _ends_ns(self) -> int | None:
        return None if self.load.duration_s is None else self.start_ns + round(self.load.duration_s * 1e9)

    def _at_the_latest(self, begins_ns: int | None) -> int | None:
        return min((at_ns for at_ns in (begins_ns, self._ends_ns) if at_ns is not None), default=None)
