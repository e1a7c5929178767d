"""Replies side by side while they grow, in the output of a cell."""

from collections.abc import Sequence
from time import perf_counter_ns

from runner.api.notebook.screen import Screen, write_lines
from runner.api.watched_run import View
from runner.core.events import AnswerWasReasoning, CallPiece, Channel, Event, Text
from runner.core.record import Record
from runner.outputs.side_by_side import write_growing, write_row
from runner.outputs.text.escape import one_line
from runner.outputs.text.figures import seconds
from runner.planning.plan import Plan, Request


class _GrowingReply:
    """The text of one target's reply so far, and its state."""

    def __init__(self) -> None:
        self.reasoning = self.reply = self.calls = ""
        self.started_ns: int | None = None
        self.first_ns: int | None = None
        self.ending: str | None = None

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
        self._growing: dict[str, _GrowingReply] = {}

    def planned(self, plan: Plan) -> None:
        """Add a column for each target."""
        self._growing = {target.name: _GrowingReply() for target in plan.targets}

    def started(self, request: Request) -> None:
        """Start to time the wait for a target's first text."""
        self._growing[request.target.name].started_ns = self.called_ns

    def received(self, request: Request, event: Event) -> None:
        """Add a piece of text to its column."""
        growing = self._growing[request.target.name]
        if isinstance(event, AnswerWasReasoning):
            growing.reasoning, growing.reply = growing.reasoning + growing.reply, ""
        if not isinstance(event, Text | CallPiece):
            return
        growing.first_ns = growing.first_ns or event.at_ns
        if isinstance(event, CallPiece):
            growing.calls += ("\n" if event.name and growing.calls else "") + event.text.text
        elif event.channel is Channel.REASONING:
            growing.reasoning += event.text
        else:
            growing.reply += event.text

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
