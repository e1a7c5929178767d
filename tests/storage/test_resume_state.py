"""Resuming a run: missing requests are sent, none twice, and each request has one row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.cluster_node import Node
from runner.core.conversation_state import EarlierReply, earlier_reply
from runner.core.events import TIMED, Outcome
from runner.core.record import Record, skipped
from runner.core.record_fields import Timestamps
from runner.core.suite import Case, Parameters
from runner.core.tool_call import ToolCall
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.storage import journal
from runner.storage.journal import Header, JournalWriter
from runner.storage.resume_state import FINAL, ResumeState, resume_state
from tests.support.plans import first_requests

CALLS = ((), (ToolCall("f", "{}", "a"),), (ToolCall("f", "{}"), ToolCall("g", "{}")))
OUTCOMES = (Outcome.OK, Outcome.OK, Outcome.LENGTH, Outcome.FILTERED, Outcome.PROVIDER_ERROR, Outcome.TIMEOUT)


def plan_of(*turns: int, targets: int = 1, repeat: int | None = 1, levels: int = 1) -> Plan:
    """Return a plan with a case for each number of turns."""
    cases = tuple(Case(f"case-{at}", tuple(f"{at}.{turn}" for turn in range(count))) for at, count in enumerate(turns))
    asked = tuple(Target("p", f"m-{number}", Parameters()) for number in range(targets))
    return Plan(cases, asked, repeat=repeat, seed=3, levels=levels)


def record_of(
    request: Request, outcome: Outcome = Outcome.OK, reply: str | None = None, calls: tuple[ToolCall, ...] = ()
) -> Record:
    """Return the record of a request with this outcome."""
    node = request.vantage.name if request.vantage else None
    return Record(request.identity(), Timestamps(), outcome, reply=reply, node=node, calls=calls)


def requests_of(plan: Plan) -> Iterator[Request]:
    """Yield every request of a finite plan, the replies in later turns left empty."""
    for opening in first_requests(plan):
        yield opening
        yield from opening.later_turns()


def first_request(plan: Plan) -> Request:
    """Return the first request of a plan."""
    return next(first_requests(plan))


def first_missing_requests(plan: Plan, state: ResumeState) -> list[Request]:
    """Return the first missing request of each conversation that is not complete."""
    starts = map(state.first_missing, first_requests(plan))
    return [request for request in starts if request is not None]


# The state


def test_without_records_everything_is_missing() -> None:
    """A run that was killed before its first record starts at the beginning."""
    plan = plan_of(1, 2, targets=2, repeat=2)
    assert first_missing_requests(plan, resume_state(plan, ())) == list(first_requests(plan))


def test_recorded_requests_are_not_sent_again() -> None:
    """A request with a record is complete, whatever its outcome except cancelled."""
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.SKIPPED]
    plan = plan_of(*[1] * len(outcomes))
    records = [record_of(*pair) for pair in zip(first_requests(plan), outcomes, strict=True)]
    state = resume_state(plan, records)
    (again,) = first_missing_requests(plan, state)
    (cancelled,) = (record for record in records if record.outcome is Outcome.CANCELLED)
    assert state.to_repeat == {again.key} == {cancelled.identity.key}
    assert state.completed == {"p/m-0": len(outcomes) - 1}


def test_a_conversation_resumes_at_its_first_missing_turn() -> None:
    """The recorded replies are sent as history."""
    plan = plan_of(3)
    first = first_request(plan)
    second = first.next_request(EarlierReply("one"))
    assert second is not None
    (start,) = first_missing_requests(
        plan, resume_state(plan, [record_of(first, reply="one"), record_of(second, reply=None)])
    )
    assert (start.turn, start.replies) == (3, (EarlierReply("one"), EarlierReply("")))
    assert [message.content for message in start.messages("")] == ["0.0", "one", "0.1", "", "0.2"]


def test_each_vantage_resumes_for_itself() -> None:
    """The records of one node complete nothing for another; those of an unknown node do not count."""
    north, south = Node("a", "north"), Node("b", "south")
    plan = replace(plan_of(2), vantages=(north, south))
    opening = replace(first_request(plan), vantage=north)
    gone = record_of(replace(opening, vantage=Node("c", None)))
    state = resume_state(plan, [record_of(opening, reply="one"), gone])
    assert {request.vantage: request.turn for request in first_missing_requests(plan, state)} == {north: 2, south: 1}
    assert (state.dropped, state.completed) == ({gone.identity.key}, {"p/m-0": 1})


def test_without_vantages_a_record_counts_from_any_node() -> None:
    """If nodes only shared the load, a record from any of them completes a request."""
    plan = plan_of(1)
    assert first_missing_requests(plan, resume_state(plan, [replace(record_of(first_request(plan)), node="a")])) == []


@pytest.mark.parametrize("written", [0, 1])
def test_turns_after_a_failure_get_their_missing_skipped_rows(written: int) -> None:
    """A run killed between a failed turn and the rows of later turns does not send these turns."""
    plan = plan_of(3)
    failed = first_request(plan)
    behind = [skipped(request.identity(), failed.turn) for request in failed.later_turns()]
    state = resume_state(plan, [record_of(failed, Outcome.TIMEOUT), *behind[:written]])
    assert first_missing_requests(plan, state) == []
    assert list(state.missing) == behind[written:]
    assert state.completed == {"p/m-0": 3}


def test_retry_errors_repeats_failures() -> None:
    """The turns skipped because of a failure are repeated too; replies that a filter refused are not."""
    plan = plan_of(3, 1, 1)
    talk, filtered, fine = plan_of(3, 1, 1).cases
    by_case = {request.case.id: request for request in first_requests(plan)}
    second = by_case[talk.id].next_request(EarlierReply("one"))
    assert second is not None
    (third,) = second.later_turns()
    records = [
        record_of(by_case[talk.id], reply="one"),
        record_of(second, Outcome.RATE_LIMITED),
        skipped(third.identity(), 2),
        record_of(by_case[filtered.id], Outcome.FILTERED),
        record_of(by_case[fine.id]),
    ]
    assert first_missing_requests(plan, resume_state(plan, records)) == []
    state = resume_state(plan, records, retry_errors=True)
    assert first_missing_requests(plan, state) == [second]
    assert state.to_repeat == {second.key, third.key}
    assert state.missing == ()


def test_an_edited_turn_is_sent_with_all_later_turns() -> None:
    """The turns before the edit stay complete; later turns belonged to another conversation."""
    plan = plan_of(3, 1)
    records = [record_of(request, reply="said") for request in requests_of(plan)]
    talk = replace(plan.cases[0], turns=("0.0", "other", "0.2"))
    edited = replace(plan, cases=(talk, plan.cases[1]))
    state = resume_state(edited, records)
    (start,) = first_missing_requests(edited, state)
    assert (start.prompt, start.replies) == ("other", (EarlierReply("said"),))
    assert state.dropped == {record.identity.key for record in records if record.identity.turn > 1}
    assert state.to_repeat == set()


def test_records_that_are_not_in_the_plan_are_dropped() -> None:
    """Records of other cases, targets, repeats or parameters do not count, and are listed."""
    plan = plan_of(1, 2, targets=2, repeat=2)
    records = [record_of(request) for request in requests_of(plan)]
    other = replace(plan.targets[0], parameters=Parameters(temperature=0.5))
    for smaller in (
        replace(plan, cases=plan.cases[:1]),
        replace(plan, targets=plan.targets[1:]),
        replace(plan, repeat=1),
        replace(plan, targets=(other, plan.targets[1])),
    ):
        state = resume_state(smaller, records)
        planned = {request.key for request in requests_of(smaller)}
        assert state.dropped == {record.identity.key for record in records} - planned
        assert sum(state.completed.values()) == len(records) - len(state.dropped)


def test_warmups_are_neither_completed_nor_dropped() -> None:
    """Each part of a run sends its own warm-ups."""
    plan = replace(plan_of(1), warmups=2)
    records = [replace(record_of(request), warmup=True) for request in plan.warmup_requests("p")]
    assert resume_state(plan, records) == ResumeState()


@pytest.mark.parametrize(("repeat", "levels"), [(None, 1), (2, 3), (None, 3)])
def test_records_are_found_in_open_ended_rounds_and_at_every_level(repeat: int | None, levels: int) -> None:
    """A record is found in any round of its plan."""
    plan = plan_of(1, repeat=repeat, levels=levels)
    for level in range(levels):
        opening = next(plan.openings_at(level, {"p/m-0"}))
        state = resume_state(plan, [record_of(opening)])
        assert state.first_missing(opening) is None
        assert state.dropped == set()


def test_replies_are_in_memory_only_until_their_conversation_is_complete() -> None:
    """Records are read lazily: a hundred thousand conversations do not fill the memory."""
    plan = plan_of(2, repeat=300)
    alive: list[int] = []

    class CountedText(str):
        """A text whose instances in memory are counted."""

        __slots__ = ()

        def __new__(cls) -> Self:
            alive.append(1)
            return super().__new__(cls, "said")

        def __del__(self) -> None:
            alive.pop()

    def records() -> Iterator[Record]:
        for request in requests_of(plan):
            assert len(alive) < 10
            yield record_of(request, reply=CountedText())

    assert first_missing_requests(plan, resume_state(plan, records())) == []


# Runs that are killed repeatedly


@dataclass
class KilledRun:
    """A run in a folder that is killed, edited and resumed, and sends no request twice."""

    folder: Path
    chance: Random

    def continue_(self, plan: Plan, *, retry_errors: bool, lines_left: int | None) -> None:
        """Resume the run until it ends or this many lines are written; check that no request is sent twice."""
        is_new = not (self.folder / journal.JOURNAL_FILE).exists()
        records = () if is_new else journal.read(self.folder).kept_records
        state = resume_state(plan, records, retry_errors=retry_errors)
        lines = self._lines(plan, state)
        with JournalWriter(self.folder) as writer:
            if is_new:
                writer.append_header(Header("r", "s", "d", 1, "2026-01-01", False, 1, (), (), len(plan)))
            writer.append_resume({}, state.to_repeat, state.dropped)
            standing = {record.identity.key: record for record in journal.read(self.folder).records}
            for record in lines:
                if lines_left == 0:
                    return
                assert record.identity.key not in standing
                standing[record.identity.key] = record
                writer.append_record(record)
                lines_left = None if lines_left is None else lines_left - 1
            writer.append({"kind": "end"})

    def _lines(self, plan: Plan, state: ResumeState) -> Iterator[Record]:
        """Yield the rows that the engine would write, one conversation after the other."""
        yield from state.missing
        for opening in first_requests(plan):
            request = state.first_missing(opening)
            while request is not None:
                assert request.replies == self._replies_before(request)
                outcome, calls = self.chance.choice(OUTCOMES), self.chance.choice(CALLS)
                record = record_of(request, outcome, f"reply {self.chance.random()}", calls)
                if self.chance.random() < 0.1:
                    yield replace(record, outcome=Outcome.CANCELLED)
                    return
                yield record
                if record.outcome not in TIMED:
                    yield from (later.skipped(request.turn) for later in request.later_turns())
                    break
                request = request.next_request(earlier_reply(record))

    def _replies_before(self, request: Request) -> tuple[EarlierReply, ...]:
        """Return the replies in the journal to the turns before a request."""
        before = [request]
        while before[0].turn > 1:
            before.insert(0, replace(before[0], replies=before[0].replies[:-1]))
        records = {record.identity.key: record for record in journal.read(self.folder).records}
        return tuple(earlier_reply(records[earlier.key]) for earlier in before[:-1])


def rows_due(plan: Plan, records: Iterable[Record]) -> Iterator[str]:
    """Yield the keys of the rows that a finished run of a plan has, given what was replied in it."""
    by_key = {record.identity.key: record for record in records}
    for opening in first_requests(plan):
        request: Request | None = opening
        while request is not None:
            yield request.key
            record = by_key[request.key]
            if record.outcome not in TIMED:
                yield from (later.key for later in request.later_turns())
                break
            request = request.next_request(earlier_reply(record))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan of a few short conversations; another draw is like an edited suite."""
    turns = draw(st.lists(st.lists(st.sampled_from("xyz"), min_size=1, max_size=3), min_size=1, max_size=2))
    results: tuple[dict[str, str], ...] = ({}, {"f": "18"}, {"f": "18", "g": "19"})
    cases = tuple(
        Case(f"case-{at}", tuple(texts), tool_results=draw(st.sampled_from(results)), max_steps=draw(st.integers(1, 3)))
        for at, texts in enumerate(turns)
    )
    models = draw(st.lists(st.sampled_from("mn"), min_size=1, max_size=2, unique=True))
    targets = tuple(Target("p", model, Parameters()) for model in models)
    nodes = tuple(Node(name, None) for name in draw(st.lists(st.sampled_from("ab"), max_size=2, unique=True)))
    return Plan(cases, targets, repeat=draw(st.integers(1, 2)), seed=draw(st.integers(0, 3)), vantages=nodes)


@given(
    st.lists(st.tuples(plans(), st.booleans(), st.integers(0, 8)), max_size=5),
    plans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_a_run_killed_and_edited_repeatedly_ends_complete(
    parts: list[tuple[Plan, bool, int]], last: Plan, retry_errors: bool, seed: int
) -> None:
    """In the end each planned request has one row, and no request with a row was sent."""
    with TemporaryDirectory() as name:
        run = KilledRun(Path(name), Random(seed))
        for plan, retry, lines_left in parts:
            run.continue_(plan, retry_errors=retry, lines_left=lines_left)
        run.continue_(last, retry_errors=retry_errors, lines_left=None)
        while any(record.outcome is Outcome.CANCELLED for record in journal.read(run.folder).records):
            run.continue_(last, retry_errors=False, lines_left=None)
        counted = Counter(record.identity.key for record in journal.read(run.folder).records)
        assert counted == Counter(rows_due(last, journal.read(run.folder).records))
        assert journal.read(run.folder).end is not None


@given(plans(), st.integers(0, 1000))
def test_failures_can_be_repeated_until_none_is_left(plan: Plan, seed: int) -> None:
    """With --retry-errors, every request is answered in the end, unless a filter refuses it."""
    with TemporaryDirectory() as name:
        run = KilledRun(Path(name), Random(seed))
        for _ in range(200):
            run.continue_(plan, retry_errors=True, lines_left=None)
            records = list(journal.read(run.folder).records)
            if all(record.outcome in FINAL | {Outcome.SKIPPED} for record in records):
                break
        else:
            pytest.fail("it never came to an end")
        assert Counter(record.identity.key for record in records) == Counter(rows_due(plan, records))
