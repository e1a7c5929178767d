"""The progress of a run: on a terminal a live row for each lane, elsewhere a line for each request."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import exp, log
from time import perf_counter_ns

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runner.core.events import TIMED
from runner.core.hints import hint_for
from runner.core.record import Record
from runner.engine.observer import Observer
from runner.outputs.text.figures import MISSING, count, seconds
from runner.planning.plan import Plan, Request, Target

REFRESH_HZ = 4
"""Drawing shares the event loop that measures, so it is rare."""


@contextmanager
def open_progress(mode: str, console: Console) -> Iterator[Observer]:
    """Yield an observer; `mode` is auto, live, plain or none."""
    if mode == "auto":
        mode = "live" if console.is_terminal else "plain"
    if mode == "none":
        yield Observer()
    elif mode == "plain":
        yield PlainProgress(console)
    else:
        progress = LiveProgress(console)
        with Live(get_renderable=progress.render, console=console, auto_refresh=False, transient=True) as live:
            progress.refresh = live.refresh
            yield progress


def describe_record(record: Record) -> str:
    """Return a line on how a request ended."""
    request = f"{record.identity.target}  {record.identity.case}"
    turn = f" turn {record.identity.turn}" if record.identity.turn > 1 else ""
    if record.outcome not in TIMED:
        status = f" {record.http_status}" if record.http_status else ""
        reasons = " · ".join(filter(None, (record.error, _hint_on(record)))) or "no reason given"
        return f"{request}{turn}  {record.outcome.value}{status}: {reasons}"
    ttft = "–" if record.ttft_s is None else f"{record.ttft_s * 1000:.0f} ms"
    total = "–" if record.total_s is None else f"{record.total_s:.2f} s"
    return f"{request}{turn}  {record.outcome.value}  first text {ttft}  total {total}"


def _hint_on(record: Record) -> str | None:
    return hint_for(
        record.identity.provider,
        record.outcome,
        record.error_type,
        code=record.error_code,
        attempts=record.attempts,
    )


class PlainProgress(Observer):
    """A line for each finished request."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total: int | None = None
        self._done = 0

    def planned(self, plan: Plan) -> None:
        """Note how many requests there will be, if that is known."""
        self._total = plan.requests

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Leave out the completed requests."""
        self._total = None if self._total is None else self._total - sum(recorded.values())

    def limit_changed(self, lane: str, limit: int, why: str) -> None:
        """Print a lane's new limit, and why it changed."""
        self._print(f"{lane}: at most {count(limit, 'request')} at a time now: {why}")

    def lane_paused(self, lane: str, wait_s: float, why: str) -> None:
        """Print why a lane pauses, and for how long."""
        self._print(f"{lane}: waiting {wait_s:.1f} s: {why}")

    def finished(self, record: Record) -> None:
        """Print how a request ended."""
        if record.warmup:
            self._print(f"[warm-up] {describe_record(record)}")
            return
        self._done += 1
        of_all = "" if self._total is None else f"/{self._total}"
        self._print(f"[{self._done}{of_all}] {describe_record(record)}")

    def still_working(self, line: str) -> None:
        """Print what takes long."""
        self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


STEP = 0.004
"""Durations that differ by less than 0.4 % are counted as one."""


@dataclass(slots=True)
class RunningMedian:
    """The median of any number of durations in little memory: they are counted in bins 0.4 % wide."""

    n: int = 0
    _bins: Counter[int] = field(default_factory=Counter)

    def add(self, duration_s: float) -> None:
        """Count a duration in seconds; 0 counts as a microsecond."""
        self.n += 1
        self._bins[round(log(max(duration_s, 1e-6)) / STEP)] += 1

    @property
    def value(self) -> float | None:
        """The median so far in seconds, within half a step; None before the first duration."""
        passed = 0
        for place in sorted(self._bins):
            passed += self._bins[place]
            if 2 * passed >= self.n:
                return exp(place * STEP)
        return None


@dataclass(slots=True)
class LaneProgress:
    """How far one lane is."""

    limit: int
    total: int | None
    """How many requests there will be; None where that is not known."""
    opened_ns: int
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    ttft: RunningMedian = field(default_factory=RunningMedian)

    def eta_s(self, now_ns: int) -> float | None:
        """Return the seconds that the rest takes at the pace so far; None while that is not known."""
        if self.total is None or not self.done:
            return None
        return (now_ns - self.opened_ns) / 1e9 * (self.total - self.done) / self.done


def _draw_nothing() -> None:
    """Do nothing: the display is not open yet."""


class LiveProgress(Observer):
    """A row for each lane, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plan: Plan | None = None
        self._recorded: Mapping[str, int] = {}
        self._lanes: dict[str, LaneProgress] = {}
        self._lane_of: dict[str, LaneProgress] = {}
        self._last_drawn_ns = 0
        self.refresh: Callable[[], None] = _draw_nothing

    def planned(self, plan: Plan) -> None:
        """Note the plan."""
        self._plan = plan

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Note the completed requests."""
        self._recorded = recorded

    def lane_opened(self, lane: str, targets: Sequence[Target], limit: int) -> None:
        """Add a row for a lane."""
        total = None if self._plan is None else self._plan.requests_to(targets)
        if total is not None:
            total -= sum(self._recorded.get(target.name, 0) for target in targets)
        self._lanes[lane] = LaneProgress(limit, total, perf_counter_ns())
        self._lane_of |= {target.name: self._lanes[lane] for target in targets}

    def limit_changed(self, lane: str, limit: int, why: str) -> None:  # noqa: ARG002 -- there is no room for the reason
        """Update a lane's limit."""
        self._lanes[lane].limit = limit
        self._redraw()

    def started(self, request: Request) -> None:
        """Count a request as under way."""
        self._lane_of[request.target.name].in_flight += 1
        self._redraw()

    def finished(self, record: Record) -> None:
        """Count a request as done."""
        lane = self._lane_of[record.identity.target]
        # A skipped turn was never under way.
        lane.in_flight -= record.attempts > 0
        lane.done += not record.warmup
        lane.failed += record.outcome not in TIMED and not record.warmup
        if record.timed and record.ttft_s is not None:
            lane.ttft.add(record.ttft_s)
        self._redraw()

    def still_working(self, line: str) -> None:
        """Print what takes long, above the table."""
        self._console.print(Text(line), soft_wrap=True)

    def _redraw(self) -> None:
        now_ns = perf_counter_ns()
        if now_ns - self._last_drawn_ns >= 1e9 / REFRESH_HZ:
            self._last_drawn_ns = now_ns
            self.refresh()

    def render(self) -> Table:
        """Return the table as it is now."""
        table = Table(box=None, pad_edge=False)
        table.add_column("lane")
        for heading in ("done", "in flight", "failed", "TTFT p50 so far", "left"):
            table.add_column(heading, justify="right")
        for name, lane in self._lanes.items():
            table.add_row(Text(name), *_lane_cells(lane, perf_counter_ns()))
        return table


def _lane_cells(lane: LaneProgress, now_ns: int) -> tuple[str | Text, ...]:
    done = f"{lane.done:,}" if lane.total is None else f"{lane.done:,}/{lane.total:,}"
    failed = Text(str(lane.failed), style="red" if lane.failed else "")
    ttft = seconds(lane.ttft.value)
    sample = f" (n {lane.ttft.n:,})" if lane.ttft.n else ""
    return done, f"{lane.in_flight} of {lane.limit}", failed, ttft + sample, format_eta(lane.eta_s(now_ns))


def format_eta(eta_s: float | None) -> str:
    """Return a duration, rounded: `40 s`, `3 min`, `2 h 10 min`."""
    if eta_s is None:
        return MISSING
    if eta_s < 90:
        return f"{eta_s:.0f} s"
    minutes = round(eta_s / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
