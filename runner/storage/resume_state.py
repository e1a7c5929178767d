"""The state of a run to resume: which requests of its plan are completed, to be repeated or missing. Performs no I/O.

A record counts if the request at its place in the plan has its key. So if the suite was edited, only the edited
requests are repeated.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from runner.core.conversation_state import EarlierReply, earlier_reply
from runner.core.events import TIMED, Outcome
from runner.core.load_profile import rounds_a_level
from runner.core.record import Record
from runner.core.suite import Suite
from runner.errors import counted
from runner.planning.plan import Plan
from runner.planning.request import Request
from runner.storage.journal import Header, Journal

FINAL = TIMED | {Outcome.FILTERED}
"""Outcomes that a repetition would not improve."""

Series = tuple[str | None, str, str]
"""The repeats of one case for one target: the sending node if each node sends all requests, the target, the case."""


@dataclass(frozen=True, slots=True)
class ResumeState:
    """The requests of a plan that a journal leaves to be sent."""

    to_repeat: AbstractSet[str] = frozenset()
    """Keys to request again: interrupted requests, and failed ones if failures are to be repeated."""
    dropped: AbstractSet[str] = frozenset()
    """Keys of records whose request is not in the plan."""
    completed: Mapping[str, int] = field(default_factory=dict)
    """Target -> number of its requests in the plan that need not be sent."""
    missing: tuple[Record, ...] = ()
    """Rows, not written by a killed run, of turns that are skipped because an earlier turn failed."""
    completed_repeats: Mapping[Series, AbstractSet[int]] = field(default_factory=dict)
    """Series -> the repeats in which nothing is left to send."""
    started: Mapping[tuple[Series, int], Request] = field(default_factory=dict)
    """Series and repeat of each partly recorded conversation -> its first turn to send, with the replies so far."""
    last_ns: int = 0
    """The last timestamp, in nanoseconds since the run's start."""

    def first_missing(self, opening: Request) -> Request | None:
        """Return the first turn to send of the conversation that `opening` begins; None if nothing is left."""
        series, repeat = _series_of(opening), opening.repeat
        if repeat in self.completed_repeats.get(series, ()):
            return None
        return self.started.get((series, repeat), opening)


@dataclass(frozen=True, slots=True)
class ResumedRun:
    """The earlier part of a run that is resumed."""

    journal: Journal
    state: ResumeState

    @property
    def records(self) -> Iterator[Record]:
        """The records that count in the resumed run."""
        superseded = self.state.to_repeat | self.state.dropped
        return (record for record in self.journal.kept_records if record.identity.key not in superseded)

    @property
    def completed(self) -> int:
        """The number of planned requests that need not be sent."""
        return sum(self.state.completed.values())

    def elapsed_ns(self, at: datetime) -> int:
        """Return the time since the run's start by the wall clock, in nanoseconds; at least its last timestamp."""
        seconds = (at - datetime.fromisoformat(self.journal.header.started_at).astimezone()).total_seconds()
        return max(round(seconds * 1e9), self.state.last_ns)

    def notes(self, plan: Plan, suite: Suite) -> Iterator[str]:
        """Yield sentences on the number of requests that are left, and on differences from the earlier part."""
        header, done = self.journal.header, f"{counted(self.completed, 'request')} done"
        if plan.requests is not None:
            done = f"{self.completed:,} of {plan.requests:,} requests are done"
        yield f"resuming {header.run_id}: {done}"
        if self.state.to_repeat:
            yield f"sent again, because they failed or were interrupted: {len(self.state.to_repeat):,}"
        if suite.digest != header.digest:
            yield "the suite has changed since; requests that changed are sent again"
        if self.state.dropped:
            yield f"in the journal, no longer in the plan, and so in no table: {len(self.state.dropped):,}"
        yield from _differences(header, plan)


def _differences(header: Header, plan: Plan) -> Iterator[str]:
    targets = tuple(target.name for target in plan.targets)
    if targets != header.targets:
        yield f"targets are {', '.join(targets)}; they were {', '.join(header.targets)}"
    for name, now, before in (
        ("repeat is", plan.repeat, header.repeat),
        ("the order is", plan.order, header.order),
        ("the order's seed is", plan.seed, header.seed),
    ):
        if now != before:
            yield f"{name} {now}; it was {before}"


# The state


def resume_state(plan: Plan, records: Iterable[Record], *, retry_errors: bool = False) -> ResumeState:
    """Return the requests of a plan that a journal's records leave to send; with `retry_errors`, failures are repeated.

    A reply is kept in memory only until all turns of its conversation have been read.
    """
    conversations, builder = _PlannedConversations(plan), _StateBuilder()
    for record in records:
        builder.last_ns = max(builder.last_ns, record.timestamps.last_event or 0)
        if record.warmup:
            continue
        if _must_repeat(record.outcome, retry_errors=retry_errors):
            builder.to_repeat.add(record.identity.key)
        elif (opening := conversations.first_request(record)) is None:
            builder.dropped.add(record.identity.key)
        else:
            builder.add(opening, record)
    return builder.state()


def _must_repeat(outcome: Outcome, *, retry_errors: bool) -> bool:
    # Whether a skipped turn is sent follows from the turn that failed.
    failed = outcome not in FINAL and outcome is not Outcome.SKIPPED
    return outcome is Outcome.CANCELLED or (retry_errors and failed)


def _series_of(opening: Request) -> Series:
    return (opening.vantage.name if opening.vantage else None, opening.target.name, opening.case.id)


class _PlannedConversations:
    """Finds the first request of a recorded turn's conversation in a plan."""

    def __init__(self, plan: Plan) -> None:
        self._targets = {target.name: target for target in plan.targets}
        self._cases = {case.id: case for case in plan.cases}
        self._vantages = {node.name: node for node in plan.vantages}
        self._repeats = plan.levels * rounds_a_level(plan.repeat)

    def first_request(self, record: Record) -> Request | None:
        """Return the first request of the conversation that a record belongs to; None if it is not planned."""
        identity = record.identity
        target, case = self._targets.get(identity.target), self._cases.get(identity.case)
        if target is None or case is None or identity.repeat > self._repeats or identity.turn > case.steps.most:
            return None
        vantage = self._vantages.get(record.node or "")
        if vantage is None and self._vantages:
            return None
        opening = Request(target, case, identity.repeat, identity.block, vantage=vantage)
        return opening if opening.key_at(identity.turn) == identity.key else None


class _Turn(NamedTuple):
    """The part of a recorded turn on which later turns depend."""

    key: str
    outcome: Outcome
    reply: EarlierReply


@dataclass(slots=True)
class _Conversation:
    """A conversation of the plan, with its recorded turns by their number, from 1."""

    opening: Request
    turns: dict[int, _Turn] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether every turn has its row; steps that the model did not need have none."""
        if len(self.turns) < len(self.opening.case.turns):
            return False
        request, failed = self.first_open_turn()
        return request is None or (failed and all(later.turn in self.turns for later in request.later_turns()))

    def first_open_turn(self) -> tuple[Request | None, bool]:
        """Return the first turn that was not answered, None after the last; and whether that turn failed.

        A skipped turn counts as not sent: the failure before it is to be repeated, or has been.
        """
        request: Request | None = self.opening
        while request is not None:
            turn = self.turns.get(request.turn)
            if turn is None or turn.outcome is Outcome.SKIPPED:
                return request, False
            if turn.outcome not in TIMED:
                return request, True
            request = request.next_request(turn.reply)
        return None, False


@dataclass(slots=True)
class _StateBuilder:
    """Builds a resume state from records; complete conversations are counted at once and dropped from memory."""

    to_repeat: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    completed: Counter[str] = field(default_factory=Counter)
    last_ns: int = 0
    missing: list[Record] = field(default_factory=list)
    completed_repeats: dict[Series, set[int]] = field(default_factory=dict)
    started: dict[tuple[Series, int], Request] = field(default_factory=dict)
    unfinished: dict[tuple[Series, int], _Conversation] = field(default_factory=dict)

    def add(self, opening: Request, record: Record) -> None:
        """Add a record of the plan."""
        place = (_series_of(opening), opening.repeat)
        conversation = self.unfinished.setdefault(place, _Conversation(opening))
        turn = _Turn(record.identity.key, record.outcome, earlier_reply(record))
        conversation.turns[record.identity.turn] = turn
        if conversation.is_complete:
            self._count(self.unfinished.pop(place))

    def state(self) -> ResumeState:
        """Count the remaining conversations and return the resume state."""
        for conversation in self.unfinished.values():
            self._count(conversation)
        return ResumeState(
            to_repeat=self.to_repeat,
            dropped=self.dropped,
            completed=self.completed,
            missing=tuple(self.missing),
            completed_repeats=self.completed_repeats,
            started=self.started,
            last_ns=self.last_ns,
        )

    def _count(self, conversation: _Conversation) -> None:
        opening, turns = conversation.opening, conversation.turns
        series, target, repeat = _series_of(opening), opening.target.name, opening.repeat
        request, failed = conversation.first_open_turn()
        if opening.case.idle_s and request is not None and not failed:
            request = opening  # a cache probe starts over: an interruption changes its pauses
        if request is not None and not failed:
            self.started[series, repeat] = request
            self.completed[target] += request.turn - 1
            self.to_repeat |= {turn.key for number, turn in turns.items() if number >= request.turn}
            return
        self.completed_repeats.setdefault(series, set()).add(repeat)
        self.completed[target] += opening.case.steps.most
        if request is not None:
            unwritten = (later for later in request.later_turns() if later.turn not in turns)
            self.missing += [later.skipped(request.turn) for later in unwritten]
