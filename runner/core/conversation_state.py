"""The state of a conversation after a record: the reply that is sent back, the next turn, what is settled. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.suite import Case, SignedBlocks
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import Steps

Conversation = tuple[str, str, int, int, str | None]
"""Target, case, repeat, round and node, which identify a conversation of a run."""


def conversation_of(record: Record) -> Conversation:
    """Return the conversation that a record is part of."""
    identity = record.identity
    return identity.target, identity.case, identity.repeat, identity.block, record.node


@dataclass(frozen=True, slots=True)
class EarlierReply:
    """A reply to an earlier turn, as later requests send it back."""

    text: str | None
    """Text of the reply; None if the turn failed and the conversation continued, as only `compare chat` does."""
    signed_thinking: SignedBlocks = ()
    calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None


def earlier_reply(record: Record) -> EarlierReply:
    """Return the reply of a record, as later requests send it back."""
    return EarlierReply(record.reply or "", record.signed_thinking or (), record.calls, record.reasoning)


def next_turn(steps: Steps, record: Record) -> int:
    """Return the number of the turn after a record's; the calls of a failed reply get no results."""
    return steps.next_turn(record.identity.turn, record.calls if record.outcome in TIMED else ())


def is_last_turn(steps: Steps, record: Record) -> bool:
    """Return whether a record is the last of its conversation."""
    return next_turn(steps, record) > steps.most


class CompletedRequestCount:
    """Counts the planned requests that each record completes; a plan assumes the most steps in every turn."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._steps = {case.id: case.steps for case in cases if case.steps.max_steps > 1}

    def of(self, record: Record) -> int:
        """Return how many planned requests a record completes: its own, and the steps left out after it."""
        return 1 + self.left_out(record)

    def left_out(self, record: Record) -> int:
        """Return the number of steps that a record's reply left out."""
        steps = self._steps.get(record.identity.case)
        return 0 if steps is None else next_turn(steps, record) - record.identity.turn - 1
