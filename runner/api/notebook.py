"""The progress of a run, and streaming replies, in the running cell of a notebook.

The display is updated in place: an output of the notebook, or a line of the terminal under IPython.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from time import perf_counter, perf_counter_ns
from typing import Any, Protocol

from runner.api.run_in_thread import View
from runner.core.events import Event
from runner.core.growing_reply import GrowingReply
from runner.core.record import Record
from runner.engine.run_observers import RequestCounts
from runner.outputs.side_by_side import write_growing, write_row
from runner.outputs.text.escape import one_line
from runner.outputs.text.number_format import count, seconds
from runner.planning.plan import Plan, Request

LINE_COLUMNS = 79


class Screen(Protocol):
    """A display that shows one text at a time."""

    def show(self, text: str, html: str | None = None) -> None:
        """Replace the text shown, with `html` where the display supports it."""

    def settle(self) -> None:
        """Keep the last text on the display."""


class Nowhere:
    """A display that shows nothing, for scripts."""

    def show(self, text: str, html: str | None = None) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Do nothing."""


class Cell:
    """An output of the running cell."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, html: str | None = None) -> None:
        """Show an output below the cell, or replace the existing one."""
        from IPython.display import display  # noqa: PLC0415 -- only where IPython is loaded

        shown = {"text/plain": text, "text/html": html or f"<pre>{escape(text)}</pre>"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)

    def settle(self) -> None:
        """Do nothing: an output stays."""


class TerminalLine:
    """A line on stderr that is overwritten in place."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str, html: str | None = None) -> None:  # noqa: ARG002 -- a terminal cannot show HTML
        """Overwrite the line with the last line of the text."""
        self._text = text
        self._write(one_line(text.rpartition("\n")[2], LINE_COLUMNS))

    def settle(self) -> None:
        """Write the whole text and end the line."""
        self._write(f"{self._text}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def write_lines(lines: Iterable[str]) -> str:
    """Return lines of text as HTML, each in a block of its own."""
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def find_screen() -> Screen:
    """Return the display of the running cell, or one that shows nothing in a script."""
    shell = _find_shell()
    if shell is None:
        return Nowhere()
    return Cell() if hasattr(shell, "kernel") else TerminalLine()


def _find_shell() -> object | None:
    """Return IPython's shell; None if this process runs without IPython."""
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
        """Count a request as in flight."""
        self._in_flight += 1

    def finished(self, record: Record) -> None:
        """Count a request as done; a skipped request was never in flight."""
        super().finished(record)
        self._in_flight -= record.attempts > 0

    def draw(self) -> None:
        """Show the counts."""
        in_flight = f"{self._in_flight} under way"
        self._show(", ".join([*self._counts(), in_flight, seconds(perf_counter() - self._started_s)]))

    def conclude(self, sentence: str) -> None:
        """Show the final counts and a closing sentence."""
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
    """The text of one target's reply so far, and its state.

    Times are in nanoseconds of `perf_counter_ns`.
    """

    started_ns: int | None = None
    first_ns: int | None = None
    ending: str | None = None

    def describe(self, now_ns: int) -> str:
        """Return the state. Waits count from the moment the request left its lane, shortly before it was sent."""
        if self.ending or self.started_ns is None:
            return self.ending or "waiting"
        if self.first_ns is None:
            return f"waiting {seconds((now_ns - self.started_ns) / 1e9)}"
        return f"first text after ~{seconds((self.first_ns - self.started_ns) / 1e9)}"


class GrowingReplies(View):
    """A column for each target with its reply as it streams; one line replaces them when the run ends."""

    watches_text = True

    def __init__(self, screen: Screen, notes: Sequence[str]) -> None:
        self._screen = screen
        self._notes = [f"note: {one_line(note)}" for note in notes]
        self._growing: dict[str, _CellReply] = {}

    def planned(self, plan: Plan) -> None:
        """Add a column for each target."""
        self._growing = {target.name: _CellReply() for target in plan.targets}

    def started(self, request: Request) -> None:
        """Start timing the wait for a target's first text."""
        self._growing[request.target.name].started_ns = self.called_ns

    def received(self, request: Request, event: Event) -> None:
        """Add a piece of text to its column."""
        growing = self._growing[request.target.name]
        if growing.add(event):
            growing.first_ns = growing.first_ns or event.at_ns

    def finished(self, record: Record) -> None:
        """Show in the target's column how the reply ended."""
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
        """Replace the columns with a closing sentence, since the cell displays the returned replies."""
        lines = [*self._notes, one_line(sentence)]
        self._screen.show("\n".join(lines), write_lines(lines))
        self._screen.settle()
