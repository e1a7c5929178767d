"""A run that was cut short goes on: what is missing is asked, nothing twice, and each request has one row."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import TIMED, Outcome
from runner.core.nodes import Node
from runner.core.record import Record, Timestamps, skipped
from runner.core.suite import Case, Parameters
from runner.planning.plan import Plan, Request, Target
from runner.storage import journal
from runner.storage.journal import Header, JournalWriter
from runner.storage.resume import FINAL, ResumeState, resume_state

OUTCOMES = (Outcome.OK, Outcome.OK, Outcome.LENGTH, Outcome.FILTERED, Outcome.PROVIDER_ERROR, Outcome.TIMEOUT)


def plan_of(*turns: int, targets: int = 1, repeat: int | None = 1, levels: int = 1) -> Plan:
    """Return a plan with a case for each number of turns."""
    cases = tuple(Case(f"case-{at}", tuple(f"{at}.{turn}" for turn in range(count))) for at, count in enumerate(turns))
    asked = tuple(Target("p", f"m-{number}", Parameters()) for number in range(targets))
    return Plan(cases, asked, repeat=repeat, seed=3, levels=levels)


def record_of(request: Request, outcome: Outcome = Outcome.OK, reply: str | None = None) -> Record:
    """Return the record of a request that ended so."""
    node = request.vantage.name if request.vantage else None
    return Record(request.identity(), Timestamps(), outcome, reply=reply, node=node)


def requests_of(plan: Plan) -> Iterator[Request]:
    """Yield every request of a plan that is not without end, later turns with replies left open."""
    for opening in plan.opening_requests():
        yield opening
        yield from opening.unasked()


def only(plan: Plan) -> Request:
    """Return the first request of a plan."""
    return next(plan.opening_requests())


def left(plan: Plan, state: ResumeState) -> list[Request]:
    """Return where each conversation that is not over is taken up."""
    starts = map(state.first_missing, plan.opening_requests())
    return [request for request in starts if request is not None]


# What is left of a plan


def test_without_records_everything_is_left() -> None:
    """A run that was killed before its first answer begins at the beginning."""
    plan = plan_of(1, 2, targets=2, repeat=2)
    assert left(plan, resume_state(plan, ())) == list(plan.opening_requests())


def test_what_is_answered_is_not_asked() -> None:
    """Whatever the outcome but an interruption, a request that has its row is done with."""
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.SKIPPED]
    plan = plan_of(*[1] * len(outcomes))
    records = [record_of(*pair) for pair in zip(plan.opening_requests(), outcomes, strict=True)]
    state = resume_state(plan, records)
    (again,) = left(plan, state)
    (cancelled,) = (record for record in records if record.outcome is Outcome.CANCELLED)
    assert state.to_repeat == {again.key} == {cancelled.identity.key}
    assert state.completed == {"p/m-0": len(outcomes) - 1}


def test_a_conversation_goes_on_at_its_first_missing_turn() -> None:
    """What was said so far is said again, as it was recorded."""
    plan = plan_of(3)
    first = only(plan)
    second = first.follow("one")
    assert second is not None
    (start,) = left(plan, resume_state(plan, [record_of(first, reply="one"), record_of(second, reply=None)]))
    assert (start.turn, start.replies) == (3, ("one", ""))
    assert [message.content for message in start.messages("")] == ["0.0", "one", "0.1", "", "0.2"]


def test_each_node_goes_on_for_itself() -> None:
    """What one has recorded spares the others nothing; of a node that is not asked from, nothing counts."""
    north, south = Node("a", "north"), Node("b", "south")
    plan = replace(plan_of(2), vantages=(north, south))
    opening = replace(only(plan), vantage=north)
    gone = record_of(replace(opening, vantage=Node("c", None)))
    state = resume_state(plan, [record_of(opening, reply="one"), gone])
    assert {request.vantage: request.turn for request in left(plan, state)} == {north: 2, south: 1}
    assert (state.dropped, state.completed) == ({gone.identity.key}, {"p/m-0": 1})


def test_where_it_does_not_matter_who_asks_a_row_counts_from_anywhere() -> None:
    """Nodes that only shared the load leave nothing to ask from another."""
    plan = plan_of(1)
    assert left(plan, resume_state(plan, [replace(record_of(only(plan)), node="a")])) == []


@pytest.mark.parametrize("written", [0, 1])
def test_turns_behind_a_failure_get_the_rows_they_lack(written: int) -> None:
    """A run killed between a failed turn and the rows of those behind it does not ask them later."""
    plan = plan_of(3)
    failed = only(plan)
    behind = [skipped(request.identity(), failed.turn) for request in failed.unasked()]
    state = resume_state(plan, [record_of(failed, Outcome.TIMEOUT), *behind[:written]])
    assert left(plan, state) == []
    assert list(state.missing) == behind[written:]
    assert state.completed == {"p/m-0": 3}


def test_failures_are_asked_again_if_that_is_wanted() -> None:
    """With what was skipped because of them, and without what a filter refused."""
    plan = plan_of(3, 1, 1)
    talk, filtered, fine = plan_of(3, 1, 1).cases
    by_case = {request.case.id: request for request in plan.opening_requests()}
    second = by_case[talk.id].follow("one")
    assert second is not None
    (third,) = second.unasked()
    records = [
        record_of(by_case[talk.id], reply="one"),
        record_of(second, Outcome.RATE_LIMITED),
        skipped(third.identity(), 2),
        record_of(by_case[filtered.id], Outcome.FILTERED),
        record_of(by_case[fine.id]),
    ]
    assert left(plan, resume_state(plan, records)) == []
    state = resume_state(plan, records, retry_errors=True)
    assert left(plan, state) == [second]
    assert state.to_repeat == {second.key, third.key}
    assert state.missing == ()


def test_an_edited_turn_is_asked_with_those_behind_it() -> None:
    """What comes before the edit stands; what comes behind was said in another conversation."""
    plan = plan_of(3, 1)
    records = [record_of(request, reply="said") for request in requests_of(plan)]
    talk = replace(plan.cases[0], turns=("0.0", "other", "0.2"))
    edited = replace(plan, cases=(talk, plan.cases[1]))
    state = resume_state(edited, records)
    (start,) = left(edited, state)
    assert (start.prompt, start.replies) == ("other", ("said",))
    assert state.dropped == {record.identity.key for record in records if record.identity.turn > 1}
    assert state.to_repeat == set()


def test_what_is_not_in_the_plan_is_left_out() -> None:
    """A case, a target, a repeat, or parameters of another run count for nothing, and are not forgotten."""
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


def test_warm_ups_are_no_part_of_it() -> None:
    """They are neither planned nor dropped, though each part of a run sends its own."""
    plan = replace(plan_of(1), warmups=2)
    records = [replace(record_of(request), warmup=True) for request in plan.warmup_requests("p")]
    assert resume_state(plan, records) == ResumeState()


@pytest.mark.parametrize(("repeat", "levels"), [(None, 1), (2, 3), (None, 3)])
def test_blocks_may_have_no_end_and_levels_their_own_numbers(repeat: int | None, levels: int) -> None:
    """A record is found in whichever block its plan has it."""
    plan = plan_of(1, repeat=repeat, levels=levels)
    for level in range(levels):
        opening = next(plan.openings_at(level, {"p/m-0"}))
        state = resume_state(plan, [record_of(opening)])
        assert state.first_missing(opening) is None
        assert state.dropped == set()


def test_replies_are_held_only_until_their_conversation_is_whole() -> None:
    """Records come as they are needed: a hundred thousand conversations do not fill the memory."""
    plan = plan_of(2, repeat=300)
    alive: list[int] = []

    class Reply(str):
        """A text that is counted while it lives."""

        __slots__ = ()

        def __new__(cls) -> Self:
            alive.append(1)
            return super().__new__(cls, "said")

        def __del__(self) -> None:
            alive.pop()

    def records() -> Iterator[Record]:
        for request in requests_of(plan):
            assert len(alive) < 10
            yield record_of(request, reply=Reply())

    assert left(plan, resume_state(plan, records())) == []


# Runs killed again and again


@dataclass
class Life:
    """A run in a folder: killed, edited and resumed, with a count of what was asked."""

    folder: Path
    chance: Random

    def live(self, plan: Plan, *, retry_errors: bool, patience: int | None) -> None:
        """Go on with the run, until it is through or as many lines are written; check that nothing is asked twice."""
        is_new = not (self.folder / journal.FILE_NAME).exists()
        past = () if is_new else journal.read(self.folder).kept_records
        state = resume_state(plan, past, retry_errors=retry_errors)
        lines = self._lines(plan, state)
        with JournalWriter(self.folder) as writer:
            if is_new:
                writer.append_header(Header("r", "s", "d", 1, "2026", False, 1, (), (), len(plan)))
            writer.append_resume({}, state.to_repeat, state.dropped)
            standing = {record.identity.key: record for record in journal.read(self.folder).records}
            for record in lines:
                if patience == 0:
                    return
                assert record.identity.key not in standing
                standing[record.identity.key] = record
                writer.append_record(record)
                patience = None if patience is None else patience - 1
            writer.append({"kind": "end"})

    def _lines(self, plan: Plan, state: ResumeState) -> Iterator[Record]:
        """Do as the engine does, one conversation after the other."""
        yield from state.missing
        for opening in plan.opening_requests():
            request = state.first_missing(opening)
            while request is not None:
                assert request.replies == self._heard_before(request)
                record = record_of(request, self.chance.choice(OUTCOMES), reply=f"reply {self.chance.random()}")
                if self.chance.random() < 0.1:
                    yield replace(record, outcome=Outcome.CANCELLED)
                    return
                yield record
                if record.outcome not in TIMED:
                    yield from (later.skipped(request.turn) for later in request.unasked())
                    break
                request = request.follow(record.reply or "")

    def _heard_before(self, request: Request) -> tuple[str, ...]:
        """Return what the journal holds of the turns before a request."""
        before = [request]
        while before[0].turn > 1:
            before.insert(0, replace(before[0], replies=before[0].replies[:-1]))
        records = {record.identity.key: record for record in journal.read(self.folder).records}
        return tuple(records[earlier.key].reply or "" for earlier in before[:-1])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan of a few short conversations; drawn anew, it is as if somebody had edited the suite."""
    turns = draw(st.lists(st.lists(st.sampled_from("xyz"), min_size=1, max_size=3), min_size=1, max_size=2))
    cases = tuple(Case(f"case-{at}", tuple(texts)) for at, texts in enumerate(turns))
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
def test_however_often_a_run_is_cut_short_it_comes_to_its_end(
    lives: list[tuple[Plan, bool, int]], last: Plan, retry_errors: bool, seed: int
) -> None:
    """Killed, edited, resumed: in the end each planned request has one row, and no row stood when it was asked."""
    with TemporaryDirectory() as name:
        life = Life(Path(name), Random(seed))
        for plan, retry, patience in lives:
            life.live(plan, retry_errors=retry, patience=patience)
        life.live(last, retry_errors=retry_errors, patience=None)
        while any(record.outcome is Outcome.CANCELLED for record in journal.read(life.folder).records):
            life.live(last, retry_errors=False, patience=None)
        counted = Counter(record.identity.key for record in journal.read(life.folder).records)
        assert counted == Counter(request.key for request in requests_of(last))
        assert journal.read(life.folder).ended


@given(plans(), st.integers(0, 1000))
def test_failures_can_be_repeated_until_none_is_left(plan: Plan, seed: int) -> None:
    """With --retry-errors, every request is answered some day, unless a filter forbids it."""
    with TemporaryDirectory() as name:
        life = Life(Path(name), Random(seed))
        for _ in range(200):
            life.live(plan, retry_errors=True, patience=None)
            records = list(journal.read(life.folder).records)
            if all(record.outcome in FINAL | {Outcome.SKIPPED} for record in records):
                break
        else:
            pytest.fail("it never came to an end")
        assert Counter(record.identity.key for record in records) == Counter(r.key for r in requests_of(plan))
