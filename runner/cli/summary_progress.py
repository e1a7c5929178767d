"""Show the progress of deriving summaries of runs: a bar on a terminal, elsewhere a line if it is slow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from rich.table import Table

from runner.cli.progress import format_eta, open_live, render_bar
from runner.cli.terminal import echo_error, open_console
from runner.commands.notify_if_slow import notify_if_slow
from runner.commands.redraw_timer import RedrawTimer
from runner.commands.runs import RunList

SHOWN_AFTER_S = 0.5
"""Seconds before the bar appears; a few summaries take less."""


@contextmanager
def open_summary_progress(place: Path, color: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call before each summary is derived, with the number derived and the number to derive."""
    console = open_console(color, stderr=True)
    if not console.is_terminal:
        with notify_if_slow(f"reading the runs in {place}", echo_error):
            yield lambda _done, _of: None
        return
    progress = SummaryProgress(place)
    with open_live(progress.render, console) as live:

        def observe(done: int, of: int) -> None:
            if progress.is_due(done, of):
                live.refresh()

        yield observe


def echo_problems(found: RunList) -> None:
    """Print the runs that are left out, and whether summaries could not be stored."""
    for problem in found.unreadable:
        echo_error(f"left out: {problem}")
    if found.unsaved is not None:
        echo_error(f"note: {found.unsaved}")


class SummaryProgress:
    """A bar with the number of derived summaries, the total, and the time left."""

    def __init__(self, place: Path, clock: Callable[[], float] = perf_counter) -> None:
        self._place = place
        self._clock = clock
        self._began_s = clock()
        self._timer = RedrawTimer(SHOWN_AFTER_S, clock)
        self._done, self._of = 0, 0

    def is_due(self, done: int, of: int) -> bool:
        """Store how many are done; return whether the bar is due to be redrawn."""
        self._done, self._of = done, of
        return self._timer.is_due()

    def render(self) -> Table:
        """Return the current bar."""
        if not self._done:
            return Table.grid()
        left_s = (self._clock() - self._began_s) / self._done * (self._of - self._done)
        words = f"summaries of the runs in {self._place}  {self._done:,}/{self._of:,}"
        return render_bar(self._done, self._of, words, f"about {format_eta(left_s)} left")
