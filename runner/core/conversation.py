"""Conversations: the replies that later requests give back, and how a record ends its turn or the whole."""

from dataclasses import dataclass

from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.steps import Steps
from runner.core.suite import SignedBlocks
from runner.core.tool_call import ToolCall


@dataclass(frozen=True, slots=True)
class EarlierReply:
    """A reply to an earlier turn, as later requests give it back."""

    text: str | None
    """None where the turn failed and the conversation went on without it, as only `compare chat` does."""
    signed_thinking: SignedBlocks = ()
    calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None


def earlier_reply(record: Record) -> EarlierReply:
    """Return the reply of a record, as later requests give it back."""
    return EarlierReply(record.reply or "", record.signed_thinking or (), record.calls, record.reasoning)


def next_turn(steps: Steps, record: Record) -> int:
    """Return the number of the turn after a record's; the calls of a failed reply get no results."""
    return steps.next_turn(record.identity.turn, record.calls if record.outcome in TIMED else ())


def is_last_turn(steps: Steps, record: Record) -> bool:
    """Return whether a record is the last of its conversation."""
    return next_turn(steps, record) > steps.most
