"""The progress of a run, and replies as they grow, in a running cell of a notebook.

A cell can write to one place over and over: an output of the notebook, or a line of the terminal.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from time import perf_counter, perf_counter_ns
from typing import Any, Protocol

from runner.api.run_in_thread import View
from runner.commands.run.request_counts import RequestCounts
from runner.core.events import Event
from runner.core.growing_reply import GrowingReply
from runner.core.record import Record
from runner.outputs.side_by_side import write_growing, write_row
from runner.outputs.text.escape import one_line
from runner.outputs.text.figures import count, seconds
from runner.planning.plan import Plan, Request

LINE_COLUMNS = 79


class Screen(Protocol):
    """A place that shows one thing at a time."""

    def show(self, text: str, html: str | None = None) -> None:
        """Replace what is shown, by `html` where it can be shown, else by the text."""

    def settle(self) -> None:
        """Keep what was shown last."""


class Nowhere:
    """Shows nothing, in a script."""

    def show(self, text: str, html: str | None = None) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Do nothing."""


class Cell:
    """An output of the running cell."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, html: str | None = None) -> None:
        """Show an output below the cell, or replace the one that is there."""
        from IPython.display import display  # noqa: PLC0415 -- only where IPython is loaded

        shown = {"text/plain": text, "text/html": html or f"<pre>{escape(text)}</pre>"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)

    def settle(self) -> None:
        """Do nothing: an output stays."""


class TerminalLine:
    """A line of stderr that is overwritten."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str, html: str | None = None) -> None:  # noqa: ARG002 -- a terminal cannot show it
        """Overwrite the line with the last line of a text."""
        self._text = text
        self._write(one_line(text.rpartition("\n")[2], LINE_COLUMNS))

    def settle(self) -> None:
        """Write the whole text, and keep it."""
        self._write(f"{self._text}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def write_lines(lines: Iterable[str]) -> str:
    """Return lines of text as HTML, one below the other."""
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def find_screen() -> Screen:
    """Return where the running cell can show something; in a script that is nowhere."""
    shell = _find_shell()
    if shell is None:
        return Nowhere()
    return Cell() if hasattr(shell, "kernel") else TerminalLine()


def _find_shell() -> object | None:
    """Return IPython's shell, if this process has loaded one."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415

    return get_ipython()  # type: ignore[no-any-return]


class Progress(RequestCounts, View):
    """Shows counts of requests."""

    def __init__(self, screen: Screen, notes: Sequence[str]) -> None:
        super().__init__()
        self._screen = screen
        self._notes = [f"note: {one_line(note)}" for note in notes]
        self._in_flight = 0
        self._started_s = perf_counter()

    def started(self, request: Request) -> None:  # noqa: ARG002 -- one is as good as another
        """Count a request as under way."""
        self._in_flight += 1

    def finished(self, record: Record) -> None:
        """Count a request as done; a skipped one was never under way."""
        super().finished(record)
        self._in_flight -= record.attempts > 0

    def draw(self) -> None:
        """Show the counts."""
        in_flight = f"{self._in_flight} under way"
        self._show(", ".join([*self._counts(), in_flight, seconds(perf_counter() - self._started_s)]))

    def conclude(self, sentence: str) -> None:
        """Show the final counts, and where the run is."""
        took = f"in {seconds(perf_counter() - self._started_s)}"
        self._show(f"{', '.join([*self._counts(), took])}; {one_line(sentence)}")
        self._screen.settle()

    def _counts(self) -> list[str]:
        done = count(self.done, "request") if self.total is None else f"{self.done:,} of {self.total:,} requests"
        return [f"{done} done", *([f"{self.failed:,} failed"] if self.failed else [])]

    def _show(self, line: str) -> None:
        bar = ""
        if self.total is not None:
            bar = f'<progress value="{self.done}" max="{max(self.total, 1)}"></progress> '
        html = f"{write_lines(self._notes)}<div>{bar}{escape(line)}</div>"
        self._screen.show("\n".join([*self._notes, line]), html)


@dataclass(slots=True)
class _CellReply(GrowingReply):
    """The text of one target's reply so far, and its state."""

    started_ns: int | None = None
    first_ns: int | None = None
    ending: str | None = None

    def describe(self, now_ns: int) -> str:
        """Return the state; a wait counts from when the request left its lane, a little before it was sent."""
        if self.ending or self.started_ns is None:
            return self.ending or "waiting"
        if self.first_ns is None:
            return f"waiting {seconds((now_ns - self.started_ns) / 1e9)}"
        return f"first text after ~{seconds((self.first_ns - self.started_ns) / 1e9)}"


class GrowingReplies(View):
    """A column for each target, in which text appears; when the run is over, a line replaces them."""

    watches_text = True

    def __init__(self, screen: Screen, notes: Sequence[str]) -> None:
        self._screen = screen
        self._notes = [f"note: {one_line(note)}" for note in notes]
        self._growing: dict[str, _CellReply] = {}

    def planned(self, plan: Plan) -> None:
        """Add a column for each target."""
        self._growing = {target.name: _CellReply() for target in plan.targets}

    def started(self, request: Request) -> None:
        """Start to time the wait for a target's first text."""
        self._growing[request.target.name].started_ns = self.called_ns

    def received(self, request: Request, event: Event) -> None:
        """Add a piece of text to its column."""
        growing = self._growing[request.target.name]
        if growing.add(event):
            growing.first_ns = growing.first_ns or event.at_ns

    def finished(self, record: Record) -> None:
        """Close a column."""
        state = record.outcome.value if record.ttft_s is None else f"first text {seconds(record.ttft_s)}"
        self._growing[record.identity.target].ending = f"{state}, done"

    def draw(self) -> None:
        """Show the columns."""
        now_ns = perf_counter_ns()
        states = {name: growing.describe(now_ns) for name, growing in self._growing.items()}
        articles = (
            write_growing(name, states[name], growing.reasoning, growing.reply, growing.calls)
            for name, growing in self._growing.items()
        )
        self._screen.show("; ".join(f"{name}: {state}" for name, state in states.items()), write_row(articles))

    def conclude(self, sentence: str) -> None:
        """Show where the run is, in place of the columns: the cell returns the replies themselves."""
        lines = [*self._notes, one_line(sentence)]
        self._screen.show("\n".join(lines), write_lines(lines))
        self._screen.settle()
