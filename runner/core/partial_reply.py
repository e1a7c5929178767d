"""The part of a reply that has arrived so far, for live views. Pure."""

from dataclasses import dataclass

from runner.core.events import AnswerWasReasoning, CallPiece, Channel, Event, Text


@dataclass(slots=True)
class PartialReply:
    """The text of a reply so far, by channel."""

    reasoning: str = ""
    reply: str = ""
    calls: str = ""
    """Tool calls, each on a line; while they arrive, their text so far."""

    @property
    def has_text(self) -> bool:
        """Whether any text has arrived."""
        return bool(self.reasoning or self.reply or self.calls)

    def add(self, event: Event) -> bool:
        """Add an event; return whether it added text."""
        if isinstance(event, AnswerWasReasoning):
            self.reasoning, self.reply = self.reasoning + self.reply, ""
        elif isinstance(event, CallPiece):
            self.calls += ("\n" if event.name and self.calls else "") + event.text.text
        elif isinstance(event, Text) and event.channel is Channel.REASONING:
            self.reasoning += event.text
        elif isinstance(event, Text):
            self.reply += event.text
        return isinstance(event, Text | CallPiece)
