"""Replies on a terminal: panels side by side where there is room, else one after another. Nothing said can drive it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from runner.outputs.text.escape import one_line, printable

NARROWEST = 28
"""A column narrower than this cannot be read; replies are then shown one after another."""

_FRAME_COLUMNS, _FRAME_LINES = 4, 2
"""What a panel's border and padding take."""


@dataclass(slots=True)
class SaidReply:
    """What one target has said so far, and how it stands or how it ended."""

    name: str
    ending: str
    thoughts: str = ""
    reply: str = ""

    def texts(self) -> list[Text]:
        """Return what is to be shown, thoughts apart from the reply."""
        thoughts = Text(printable(self.thoughts), style="dim italic", overflow="fold")
        reply = Text(printable(self.reply), overflow="fold")
        return [text for text in (thoughts, reply) if text]


def fits(console: Console, columns: int) -> bool:
    """Tell whether this is a terminal with room for so many columns."""
    return console.is_terminal and console.width // max(columns, 1) >= NARROWEST


def arrange(every: Sequence[SaidReply], console: Console, height: int | None = None) -> Columns:
    """Put replies into columns; with a height only their ends, so that the newest text is seen."""
    width = console.width // len(every) - 1
    panels = [_panel(said, width, height, console) for said in every]
    return Columns(panels, padding=(0, 1), expand=False)


def _panel(said: SaidReply, width: int, height: int | None, console: Console) -> Panel:
    body, ending = said.texts(), Text(one_line(said.ending), style="dim", overflow="fold")
    if height is not None:
        inside = width - _FRAME_COLUMNS
        room = height - _FRAME_LINES - len(ending.wrap(console, inside))
        lines = [line for text in body for line in text.wrap(console, inside)]
        body = lines[-max(room, 1) :]
    return Panel(Group(*body, ending), title=Text(one_line(said.name)), width=width)


def print_plainly(said: SaidReply, console: Console) -> None:
    """Print one reply below its target's name."""
    console.print(Text(f"── {one_line(said.name)} ({one_line(said.ending)})", style="bold"), soft_wrap=True)
    console.print(Text(printable(said.reply)), soft_wrap=True)
    console.print()
