"""Show replies: streaming in columns on a terminal that is wide enough, else one after another when complete.

They are shown without control characters.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from runner.core.events import Event
from runner.core.record import Record
from runner.engine.run_observers import Observer
from runner.outputs.cjk_line_breaks import WrappedText
from runner.outputs.text.escape import one_line, printable
from runner.outputs.text.partial_reply import PartialReply
from runner.planning.request import Request

REFRESH_HZ = 8

_OUTSIDE_LINES = 4
"""Number of lines of the terminal that the columns leave free."""

NARROWEST = 28
"""Minimum width of a column in characters; on narrower terminals, replies are shown one after another."""

_FRAME_COLUMNS, _FRAME_LINES = 4, 2
"""Number of columns and lines of a panel's border and padding."""


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


class PlainReplies(Observer):
    """Prints each reply when it is finished."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def finished(self, record: Record) -> None:
        """Print a reply under its target's name."""
        reply = PartialReply(record.identity.target)
        reply.finish(record)
        print_plainly(reply, self._console)


class LiveReplies(Observer):
    """A column for each target with its text as it arrives, and the time of the first text below."""

    watches_text = True

    def __init__(self, console: Console, targets: Sequence[str]) -> None:
        self._console = console
        self._replies = {target: PartialReply(target) for target in targets}

    def started(self, request: Request) -> None:
        """Start timing the wait for a target's first text."""
        self._replies[request.target.name].start(perf_counter_ns())

    def received(self, request: Request, event: Event) -> None:
        """Add a piece of text to its column."""
        self._replies[request.target.name].add(event)

    def finished(self, record: Record) -> None:
        """Show the whole reply and its timings in its column."""
        self._replies[record.identity.target].finish(record)

    def render(self, *, whole: bool = False) -> Columns:
        """Return the current columns; unless `whole`, only as many lines as fit the terminal."""
        height = None if whole else max(self._console.height - _OUTSIDE_LINES, 5)
        return arrange(list(self._replies.values()), self._console, height)


# Panels


def fits(console: Console, columns: int) -> bool:
    """Return whether a console is a terminal that is wide enough for this number of columns."""
    return console.is_terminal and console.width // max(columns, 1) >= NARROWEST


def arrange(replies: Sequence[PartialReply], console: Console, height: int | None = None) -> Columns:
    """Return replies in columns; with a height in lines, only the last lines, which have the newest text."""
    width = console.width // len(replies) - 1
    panels = [_panel(reply, width, height, console) for reply in replies]
    return Columns(panels, padding=(0, 1), expand=False)


def _panel(reply: PartialReply, width: int, height: int | None, console: Console) -> Panel:
    body: Sequence[Text] = _texts(reply)
    state = WrappedText(one_line(reply.describe(perf_counter_ns())), style="dim")
    if height is not None:
        inside = width - _FRAME_COLUMNS
        room = height - _FRAME_LINES - len(state.wrap(console, inside))
        lines = [line for text in body for line in text.wrap(console, inside)]
        body = lines[-max(room, 1) :]
    return Panel(Group(*body, state), title=Text(one_line(reply.name)), width=width)


def _texts(reply: PartialReply) -> list[WrappedText]:
    """Return the texts to show: reasoning, the reply, then its tool calls."""
    reasoning = WrappedText(printable(reply.reasoning), style="dim italic")
    answer = WrappedText(printable(reply.reply))
    calls = WrappedText(printable(reply.calls), style="cyan")
    return [text for text in (reasoning, answer, calls) if text]


def print_plainly(reply: PartialReply, console: Console) -> None:
    """Print one reply below its target's name; lines are not wrapped in a pipe."""
    name = WrappedText(f"── {one_line(reply.name)} ({one_line(reply.ending or '')})", style="bold")
    texts = [WrappedText(printable(text)) for text in (reply.reply, reply.calls) if text] or [WrappedText("")]
    console.print(Group(name, *texts, ""), soft_wrap=not console.is_terminal)
