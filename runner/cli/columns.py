"""Replies side by side as they stream; one after another where there is no room, or no terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from runner.engine.observer import Observer
from runner.events import TIMED, Channel, Event
from runner.events import Text as Heard
from runner.plan import Request
from runner.record import Record

NARROWEST = 28
"""A column narrower than this cannot be read; replies are then shown one after another."""

REFRESH_HZ = 8


@contextmanager
def open_columns(mode: str, console: Console, targets: Sequence[str]) -> Iterator[Observer]:
    """Yield an observer that shows replies; `mode` is auto, live, plain or none."""
    fits = console.is_terminal and console.width // max(len(targets), 1) >= NARROWEST
    if mode == "none":
        yield Observer()
    elif mode == "plain" or not fits:
        yield PlainReplies(console)
    else:
        columns = LiveReplies(console, targets)
        with Live(
            get_renderable=columns.render,
            console=console,
            refresh_per_second=REFRESH_HZ,
            transient=True,
            vertical_overflow="crop",
        ):
            yield columns
        console.print(columns.render(whole=True))


def _tell(record: Record) -> str:
    """Say how a reply ended, below it."""
    if record.outcome not in TIMED:
        return f"{record.outcome.value}: {record.error or 'no reason given'}"
    ttft = "" if record.ttft_s is None else f"first text {record.ttft_s * 1000:.0f} ms"
    total = "" if record.total_s is None else f"total {record.total_s:.2f} s"
    simulated = "simulated" if record.identity.simulated else ""
    return ", ".join(part for part in (ttft, total, simulated) if part)


class PlainReplies(Observer):
    """Each reply whole, when it is finished."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def finished(self, record: Record) -> None:
        """Print a reply under its target's name."""
        self._console.print(Text(f"── {record.identity.target} ({_tell(record)})", style="bold"), soft_wrap=True)
        self._console.print(Text(record.reply or ""), soft_wrap=True)
        self._console.print()


class LiveReplies(Observer):
    """A column for each target; text appears as it is heard."""

    watches_text = True

    def __init__(self, console: Console, targets: Sequence[str]) -> None:
        self._console = console
        self._thoughts = dict.fromkeys(targets, "")
        self._replies = dict.fromkeys(targets, "")
        self._ends = dict.fromkeys(targets, "…")

    def heard(self, request: Request, event: Event) -> None:
        """Add a piece of text to its column."""
        if not isinstance(event, Heard):
            return
        texts = self._thoughts if event.channel is Channel.REASONING else self._replies
        texts[request.target.name] += event.text

    def finished(self, record: Record) -> None:
        """Close a column with its timings."""
        name = record.identity.target
        self._replies[name] = record.reply or ""
        self._ends[name] = _tell(record)

    def render(self, *, whole: bool = False) -> Columns:
        """Return the columns as they stand; while they grow, only their ends, so that the newest text is seen."""
        width = self._console.width // len(self._replies) - 1
        height = None if whole else max(self._console.height - 4, 5)
        return Columns([self._column(name, width, height) for name in self._replies], padding=(0, 1), expand=False)

    def _column(self, name: str, width: int, height: int | None) -> Panel:
        thoughts, reply = (
            Text(self._thoughts[name], style="dim italic", overflow="fold"),
            Text(self._replies[name], overflow="fold"),
        )
        body = [text for text in (thoughts, reply) if text]
        if height is not None:
            body = _tail(body, width - 4, height - 3, self._console)
        return Panel(Group(*body), title=Text(name), subtitle=Text(self._ends[name]), width=width)


def _tail(texts: Sequence[Text], width: int, lines: int, console: Console) -> list[Text]:
    """Return the last lines of texts once wrapped."""
    wrapped = [line for text in texts for line in text.wrap(console, width)]
    return wrapped[-lines:]
