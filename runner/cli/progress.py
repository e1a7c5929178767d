"""How a run looks while it goes on: a live table on a terminal, a line a request elsewhere. On stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runner.engine.observer import Observer
from runner.events import TIMED
from runner.plan import Plan, Request
from runner.record import Record
from runner.remedy import advise

REFRESH_HZ = 4
"""Drawing shares the loop that measures; four times a second is enough to see that something happens."""


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
        progress = LiveProgress()
        with Live(get_renderable=progress.render, console=console, auto_refresh=False, transient=True) as live:
            progress.refresh = live.refresh
            yield progress


def describe(record: Record) -> str:
    """Say in a line how a request ended."""
    asked = f"{record.identity.target}  {record.identity.case}"
    turn = f" turn {record.identity.turn}" if record.identity.turn > 1 else ""
    if record.outcome not in TIMED:
        status = f" {record.http_status}" if record.http_status else ""
        said = [record.error, _advise_on(record)]
        reasons = " · ".join(filter(None, said)) or "no reason given"
        return f"{asked}{turn}  {record.outcome.value}{status}: {reasons}"
    ttft = "–" if record.ttft_s is None else f"{record.ttft_s * 1000:.0f} ms"
    total = "–" if record.total_s is None else f"{record.total_s:.2f} s"
    return f"{asked}{turn}  {record.outcome.value}  first text {ttft}  total {total}"


def _advise_on(record: Record) -> str | None:
    return advise(
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
        self._total = self._done = 0

    def planned(self, plan: Plan) -> None:
        """Remember how many lines there will be."""
        self._total = len(plan)

    def paused(self, provider: str, wait_s: float, why: str) -> None:
        """Print why a provider is left in peace."""
        self._print(f"{provider}: waiting {wait_s:.1f} s: {why}")

    def finished(self, record: Record) -> None:
        """Print how a request ended."""
        if record.warmup:
            self._print(f"[warm-up] {describe(record)}")
            return
        self._done += 1
        self._print(f"[{self._done}/{self._total}] {describe(record)}")

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


@dataclass(slots=True)
class _Count:
    """One target's progress."""

    total: int = 0
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    ttft_s: float | None = None


def _draw_nothing() -> None:
    """Stand in until there is something to draw on."""


class LiveProgress(Observer):
    """A row for each target, redrawn in place."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._last_drawn_ns = 0
        self.refresh: Callable[[], None] = _draw_nothing

    def planned(self, plan: Plan) -> None:
        """Lay the rows out."""
        each = len(plan) // len(plan.targets)
        self._counts = {target.name: _Count(total=each) for target in plan.targets}

    def started(self, request: Request) -> None:
        """Count a request as under way."""
        self._counts[request.target.name].in_flight += 1
        self._redraw()

    def finished(self, record: Record) -> None:
        """Count a request as done."""
        count = self._counts[record.identity.target]
        count.done += not record.warmup
        count.failed += record.outcome not in TIMED
        # A skipped turn was never under way.
        count.in_flight -= record.attempts > 0
        count.ttft_s = count.ttft_s if record.ttft_s is None else record.ttft_s
        self._redraw()

    def _redraw(self) -> None:
        now_ns = perf_counter_ns()
        if now_ns - self._last_drawn_ns >= 1e9 / REFRESH_HZ:
            self._last_drawn_ns = now_ns
            self.refresh()

    def render(self) -> Table:
        """Return the table as it stands."""
        table = Table(box=None, pad_edge=False)
        table.add_column("target")
        for heading in ("done", "in flight", "failed", "last TTFT"):
            table.add_column(heading, justify="right")
        for name, count in self._counts.items():
            ttft = "–" if count.ttft_s is None else f"{count.ttft_s * 1000:.0f} ms"
            failed = Text(str(count.failed), style="red" if count.failed else "")
            table.add_row(Text(name), f"{count.done}/{count.total}", str(count.in_flight), failed, ttft)
        return table
