"""The progress of a calibration: on a terminal a bar that fills over the announced duration, elsewhere lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.calibration.measure import CalibrationLoad, CalibrationObserver
from runner.cli.progress import format_eta, open_live, render_bar
from runner.commands.redraw_timer import RedrawTimer
from runner.core.record import Record


@contextmanager
def open_calibration_progress(console: Console) -> Iterator[CalibrationObserver]:
    """Yield an observer that shows a calibration on a console: a bar on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield PlainCalibration(console)
        return
    progress = LiveCalibration(console)
    with open_live(progress.render, console) as live:
        progress.refresh = live.refresh
        yield progress


class PlainCalibration(CalibrationObserver):
    """Prints a line with the expected duration, and one for each trial."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def announced(self, load: CalibrationLoad, longest_s: float) -> None:
        """Print the expected duration."""
        first = f"{load.requests} requests, {load.concurrency} at a time: about {load.ideal_s:.0f} s"
        search_s = longest_s - load.ideal_s
        search = f", then {search_s:.0f} s at most to find the highest concurrency" if search_s else ""
        self._console.print(Text(first + search))

    def trial_begun(self, load: CalibrationLoad, *, again: bool) -> None:
        """Print the load of the trial."""
        self._console.print(Text(describe_trial(load, again=again)))


class LiveCalibration(PlainCalibration):
    """Prints the expected duration, and draws a bar of it with the requests of the current trial."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.refresh: Callable[[], None] = lambda: None
        self._longest_s = 0.0
        self._load: CalibrationLoad | None = None
        self._words = ""
        self._done = 0
        self._began_s = perf_counter()
        self._timer = RedrawTimer()

    def announced(self, load: CalibrationLoad, longest_s: float) -> None:
        """Print the expected duration, and store it."""
        super().announced(load, longest_s)
        self._longest_s = longest_s

    def trial_begun(self, load: CalibrationLoad, *, again: bool) -> None:
        """Show the load of the trial."""
        self._load, self._words, self._done = load, describe_trial(load, again=again), 0
        self.refresh()

    def finished(self, record: Record) -> None:  # noqa: ARG002 -- only the number counts
        """Count a request as done."""
        self._done += 1
        if self._timer.is_due():
            self.refresh()

    def render(self) -> Table:
        """Return the current bar."""
        if self._load is None:
            return Table.grid()
        took_s = perf_counter() - self._began_s
        words = f"{self._words}  {self._done:,}/{self._load.requests:,}"
        left = f"at most {format_eta(max(self._longest_s - took_s, 0))} left"
        return render_bar(min(took_s, self._longest_s), max(self._longest_s, 1), words, left)


def describe_trial(load: CalibrationLoad, *, again: bool) -> str:
    """Return a description of a trial."""
    return f"{load.concurrency:,} at a time{', once more' if again else ''}"
