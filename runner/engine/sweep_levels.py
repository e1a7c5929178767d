"""The schedules of a run: one for each level of a sweep, or a single one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.core.load_profile import LoadProfile
from runner.engine.group_order import FirstMissing
from runner.engine.lane_schedule import Schedule, ScheduledLane, StopCheck, never_stop, resume_nothing
from runner.engine.spread_rounds import Spread
from runner.planning.plan import Plan


@dataclass(slots=True)
class Levels:
    """The schedules of the levels that have begun. A level begins when the first lane enters it."""

    plan: Plan
    load: LoadProfile
    lanes: Sequence[ScheduledLane]
    first_missing: FirstMissing = resume_nothing
    stop: StopCheck = never_stop
    spread: Spread | None = None
    schedules: list[Schedule] = field(default_factory=list)

    def enter(self, level: int, now_ns: int) -> Schedule | None:
        """Return the schedule of a level, counted from 0, for a lane that enters it; None if nothing more may begin."""
        if level >= max(1, len(self.load.levels)) or any(schedule.is_stopped for schedule in self.schedules):
            return None
        if level == len(self.schedules):
            self.schedules.append(
                Schedule(self.plan, self.load, self.lanes, now_ns, level, self.first_missing, self.stop, self.spread)
            )
        return self.schedules[level]

    def width(self, level: int) -> int | None:
        """Return the number of requests in flight at a level; None if the run is not a sweep."""
        return self.load.levels[level] if self.load.levels else None

    def describe_early_end(self) -> str | None:
        """Return why the run ended early; None if it did not."""
        stopped = [schedule for schedule in self.schedules if schedule.is_stopped]
        last = [*stopped, *self.schedules[-1:]]
        return last[0].describe_early_end() if last else None
