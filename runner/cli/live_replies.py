"""Show replies: streaming in columns on a terminal that is wide enough, else one after another when complete."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns

from rich.columns import Columns
from rich.console import Console
from rich.live import Live

from runner.cli.reply_panels import TerminalReply, arrange, fits, print_plainly
from runner.core.events import TIMED, Event
from runner.core.record import Record
from runner.engine.run_observers import Observer
from runner.outputs.text.number_format import seconds
from runner.planning.request import Request

REFRESH_HZ = 8

_OUTSIDE_LINES = 4
"""Number of lines of the terminal that the columns leave free."""


@contextmanager
def open_columns(mode: str, console: Console, targets: Sequence[str]) -> Iterator[Observer]:
    """Yield an observer that shows replies; `mode` is auto, live, plain or none."""
    if mode == "none":
        yield Observer()
    elif mode == "plain" or not fits(console, len(targets)):
        yield PlainReplies(console)
    else:
        columns = LiveReplies(console, targets)
        with Live(
            get_renderable=columns.render,
            console=console,
            refresh_per_second=REFRESH_HZ,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield columns
        console.print(columns.render(whole=True))


def _describe_ending(record: Record) -> str:
    """Return a line that describes how a reply ended."""
    if record.outcome not in TIMED:
        return f"{record.outcome.value}: {record.error or 'no reason given'}"
    ttft = "" if record.ttft_s is None else f"first text {seconds(record.ttft_s)}"
    total = "" if record.total_s is None else f"total {seconds(record.total_s)}"
    simulated = "simulated" if record.identity.simulated else ""
    return ", ".join(part for part in (ttft, total, simulated) if part)


class PlainReplies(Observer):
    """Prints each reply when it is finished."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def finished(self, record: Record) -> None:
        """Print a reply under its target's name."""
        reply, calls = record.reply or "", "\n".join(map(str, record.calls))
        shown = TerminalReply(name=record.identity.target, ending=_describe_ending(record), reply=reply, calls=calls)
        print_plainly(shown, self._console)


class LiveReplies(Observer):
    """A column for each target with its text as it arrives, and the time of the first text below."""

    watches_text = True

    def __init__(self, console: Console, targets: Sequence[str]) -> None:
        self._console = console
        self._shown = {target: TerminalReply(name=target, ending="waiting") for target in targets}
        self._started_ns: dict[str, int] = {}

    def started(self, request: Request) -> None:
        """Start timing the wait for a target's first text."""
        self._started_ns[request.target.name] = perf_counter_ns()

    def received(self, request: Request, event: Event) -> None:
        """Add a piece of text to its column."""
        shown = self._shown[request.target.name]
        is_first = not shown.has_text
        if shown.add(event) and is_first:
            shown.ending = f"first text ~{self._waited(shown.name, event.at_ns)}"

    def finished(self, record: Record) -> None:
        """Show the whole reply and its timings in its column."""
        shown = self._shown[record.identity.target]
        shown.reasoning, shown.reply = record.reasoning or "", record.reply or ""
        shown.calls = "\n".join(map(str, record.calls))
        shown.ending = _describe_ending(record)
        self._started_ns.pop(shown.name, None)

    def render(self, *, whole: bool = False) -> Columns:
        """Return the current columns; unless `whole`, only as many lines as fit the terminal."""
        now_ns = perf_counter_ns()
        for shown in self._shown.values():
            if shown.name in self._started_ns and not shown.has_text:
                shown.ending = f"waiting {self._waited(shown.name, now_ns)}"
        height = None if whole else max(self._console.height - _OUTSIDE_LINES, 5)
        return arrange(list(self._shown.values()), self._console, height)

    def _waited(self, name: str, until_ns: int) -> str:
        """Return the time from when a request left its lane, shortly before it was sent, as text."""
        return seconds((until_ns - self._started_ns.get(name, until_ns)) / 1e9)
