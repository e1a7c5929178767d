"""Replies on a terminal, as panels side by side if they fit, without control characters."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from runner.core.growing_reply import GrowingReply
from runner.outputs.text.escape import one_line, printable
from runner.outputs.wrapped_text import WrappedText

NARROWEST = 28
"""Minimum width of a column in characters; on narrower terminals, replies are shown one after another."""

_FRAME_COLUMNS, _FRAME_LINES = 4, 2
"""Number of columns and lines of a panel's border and padding."""


@dataclass(slots=True, kw_only=True)
class TerminalReply(GrowingReply):
    """The text of one target's reply so far, and its state or ending."""

    name: str
    ending: str

    def texts(self) -> list[WrappedText]:
        """Return the texts to show: reasoning, the reply, then its tool calls."""
        reasoning = WrappedText(printable(self.reasoning), style="dim italic")
        reply = WrappedText(printable(self.reply))
        calls = WrappedText(printable(self.calls), style="cyan")
        return [text for text in (reasoning, reply, calls) if text]


def fits(console: Console, columns: int) -> bool:
    """Return whether a console is a terminal that is wide enough for this number of columns."""
    return console.is_terminal and console.width // max(columns, 1) >= NARROWEST


def arrange(replies: Sequence[TerminalReply], console: Console, height: int | None = None) -> Columns:
    """Return replies in columns; with a height in lines, only the last lines, which have the newest text."""
    width = console.width // len(replies) - 1
    panels = [_panel(shown, width, height, console) for shown in replies]
    return Columns(panels, padding=(0, 1), expand=False)


def _panel(shown: TerminalReply, width: int, height: int | None, console: Console) -> Panel:
    body: Sequence[Text] = shown.texts()
    ending = WrappedText(one_line(shown.ending), style="dim")
    if height is not None:
        inside = width - _FRAME_COLUMNS
        room = height - _FRAME_LINES - len(ending.wrap(console, inside))
        lines = [line for text in body for line in text.wrap(console, inside)]
        body = lines[-max(room, 1) :]
    return Panel(Group(*body, ending), title=Text(one_line(shown.name)), width=width)


def print_plainly(shown: TerminalReply, console: Console) -> None:
    """Print one reply below its target's name; lines are not wrapped in a pipe."""
    name = WrappedText(f"── {one_line(shown.name)} ({one_line(shown.ending)})", style="bold")
    texts = [WrappedText(printable(text)) for text in (shown.reply, shown.calls) if text] or [WrappedText("")]
    console.print(Group(name, *texts, ""), soft_wrap=not console.is_terminal)
