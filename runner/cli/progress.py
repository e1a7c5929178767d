"""Show the progress of a run: on a terminal a live row for each target, elsewhere a line for each request."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from math import exp, log
from time import perf_counter_ns

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.commands.redraw_timer import RedrawTimer
from runner.core.conversation_state import CompletedRequestCount
from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.suite import Case
from runner.engine.run_observers import Observer, RequestCounts
from runner.errors import counted
from runner.outputs.text.number_format import MISSING, seconds
from runner.outputs.text.partial_reply import describe_end
from runner.planning.plan import Plan
from runner.planning.request import Request, Target

BAR_COLUMNS, WIDE_BAR_COLUMNS = 10, 24
"""Width of a target's bar, and of one that is alone."""

OTHER_LINES = 5
"""Number of lines of the terminal that hold no target's row."""


@contextmanager
def open_progress(
    mode: str, console: Console, *, total: int | None = None, duration_s: float | None = None
) -> Iterator[Observer]:
    """Yield an observer that shows the progress.

    Args:
        mode: auto, live, plain or none.
        console: where it is shown.
        total: see `LiveProgress`.
        duration_s: see `LiveProgress`.

    """
    if mode == "auto":
        mode = "live" if console.is_terminal else "plain"
    if mode == "none":
        yield Observer()
    elif mode == "plain":
        yield PlainProgress(console)
    else:
        progress = LiveProgress(console, total, duration_s)
        with open_live(lambda: progress.render(console.height), console) as live:
            progress.refresh = live.refresh
            yield progress


def open_live(render: Callable[[], RenderableType], console: Console) -> Live:
    """Return a display that is drawn only by `refresh`, and is erased when it is closed.

    It does not redirect the standard streams, since rich would read control characters in untrusted text as styles.
    """
    return Live(
        get_renderable=render,
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def render_bar(done: float, total: float, words: str, left: str) -> Table:
    """Return a bar with words and the time left, for work that has one bar."""
    table = Table.grid(padding=(0, 1))
    table.add_row(ProgressBar(total, done, WIDE_BAR_COLUMNS), Text(words), Text(left, style="dim"))
    return table


def describe_record(record: Record) -> str:
    """Return a line that describes how a request ended."""
    turn = f" turn {record.identity.turn}" if record.identity.turn > 1 else ""
    outcome = f"{record.outcome.value}  " if record.outcome in TIMED else ""
    return f"{record.identity.target}  {record.identity.case}{turn}  {outcome}{describe_end(record)}"


def describe_round(number: int, begins_s: float, last_begins_s: float) -> str:
    """Return a sentence on when a waiting round and the last round begin, in local time."""
    moments = (f"{datetime.fromtimestamp(moment_s).astimezone():%b %d %H:%M}" for moment_s in (begins_s, last_begins_s))
    begins, last = moments
    return f"round {number} begins {begins}" + (f", the last one {last}" if last_begins_s != begins_s else "")


class PlainProgress(RequestCounts):
    """A line for each finished request."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def limit_changed(self, lane: str, limit: int, why: str) -> None:
        """Print a lane's new limit and the reason for it."""
        self._print(f"{lane}: now at most {counted(limit, 'request')} in flight ({why})")

    def lane_paused(self, lane: str, wait_s: float, why: str) -> None:
        """Print the reason and the duration of a lane's pause."""
        self._print(f"{lane}: waiting {wait_s:.1f} s: {why}")

    def round_awaited(self, number: int, begins_s: float, last_begins_s: float) -> None:
        """Print when the next round and the last one begin."""
        self._print(describe_round(number, begins_s, last_begins_s))

    def finished(self, record: Record) -> None:
        """Print a line on a finished request."""
        super().finished(record)
        of_all = "" if self.total is None else f"/{self.total}"
        place = "warm-up" if record.warmup else f"{self.done}{of_all}"
        self._print(f"[{place}] {describe_record(record)}")

    def still_working(self, line: str) -> None:
        """Print a line on slow work."""
        self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


STEP = 0.004
"""Width of a bin on the logarithmic scale; durations in a bin differ by less than 0.4 %."""


@dataclass(slots=True)
class RunningMedian:
    """The median of any number of durations in bounded memory: they are counted in bins 0.4 % wide."""

    n: int = 0
    _bins: Counter[int] = field(default_factory=Counter)

    def add(self, duration_s: float) -> None:
        """Add a duration in seconds; 0 counts as a microsecond."""
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


class TargetProgress(RequestCounts):
    """The progress of the requests to one target, or to all.

    Args:
        total: number of requests that there will be; None if it is not known.
        opened_ns: when the first lane opened, in nanoseconds of `perf_counter_ns`.
        cases: the cases of the plan.

    """

    def __init__(self, total: int | None, opened_ns: int, cases: Sequence[Case] = ()) -> None:
        super().__init__()
        self.total = total
        self.opened_ns = opened_ns
        self.in_flight = 0
        self.ttft = RunningMedian()
        self._completed = CompletedRequestCount(cases)

    def finished(self, record: Record) -> None:
        """Count a request as done; a skipped one was never in flight."""
        super().finished(record)
        self.in_flight -= record.attempts > 0
        if record.timed and record.ttft_s is not None:
            self.ttft.add(record.ttft_s)

    def eta_s(self, now_ns: int) -> float | None:
        """Return the seconds until the end at the rate so far; None while it is not known."""
        if self.total is None or not self.done:
            return None
        return (now_ns - self.opened_ns) / 1e9 * (self.total - self.done) / self.done


def _draw_nothing() -> None:
    """Do nothing, since the display is not open yet."""


class LiveProgress(Observer):
    """A row for each target and one for all of them, redrawn in place.

    Args:
        console: where the table is drawn.
        total: total number of requests, if the plan itself has no end.
        duration_s: seconds after which the run ends, if it has a time limit.

    """

    def __init__(self, console: Console, total: int | None = None, duration_s: float | None = None) -> None:
        self._console = console
        self._plan: Plan | None = None
        self._total = total
        self._duration_s = duration_s
        self._recorded: Mapping[str, int] = {}
        self._targets: dict[str, TargetProgress] = {}
        self._limits: dict[str, int] = {}
        self._next_round: tuple[int, float, float] | None = None
        self._opened_ns = 0
        self._timer = RedrawTimer()
        self.refresh: Callable[[], None] = _draw_nothing

    def planned(self, plan: Plan) -> None:
        """Store the plan."""
        self._plan = plan

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Store the numbers of completed requests."""
        self._recorded = recorded

    def lane_opened(self, lane: str, targets: Sequence[Target], limit: int) -> None:
        """Add a row for each target of a lane."""
        self._limits[lane] = limit
        self._opened_ns = self._opened_ns or perf_counter_ns()
        for target in targets:
            total = None if self._plan is None else self._plan.requests_per_target
            if total is not None:
                total -= self._recorded.get(target.name, 0)
            cases = () if self._plan is None else self._plan.cases
            self._targets[target.name] = TargetProgress(total, self._opened_ns, cases)

    def limit_changed(self, lane: str, limit: int, why: str) -> None:  # noqa: ARG002 -- there is no room for the reason
        """Update a lane's limit."""
        self._limits[lane] = limit
        self._redraw()

    def round_awaited(self, number: int, begins_s: float, last_begins_s: float) -> None:
        """Store the next round, and redraw at once, since no other event will for a while."""
        self._next_round = number, begins_s, last_begins_s
        self.refresh()

    def started(self, request: Request) -> None:
        """Count a request as in flight."""
        self._targets[request.target.name].in_flight += 1
        self._redraw()

    def finished(self, record: Record) -> None:
        """Count a request as done."""
        self._targets[record.identity.target].finished(record)
        self._redraw()

    def still_working(self, line: str) -> None:
        """Print a line on slow work above the table."""
        self._console.print(Text(line), soft_wrap=True)

    def _redraw(self) -> None:
        if self._timer.is_due():
            self.refresh()

    def render(self, height: int = 25) -> Table:
        """Return the current table, with as many targets as fit a terminal of this height in lines."""
        table = Table(box=None, pad_edge=False)
        table.add_column("target", no_wrap=True)
        table.add_column("", max_width=BAR_COLUMNS)
        for heading in ("done", "in flight", "failed", "TTFT p50", "left"):
            table.add_column(heading, justify="right", no_wrap=True)
        now_ns = perf_counter_ns()
        shown = self._shown(max(height - OTHER_LINES, 1), now_ns)
        for name in shown:
            target = self._targets[name]
            table.add_row(Text(name), *_cells(target, str(target.in_flight), target.eta_s(now_ns)))
        if len(shown) < len(self._targets):
            table.add_row(Text(f"{len(self._targets) - len(shown)} more", style="dim"))
        if len(self._targets) != 1 or self._has_open_end:
            table.add_row(*self._total_row(now_ns), style="bold")
        if self._next_round is not None:
            table.caption = describe_round(*self._next_round)
            table.caption_justify = "left"
        return table

    @property
    def _has_open_end(self) -> bool:
        return any(target.total is None for target in self._targets.values())

    def _shown(self, room: int, now_ns: int) -> list[str]:
        """Return the names of the targets to show: all, or those with the most time left."""
        if len(self._targets) <= room:
            return list(self._targets)
        slowest = sorted(self._targets, key=lambda name: -(self._targets[name].eta_s(now_ns) or 0))[:room]
        return [name for name in self._targets if name in slowest]

    def _total_row(self, now_ns: int) -> tuple[RenderableType, ...]:
        targets = list(self._targets.values())
        totals = [target.total for target in targets]
        whole = TargetProgress(self._total if None in totals else sum(filter(None, totals)), self._opened_ns)
        whole.done = sum(target.done for target in targets)
        whole.failed = sum(target.failed for target in targets)
        # It has no TTFT: a median over targets says nothing about any.
        in_flight = f"{sum(target.in_flight for target in targets)} of {sum(self._limits.values())}"
        return Text("all"), *_cells(whole, in_flight, self._eta_s(whole, now_ns))

    def _eta_s(self, whole: TargetProgress, now_ns: int) -> float | None:
        """Return the seconds left: those of the slowest target, or until the time limit or the last round."""
        if self._next_round is not None:
            return max(self._next_round[2] - datetime.now().astimezone().timestamp(), 0.0)
        of_targets = [target.eta_s(now_ns) for target in self._targets.values() if target.total != 0]
        if not self._has_open_end:
            return None if None in of_targets else max(filter(None, of_targets), default=0.0)
        of_time = None if self._duration_s is None else max(self._duration_s - (now_ns - self._opened_ns) / 1e9, 0.0)
        known = [eta_s for eta_s in (whole.eta_s(now_ns), of_time) if eta_s is not None]
        return min(known, default=None)


def _cells(progress: TargetProgress, in_flight: str, eta_s: float | None) -> tuple[RenderableType, ...]:
    has_end = progress.total is not None
    bar: RenderableType = ProgressBar(progress.total, progress.done, BAR_COLUMNS) if progress.total else ""
    done = f"{progress.done:,}/{progress.total:,}" if has_end else f"{progress.done:,}"
    failed = Text(str(progress.failed), style="red" if progress.failed else "")
    ttft = seconds(progress.ttft.value) + (f" (n {progress.ttft.n:,})" if progress.ttft.n else "")
    return bar, done, in_flight, failed, ttft, format_eta(eta_s)


def format_eta(eta_s: float | None) -> str:
    """Return a duration, rounded: `40 s`, `3 min`, `2 h 10 min`."""
    if eta_s is None:
        return MISSING
    if eta_s < 90:
        return f"{eta_s:.0f} s"
    minutes = round(eta_s / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
