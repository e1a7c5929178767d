"""A reply in a live view: its text so far, and its state in a line. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from runner.core.events import TIMED, AnswerWasReasoning, CallPiece, Channel, Event, Text
from runner.core.failure_kinds import NO_MESSAGE, hint_for
from runner.core.record import Record
from runner.core.tool_call import list_calls
from runner.outputs.text.number_format import seconds

if TYPE_CHECKING:
    from runner.analysis.result_columns import Row


@dataclass(slots=True)
class PartialReply:
    """The reply of one target so far. Times are in nanoseconds of `perf_counter_ns`."""

    name: str
    ending: str | None = None
    """How the reply ended; None while it has not."""
    reasoning: str = ""
    reply: str = ""
    calls: str = ""
    """Tool calls, each on a line; while they arrive, their text so far."""
    started_ns: int | None = None
    first_ns: int | None = None

    @classmethod
    def of_row(cls, name: str, row: "Row", ending: str) -> Self:
        """Return a finished reply from its row in the tables."""
        reasoning, reply = ("" if row[column] is None else str(row[column]) for column in ("reasoning", "reply"))
        return cls(name, ending, reasoning, reply, "\n".join(list_calls(row["tool_calls"])))

    def start(self, at_ns: int) -> None:
        """Note that the request left its lane, which is shortly before it is sent."""
        self.started_ns, self.first_ns, self.ending = at_ns, None, None

    def add(self, event: Event) -> None:
        """Add the text of an event."""
        if isinstance(event, AnswerWasReasoning):
            self.reasoning, self.reply = self.reasoning + self.reply, ""
        elif isinstance(event, CallPiece):
            self.calls += ("\n" if event.name and self.calls else "") + event.text.text
        elif isinstance(event, Text) and event.channel is Channel.REASONING:
            self.reasoning += event.text
        elif isinstance(event, Text):
            self.reply += event.text
        if self.first_ns is None and isinstance(event, Text | CallPiece):
            self.first_ns = event.at_ns

    def finish(self, record: Record) -> None:
        """Replace the text so far by the whole reply, and note how it ended."""
        self.reasoning, self.reply = record.reasoning or "", record.reply or ""
        self.calls = "\n".join(map(str, record.calls))
        self.ending = describe_end(record) + (", simulated" if record.identity.simulated else "")

    def describe(self, now_ns: int) -> str:
        """Return the state: how long the wait is, roughly when the first text came, or how the reply ended."""
        if self.ending is not None or self.started_ns is None:
            return self.ending or "waiting"
        if self.first_ns is None:
            return f"waiting {seconds((now_ns - self.started_ns) / 1e9)}"
        return f"first text ~{seconds((self.first_ns - self.started_ns) / 1e9)}"


def describe_end(record: Record) -> str:
    """Return in a line how a request ended: its times, or why it failed and what to do."""
    if record.outcome in TIMED:
        times = (("first text", record.ttft_s), ("total", record.total_s))
        return ", ".join(f"{name} {seconds(time_s)}" for name, time_s in times if time_s is not None)
    hint = hint_for(
        record.identity.provider,
        record.outcome,
        record.error_type,
        code=record.error_code,
        attempts=record.attempts,
    )
    status = f" {record.http_status}" if record.http_status else ""
    return f"{record.outcome.value}{status}: {' · '.join(filter(None, (record.error, hint))) or NO_MESSAGE}"
