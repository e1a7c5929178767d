"""The schedule: which conversation a lane begins now, and if none, how long it waits. Pure.

A lane takes its conversations in the plan's order. It waits for its own limits, for the slowest lane (in the order
`blocks`), or, in an open loop, for the time at which the next conversation is due. The same code decides under the real
clock and under a test's virtual one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from random import Random

from runner.core.load import Arrivals, LoadProfile
from runner.engine.lane import Lane, Permit
from runner.planning.plan import Plan, Request, Target

FirstMissing = Callable[[Request], Request | None]
"""Returns, given a conversation's first request, the first one without a record; None if all of them have one."""

StopCheck = Callable[[], str | None]
"""Returns why no further conversation may begin; None while one may."""

SKIPS_PER_STEP = 32
"""Completed conversations that one decision skips at most: a resumed run may have a hundred thousand of them."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a conversation; the lane has permitted its first request."""

    request: Request
    permit: Permit
    ready_ns: int
    planned_ns: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Decide again at `until_ns`, or as soon as something changes in the lane; None waits for a change alone."""

    until_ns: int | None


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
        """Return how many requests were due before a time and have not begun; this uses them up."""
        overdue = 0
        while self.due_ns is not None and self.due_ns < ends_ns and next(self.requests, None) is not None:
            overdue += 1
            self.advance()
        return overdue


@dataclass(slots=True)
class _LaneProgress:
    """How far a lane has come in the plan."""

    openings: list[_Openings]
    block: float = 0
    """The block of what the lane begins next; infinite after the last."""
    next: Request | None = None
    due_ns: int | None = None

    def count_overdue(self, ends_ns: int) -> int:
        """Return how many requests an open loop had due before a time and has not begun; this uses them up."""
        is_next_overdue = self.next is not None and self.due_ns is not None and self.due_ns < ends_ns
        return is_next_overdue + sum(openings.count_overdue(ends_ns) for openings in self.openings)


def resume_nothing(opening: Request) -> Request:
    """Return the first request of a conversation as the first missing one: nothing has been recorded."""
    return opening


def never_stop() -> None:
    """Return no reason to stop."""


@dataclass(slots=True)
class Schedule:
    """The schedule of one level of a sweep, or of the whole run. `reason` says why it ended early."""

    plan: Plan
    load: LoadProfile
    lanes: Mapping[str, Sequence[Target]]
    """Lane -> its targets."""
    start_ns: int
    level: int = 0
    first_missing: FirstMissing = resume_nothing
    stop: StopCheck = never_stop
    reason: str | None = None
    is_stopped: bool = False
    """Whether `stop` gave the reason, which then holds for the remaining levels, too."""
    _counted: int = 0
    """Requests begun, and those that a resumed run has completed before."""
    _progress: dict[str, _LaneProgress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the first conversation of each lane."""
        self._progress = {name: _LaneProgress(self._openings(targets)) for name, targets in self.lanes.items()}
        for progress in self._progress.values():
            self._find_next(progress)

    def _openings(self, targets: Sequence[Target]) -> list[_Openings]:
        if self.load.rate is None:
            return [_Openings(self.plan.openings_at(self.level, {target.name for target in targets}), None)]
        return [
            _Openings(self.plan.openings_at(self.level, {target.name}), self._times_of(target)) for target in targets
        ]

    def _times_of(self, target: Target) -> Iterator[int]:
        assert self.load.rate is not None
        phase = self.plan.targets.index(target) / len(self.plan.targets)
        times_ns = arrival_times(self.load.rate, self.load.arrivals, self.plan.seed, phase)
        return (self.start_ns + at_ns for at_ns in times_ns)

    @property
    def slowest_block(self) -> float:
        """The block that the slowest lane has reached; infinite when all lanes have begun everything."""
        return min(progress.block for progress in self._progress.values())

    def decide(self, lane: Lane, now_ns: int) -> Begin | Wait | None:
        """Return what a lane does now; None if it begins nothing more."""
        progress = self._progress[lane.name]
        if progress.next is None and self.reason is None:
            self._find_next(progress)
        if progress.block == inf or self._has_ended(progress, now_ns):
            return None
        if progress.next is None:
            return Wait(now_ns)
        begins_ns = self._begins_at(lane, progress, progress.next, now_ns)
        if begins_ns is None or begins_ns > now_ns:
            return Wait(self._or_end(begins_ns))
        self.reason = self.stop()
        self.is_stopped = self.reason is not None
        return None if self.is_stopped else self._begin(lane, progress, progress.next, now_ns)

    def _begins_at(self, lane: Lane, progress: _LaneProgress, opening: Request, now_ns: int) -> int | None:
        if self._leads_too_far(progress):
            return None
        if progress.due_ns is not None and progress.due_ns > now_ns:
            return progress.due_ns
        return lane.may_begin_at(opening, now_ns)

    def _leads_too_far(self, progress: _LaneProgress) -> bool:
        keeps_close = self.plan.order == "blocks" and self.load.rate is None
        return keeps_close and progress.block > self.slowest_block + self.load.lead

    def _begin(self, lane: Lane, progress: _LaneProgress, request: Request, now_ns: int) -> Begin:
        ready_ns = self.start_ns if progress.due_ns is None else progress.due_ns
        begin = Begin(request, lane.begin(request, now_ns), ready_ns, progress.due_ns)
        self._counted += len(request.case.turns)
        self._find_next(progress)
        return begin

    def _find_next(self, progress: _LaneProgress) -> None:
        """Move on to the next conversation with a missing request, as far as one step may go."""
        progress.next = None
        for _ in range(SKIPS_PER_STEP):
            if not progress.openings:
                progress.block = inf
                return
            openings = min(progress.openings, key=lambda openings: openings.due_ns or 0)
            opening = next(openings.requests, None)
            if opening is None:
                progress.openings.remove(openings)
                continue
            progress.block = opening.block
            progress.next = self.first_missing(opening)
            if progress.next is not None:
                progress.due_ns = openings.due_ns
                openings.advance()
                return
            self._counted += len(opening.case.turns)

    def _has_ended(self, progress: _LaneProgress, now_ns: int) -> bool:
        """Return whether nothing more may begin, and keep the reason."""
        most, turns = self.load.max_requests, 0 if progress.next is None else len(progress.next.case.turns)
        if self.reason is None and self._ends_ns is not None and now_ns >= self._ends_ns:
            self.reason = f"stopped after {self.load.duration_s:g} s (--duration)"
        elif self.reason is None and most is not None and self._counted + turns > most:
            self.reason = f"{self._counted} of at most {most} requests are asked"
        return self.reason is not None

    def describe_early_end(self) -> str | None:
        """Return why the schedule ended early, once it has ended; None if it did not.

        It counts the conversations that an open loop had due and could not begin: without them the figures look better
        than they are.
        """
        ends_ns = self._ends_ns
        if self.reason is None or self.is_stopped or ends_ns is None:
            return self.reason
        overdue = sum(progress.count_overdue(ends_ns) for progress in self._progress.values())
        return f"{self.reason}; {overdue} conversations due by then were not begun" if overdue else self.reason

    @property
    def _ends_ns(self) -> int | None:
        return None if self.load.duration_s is None else self.start_ns + round(self.load.duration_s * 1e9)

    def _or_end(self, begins_ns: int | None) -> int | None:
        return min((at_ns for at_ns in (begins_ns, self._ends_ns) if at_ns is not None), default=None)


def arrival_times(rate: float, arrivals: Arrivals, seed: int, phase: float = 0.0) -> Iterator[int]:
    """Yield the times at which an open loop sends, in nanoseconds since its start: ascending, without end.

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
