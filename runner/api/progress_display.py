"""The progress of a run, and streaming replies, in the running cell of a notebook.

The display is updated in place: an output of the notebook, or a line of the terminal under IPython.
"""

import sys
from collections.abc import Iterable, Sequence
from html import escape
from time import perf_counter, perf_counter_ns
from typing import Any, Protocol

from runner.api.run_in_thread import View
from runner.core.events import Event
from runner.core.record import Record
from runner.engine.run_observers import RequestCounts
from runner.errors import counted
from runner.outputs.side_by_side import write_partial, write_row
from runner.outputs.text.escape import one_line
from runner.outputs.text.number_format import seconds
from runner.outputs.text.partial_reply import PartialReply
from runner.planning.plan import Plan
from runner.planning.request import Request

LINE_COLUMNS = 79


class Display(Protocol):
    """A display that shows one text at a time."""

    def show(self, text: str, html: str | None = None) -> None:
        """Replace the text shown, with `html` where the display supports it."""

    def keep(self) -> None:
        """Keep the last text on the display."""


class NoDisplay:
    """A display that shows nothing, for scripts."""

    def show(self, text: str, html: str | None = None) -> None:
        """Do nothing."""

    def keep(self) -> None:
        """Do nothing."""


class NotebookCell:
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

    def keep(self) -> None:
        """Do nothing: an output stays."""


class StderrLine:
    """A line on stderr that is overwritten in place."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str, html: str | None = None) -> None:  # noqa: ARG002 -- a terminal cannot show HTML
        """Overwrite the line with the last line of the text."""
        self._text = text
        self._write(one_line(text.rpartition("\n")[2], LINE_COLUMNS))

    def keep(self) -> None:
        """Write the whole text and end the line."""
        self._write(f"{self._text}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def write_lines(lines: Iterable[str]) -> str:
    """Return lines of text as HTML, each in a block of its own."""
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def find_display() -> Display:
    """Return the display of the running cell, or one that shows nothing in a script."""
    shell = _find_shell()
    if shell is None:
        return NoDisplay()
    return NotebookCell() if hasattr(shell, "kernel") else StderrLine()


def _find_shell() -> object | None:
    """Return IPython's shell; None if this process runs without IPython."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415

    return get_ipython()  # type: ignore[no-any-return]


class Progress(RequestCounts, View):
    """Shows counts of requests."""

    def __init__(self, display: Display, notes: Sequence[str]) -> None:
        super().__init__()
        self._display = display
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
        self._display.keep()

    def _counts(self) -> list[str]:
        done = counted(self.done, "request") if self.total is None else f"{self.done:,} of {self.total:,} requests"
        return [f"{done} done", *([f"{self.failed:,} failed"] if self.failed else [])]

    def _show(self, line: str) -> None:
        bar = ""
        if self.total is not None:
            bar = f'<progress value="{self.done}" max="{max(self.total, 1)}"></progress> '
        html = f"{write_lines(self._notes)}<div>{bar}{escape(line)}</div>"
        self._display.show("\n".join([*self._notes, line]), html)


class StreamingReplies(View):
    """A column for each target with its reply as it streams; one line replaces them when the run ends."""

    watches_text = True

    def __init__(self, display: Display, notes: Sequence[str]) -> None:
        self._display = display
        self._notes = [f"note: {one_line(note)}" for note in notes]
        self._replies: dict[str, PartialReply] = {}

    def planned(self, plan: Plan) -> None:
        """Add a column for each target."""
        self._replies = {target.name: PartialReply(target.name) for target in plan.targets}

    def started(self, request: Request) -> None:
        """Start timing the wait for a target's first text."""
        self._replies[request.target.name].start(self.called_ns)

    def received(self, request: Request, event: Event) -> None:
        """Add a piece of text to its column."""
        self._replies[request.target.name].add(event)

    def finished(self, record: Record) -> None:
        """Show the whole reply in the target's column, and how it ended."""
        self._replies[record.identity.target].finish(record)

    def draw(self) -> None:
        """Show the columns."""
        now_ns = perf_counter_ns()
        states = {name: reply.describe(now_ns) for name, reply in self._replies.items()}
        articles = (
            write_partial(name, states[name], reply.reasoning, reply.reply, reply.calls)
            for name, reply in self._replies.items()
        )
        self._display.show("; ".join(f"{name}: {state}" for name, state in states.items()), write_row(articles))

    def conclude(self, sentence: str) -> None:
        """Replace the columns with a closing sentence, since the cell displays the returned replies."""
        lines = [*self._notes, one_line(sentence)]
        self._display.show("\n".join(lines), write_lines(lines))
        self._display.keep()
