"""Runs under load against scripted servers: lanes that narrow, rates, levels, and runs that are ended early."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from runner.core.events import Failed, Outcome
from runner.core.load import LoadProfile, level_of
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.observer import Observer
from runner.engine.request_template import RequestTemplates
from runner.engine.retry import RetryPolicy
from runner.engine.run import execute, open_exchanges
from runner.planning.plan import Plan, Request, Target
from runner.providers.endpoint import Endpoint
from runner.providers.redaction import Redactor
from runner.providers.row import Row
from runner.storage import journal
from tests.support.scripted_server import Asked, Reply, Tape, play, refuse, stream

pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=2.0)
BUSY = refuse("429 Too Many Requests", {"error": {"message": "slow down"}}, retry_after_ms="30")
OVERLOADED = refuse("503 Service Unavailable", {"error": {"message": "overloaded"}})


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that runs use."""
    return "asyncio", {"use_uvloop": True}


@dataclass(frozen=True)
class Ran:
    """What a run left in its journal."""

    records: list[Record]
    limits: list[dict[str, Any]]
    end: Mapping[str, Any] | None


class Lanes(Observer):
    """Remembers what was told of lanes."""

    def __init__(self) -> None:
        self.opened_as: dict[str, tuple[list[str], int]] = {}
        self.moves: list[tuple[str, int]] = []

    def opened(self, lane: str, targets: Any, limit: int) -> None:
        """Note a lane."""
        self.opened_as[lane] = ([target.name for target in targets], limit)

    def limited(self, lane: str, limit: int, why: str) -> None:  # noqa: ARG002
        """Note a change."""
        self.moves.append((lane, limit))


async def run(
    folder: Path,
    servers: Mapping[str, Tape],
    plan: Plan,
    load: LoadProfile | None = None,
    *,
    limit: int = 4,
    observer: Observer | None = None,
    resume: Callable[[Request], Request | None] | None = None,
    stop: Callable[[], str | None] | None = None,
    **row: Any,
) -> Ran:
    """Ask what a plan says, with short waits; return what the journal then holds."""
    header = journal.Header("run", "suite", "0", 1, "2026-01-01", simulated=False, repeat=plan.repeat, targets=(),
                            cases=(), planned_requests=plan.requests)  # fmt: skip
    provider = Row.model_validate({"keyless": True, **row})
    with journal.JournalWriter(folder) as writer:
        writer.append_header(header)
        async with open_exchanges(
            {name: Endpoint(name, tape.url, None, provider) for name, tape in servers.items()},
            limits=dict.fromkeys(servers, limit),
            connect_s=5,
            journal=writer,
            observer=observer or Observer(),
            redactor=Redactor(),
            salt="salt",
        ) as exchanges:
            for exchange in exchanges.values():
                exchange.retry = QUICK
            with anyio.fail_after(30):
                await execute(plan, exchanges, writer, load=load, resume=resume, stop=stop)
    written = journal.read(folder)
    return Ran(list(written.records), list(written.lines("limit")), written.end)


def plan_of(*targets: str, cases: int = 1, repeat: int | None = 1, turns: int = 1) -> Plan:
    """Ask targets, given as provider/model, so many cases."""
    pairs = [name.split("/", 1) for name in targets]
    asked = tuple(Target(provider, model, Parameters()) for provider, model in pairs)
    return Plan(tuple(Case(f"case-{n}", (f"Question {n}",) * turns) for n in range(cases)), asked, repeat, seed=1)


async def test_a_lane_narrows_when_refused_and_comes_back(tmp_path: Path) -> None:
    """A refused request halves the limit, good replies lift it again to where it was, and each step is on record."""
    watching = Lanes()
    with play(lambda asked: BUSY if asked.number == 0 else stream("Hello", first_s=0.005)) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", cases=24), limit=4, observer=watching)
    steps = [(line["provider"], line["from"], line["to"]) for line in ran.limits]
    assert steps == [("one", 4, 2), ("one", 2, 3), ("one", 3, 4)]
    assert [line["why"] for line in ran.limits] == ["slow down", *["a round of good replies"] * 2]
    stamps = [line["at_ns"] for line in ran.limits]
    assert stamps == sorted(stamps)
    assert stamps[0] > 0
    assert watching.opened_as == {"one": (["one/m"], 4)}
    assert watching.moves == [("one", 2), ("one", 3), ("one", 4)]
    assert all("model" not in line for line in ran.limits)


@pytest.mark.parametrize("refusal", [BUSY, OVERLOADED], ids=["429", "overloaded"])
async def test_everybody_who_was_refused_together_halves_once(tmp_path: Path, refusal: Reply) -> None:
    """Four requests under way that meet the same trouble are one trouble; afterwards only two go at once."""
    everyone, at_once_again = threading.Event(), []

    def answer(asked: Asked) -> Reply:
        if asked.number == 3:
            everyone.set()
        if asked.number < 4:
            return Reply([(everyone, refusal.pieces[0][1])])
        at_once_again.append(tape.under_way)
        return stream("Hello", first_s=0.01)

    with play(answer) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", cases=4), limit=4)
    assert [(line["from"], line["to"]) for line in ran.limits][:1] == [(4, 2)]
    assert max(at_once_again) == 2
    assert [record.outcome for record in ran.records] == [Outcome.OK] * 4


async def test_an_adaptive_lane_grows(tmp_path: Path) -> None:
    """Where it is allowed to, a lane that is full and answered well gets wider than it was."""
    with play(stream("Hello", first_s=0.005)) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", cases=60), LoadProfile(adaptive=True), limit=1)
    assert [(line["from"], line["to"]) for line in ran.limits][:3] == [(1, 2), (2, 3), (3, 4)]
    assert tape.most_under_way > 2


async def test_a_model_with_limits_has_its_own_lane(tmp_path: Path) -> None:
    """It is asked one at a time while the provider's others are asked together, and the two are told apart."""
    watching = Lanes()
    under_way: dict[str, int] = {"big": 0, "small": 0}
    with play(lambda asked: BUSY if asked.json["model"] == "big" and asked.number < 8 else stream("a", "b")) as tape:
        ran = await run(
            tmp_path,
            {"one": tape},
            plan_of("one/big", "one/small", cases=8),
            limit=3,
            observer=watching,
            limits={"big": {"concurrency": 2}},
        )
    assert watching.opened_as == {"one/big": (["one/big"], 2), "one": (["one/small"], 3)}
    for record in ran.records:
        under_way[record.identity.model] = max(under_way[record.identity.model], record.in_flight or 0)
    assert under_way == {"big": 2, "small": 3}
    assert {(line["provider"], line.get("model")) for line in ran.limits} == {("one", "big")}


async def test_a_fast_lane_waits_for_the_slowest(tmp_path: Path) -> None:
    """It begins blocks up to two ahead of where the slow one is, and then no more until that one goes on."""
    held, seen = threading.Event(), list[int]()

    def look_and_go_on() -> None:
        seen.append(len(fast.asked))
        held.set()

    def answer_slowly(asked: Asked) -> Reply:
        if asked.number == 0:
            threading.Timer(0.3, look_and_go_on).start()
        return Reply([(held, stream("Hello").pieces[0][1]), *stream("Hello").pieces[1:]])

    with play(answer_slowly) as slow, play(stream("Hello")) as fast:
        ran = await run(tmp_path, {"slow": slow, "fast": fast}, plan_of("slow/m", "fast/m", repeat=9), limit=1)
    # The slow lane has begun its block 1, and so is at 2.
    assert seen == [4]
    assert len(ran.records) == 18


async def test_an_open_loop_does_not_wait_for_replies(tmp_path: Path) -> None:
    """Requests are sent when they are due though none is answered yet, and each knows when that was."""
    everyone = threading.Event()

    def answer(asked: Asked) -> Reply:
        if asked.number == 9:
            everyone.set()
        return Reply([(everyone, stream("Hello").pieces[0][1]), *stream("Hello").pieces[1:]])

    with play(answer) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", cases=10), LoadProfile(rate=100), limit=50)
    planned = sorted(record.planned_s or 0.0 for record in ran.records)
    assert [round(after - before, 6) for before, after in pairwise(planned)] == [0.01] * 9
    for record in ran.records:
        assert record.queue_s is not None
        assert record.queue_s >= 0
        assert (record.ttft_from_planned_s or 0) > (record.ttft_s or 0) > 0
        assert (record.total_from_planned_s or 0) >= (record.ttft_from_planned_s or 0)


async def test_what_queues_in_an_open_loop_shows_from_the_plan_only(tmp_path: Path) -> None:
    """A lane too narrow for its rate leaves TTFT as it is, and lengthens it as counted from the plan."""
    with play(stream("Hello", first_s=0.05)) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", cases=8), LoadProfile(rate=1000), limit=1)
    last = max(ran.records, key=lambda record: record.planned_s or 0.0)
    assert last.ttft_from_planned_s is not None
    assert last.ttft_s is not None
    assert last.ttft_from_planned_s - last.ttft_s > 6 * 0.05
    assert (last.queue_s or 0) > 6 * 0.05


async def test_later_turns_are_not_planned(tmp_path: Path) -> None:
    """Only a conversation's beginning has a time of its own; what follows comes when the reply is there."""
    with play(stream("Hello")) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", turns=2), LoadProfile(rate=100))
    assert [record.planned_s is None for record in ran.records] == [False, True]
    assert [record.ttft_from_planned_s is None for record in ran.records] == [False, True]


async def test_a_sweep_holds_each_level_in_turn(tmp_path: Path) -> None:
    """At each level everything is asked, so many at a time, and a block tells the level."""
    plan = Plan(plan_of("one/m", cases=6).cases, plan_of("one/m").targets, repeat=2, seed=1, levels=3)
    load = LoadProfile(levels=(1, 4, 2))
    with play(stream("Hello", first_s=0.01)) as tape:
        ran = await run(tmp_path, {"one": tape}, plan, load)
    levels: dict[int, list[int]] = {}
    for record in ran.records:
        levels.setdefault(level_of(record.identity.block, load.levels, 2), []).append(record.in_flight or 0)
    assert {level: (len(at_once), max(at_once)) for level, at_once in levels.items()} == {
        1: (12, 1), 4: (12, 4), 2: (12, 2)}  # fmt: skip
    assert [(line["from"], line["to"]) for line in ran.limits] == [(4, 1), (1, 4), (4, 2)]
    assert ran.end == {"kind": "end"}


async def test_a_run_ends_after_so_many_requests(tmp_path: Path) -> None:
    """Neither more nor fewer are asked, and the journal says why there are no more."""
    with play(stream("Hello")) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", cases=3, repeat=None), LoadProfile(max_requests=20))
    assert len(tape.asked) == len(ran.records) == 20
    assert ran.end == {"kind": "end", "reason": "20 of at most 20 requests are asked"}


async def test_a_run_ends_in_time(tmp_path: Path) -> None:
    """Blocks follow each other until the time is over; what is under way by then ends as any other."""
    with play(stream("Hello", first_s=0.02)) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", repeat=None), LoadProfile(duration_s=0.2))
    assert ran.end == {"kind": "end", "reason": "0.2 s are over, as asked"}
    assert len(ran.records) == len(tape.asked) > 0
    assert {record.outcome for record in ran.records} == {Outcome.OK}


async def test_a_run_is_stopped_by_a_sentence(tmp_path: Path) -> None:
    """Nothing is begun behind it at any level, whole conversations under way are finished, and the end says why."""
    begun = []

    def stop() -> str | None:
        begun.append(1)
        return None if len(begun) <= 5 else "the budget of 1 USD is spent"

    plan = Plan(plan_of("one/m", cases=4, turns=2).cases, plan_of("one/m").targets, repeat=3, levels=2)
    with play(stream("Hello")) as tape:
        ran = await run(tmp_path, {"one": tape}, plan, LoadProfile(levels=(2, 3)), stop=stop)
    assert len(ran.records) == 10
    assert ran.end == {"kind": "end", "reason": "the budget of 1 USD is spent"}
    assert len(ran.limits) == 1


async def test_a_run_goes_on_where_it_was_told(tmp_path: Path) -> None:
    """What is over is not asked, and a conversation is taken up at its first missing turn, replies so far included."""

    def resume(opening: Request) -> Request | None:
        if opening.case.id == "case-0":
            return None
        return opening.follow("earlier") if opening.case.id == "case-1" else opening

    with play(stream("Hello")) as tape:
        ran = await run(tmp_path, {"one": tape}, plan_of("one/m", cases=3, turns=2), resume=resume)
    assert sorted((record.identity.case, record.identity.turn) for record in ran.records) == [
        ("case-1", 2), ("case-2", 1), ("case-2", 2)]  # fmt: skip
    taken_up = next(asked for asked in tape.asked if asked.prompt == "Question 1")
    assert [message["content"] for message in taken_up.json["messages"]] == ["Question 1", "earlier", "Question 1"]


def test_a_form_is_made_once_and_anew_when_refused() -> None:
    """All requests to a target share a body until a part of it is refused."""
    forms, target = (
        RequestTemplates(Row.model_validate({"keyless": True})),
        Target("one", "m", Parameters(max_tokens=9)),
    )
    form = forms.of(target)
    assert forms.of(target) is form
    assert not forms.learn_refusal(target, form.body, Failed(0, Outcome.BAD_REQUEST, "temperature too high"))
    assert forms.of(target) is form
    assert forms.learn_refusal(target, form.body, Failed(0, Outcome.BAD_REQUEST, "stream_options: unknown"))
    assert "stream_options" in form.body
    assert "stream_options" not in forms.of(target).body
    other = Target("one", "m", Parameters(max_tokens=10))
    assert forms.of(other).body["max_tokens"] == 10
