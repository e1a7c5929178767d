"""What a journal leaves to do of a plan: which conversations to take up where, and which records count no longer.

Pure. A record counts if the request that the plan has in its place has its key, so that an edited suite asks anew what
was edited, and nothing else.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from runner.core.events import TIMED, Outcome
from runner.core.load import blocks_a_level
from runner.core.record import Record
from runner.planning.plan import Plan, Request

ANSWERED = TIMED | {Outcome.FILTERED}
"""Outcomes that no repetition would better."""


Question = tuple[str | None, str, str]
"""The node that asks, where each asks everything; the target; the case."""


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """How a run goes on, given what its journal holds."""

    redone: AbstractSet[str] = frozenset()
    """Keys to ask anew: what an interruption cut short, and failures if they are to be repeated."""
    dropped: AbstractSet[str] = frozenset()
    """Keys of records whose request the plan does not hold."""
    recorded: Mapping[str, int] = field(default_factory=dict)
    """Target -> how many requests of the plan need not be asked."""
    owed: tuple[Record, ...] = ()
    """Rows of turns that cannot be asked since one before them failed, and that a killed run did not get to write."""
    over: Mapping[Question, AbstractSet[int]] = field(default_factory=dict)
    """The repeats of each question in which nothing is left to ask."""
    begun: Mapping[tuple[Question, int], Request] = field(default_factory=dict)
    """A question and its repeat that are under way -> its first turn to ask, the replies so far filled in."""
    last_ns: int = 0
    """The last stamp, in nanoseconds since the run's start."""

    def first_missing(self, opening: Request) -> Request | None:
        """Return where to take up the conversation that a request would open; None where nothing is left."""
        question, repeat = _question_of(opening), opening.repeat
        if repeat in self.over.get(question, ()):
            return None
        return self.begun.get((question, repeat), opening)


def _question_of(opening: Request) -> Question:
    return (opening.vantage.name if opening.vantage else None, opening.target.name, opening.case.id)


class _Turn(NamedTuple):
    """What a recorded turn means for those behind it."""

    key: str
    outcome: Outcome
    reply: str


@dataclass(slots=True)
class _Conversation:
    """One conversation of the plan, and its recorded turns by their number, from 1."""

    opening: Request
    turns: dict[int, _Turn] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether every turn has its row."""
        return len(self.turns) == len(self.opening.case.turns)

    def reach(self) -> tuple[Request | None, bool]:
        """Return the first turn that is neither answered nor failed, None behind the last; and whether one failed.

        A turn skipped for a failure that is to be repeated, or has been, is still to be asked.
        """
        request: Request | None = self.opening
        while request is not None:
            turn = self.turns.get(request.turn)
            if turn is None or turn.outcome is Outcome.SKIPPED:
                return request, False
            if turn.outcome not in TIMED:
                return request, True
            request = request.follow(turn.reply)
        return None, False


def resume(plan: Plan, records: Iterable[Record], *, retry_errors: bool = False) -> ResumePlan:
    """Hold a journal's records against a plan; with `retry_errors`, failures are to be asked again.

    Replies are held in memory only while their conversation is not whole.
    """
    places, tally = _Places(plan), _Tally()
    for record in records:
        tally.last_ns = max(tally.last_ns, record.timestamps.last_event or 0)
        if record.warmup:
            continue
        if _is_redone(record.outcome, retry_errors=retry_errors):
            tally.redone.add(record.identity.key)
        elif (opening := places.opening_of(record)) is None:
            tally.dropped.add(record.identity.key)
        else:
            tally.add(opening, record)
    return tally.resumption()


def _is_redone(outcome: Outcome, *, retry_errors: bool) -> bool:
    # Whether a skipped turn is asked follows from the one that failed.
    failed = outcome not in ANSWERED and outcome is not Outcome.SKIPPED
    return outcome is Outcome.CANCELLED or (retry_errors and failed)


class _Places:
    """A plan's conversations by where they stand in it."""

    def __init__(self, plan: Plan) -> None:
        self._targets = {target.name: target for target in plan.targets}
        self._cases = {case.id: case for case in plan.cases}
        self._vantages = {node.name: node for node in plan.vantages}
        self._repeats = plan.levels * blocks_a_level(plan.repeat)

    def opening_of(self, record: Record) -> Request | None:
        """Return the first request of the conversation that a recorded turn belongs to; None if it is not planned."""
        identity = record.identity
        target, case = self._targets.get(identity.target), self._cases.get(identity.case)
        if target is None or case is None or identity.repeat > self._repeats or identity.turn > len(case.turns):
            return None
        vantage = self._vantages.get(record.node or "")
        if vantage is None and self._vantages:
            return None
        opening = Request(target, case, identity.repeat, identity.block, vantage=vantage)
        asked = replace(opening, replies=("",) * (identity.turn - 1))
        return opening if asked.key == identity.key else None


@dataclass(slots=True)
class _Tally:
    """Conversations as their records come in; those that are whole are settled at once and forgotten."""

    redone: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    recorded: Counter[str] = field(default_factory=Counter)
    last_ns: int = 0
    owed: list[Record] = field(default_factory=list)
    over: dict[Question, set[int]] = field(default_factory=dict)
    begun: dict[tuple[Question, int], Request] = field(default_factory=dict)
    open: dict[tuple[Question, int], _Conversation] = field(default_factory=dict)

    def add(self, opening: Request, record: Record) -> None:
        """Take in a record of the plan."""
        place = (_question_of(opening), opening.repeat)
        conversation = self.open.setdefault(place, _Conversation(opening))
        turn = _Turn(record.identity.key, record.outcome, record.reply or "")
        conversation.turns[record.identity.turn] = turn
        if conversation.is_whole:
            self._settle(self.open.pop(place))

    def resumption(self) -> ResumePlan:
        """Settle what is left."""
        for conversation in self.open.values():
            self._settle(conversation)
        return ResumePlan(
            redone=self.redone,
            dropped=self.dropped,
            recorded=self.recorded,
            owed=tuple(self.owed),
            over=self.over,
            begun=self.begun,
            last_ns=self.last_ns,
        )

    def _settle(self, conversation: _Conversation) -> None:
        opening, turns = conversation.opening, conversation.turns
        question, target, repeat = _question_of(opening), opening.target.name, opening.repeat
        reached, failed = conversation.reach()
        if reached is not None and not failed:
            self.begun[question, repeat] = reached
            self.recorded[target] += reached.turn - 1
            self.redone |= {turn.key for number, turn in turns.items() if number >= reached.turn}
            return
        self.over.setdefault(question, set()).add(repeat)
        self.recorded[target] += len(opening.case.turns)
        if reached is not None:
            unwritten = (request for request in reached.unasked() if request.turn not in turns)
            self.owed += [request.skipped(reached.turn) for request in unwritten]
