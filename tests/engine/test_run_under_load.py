"""Runs under load against scripted servers: adaptive limits, open loops, sweeps, and runs that end early."""

import threading
import time
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from runner.core.conversation_state import EarlierReply
from runner.core.events import Outcome
from runner.core.load_profile import LoadProfile, level_of
from runner.engine.run_observers import Observer
from runner.planning.plan import Plan
from runner.planning.request import Request
from runner.storage import journal
from tests.support.run_on_scripted_servers import plan_of, run
from tests.support.scripted_server import (
    PATIENCE_S,
    ReceivedRequest,
    ScriptedReply,
    json_reply,
    serve,
    streamed_reply,
)

pytestmark = pytest.mark.anyio

BUSY = json_reply("429 Too Many Requests", {"error": {"message": "slow down"}}, retry_after_ms="30")
OVERLOADED = json_reply("503 Service Unavailable", {"error": {"message": "overloaded"}})


class LaneObserver(Observer):
    """An observer that keeps the calls about lanes."""

    def __init__(self) -> None:
        self.opened: dict[str, tuple[list[str], int]] = {}
        self.changes: list[tuple[str, int]] = []

    def lane_opened(self, lane: str, targets: Any, limit: int) -> None:
        """Store a lane's targets and limit."""
        self.opened[lane] = ([target.name for target in targets], limit)

    def limit_changed(self, lane: str, limit: int, why: str) -> None:  # noqa: ARG002
        """Store a change of a limit."""
        self.changes.append((lane, limit))


async def test_limit_halves_after_a_refusal_and_recovers(tmp_path: Path) -> None:
    """Rounds of successes raise it to its ceiling again, and each change is in the journal."""
    watching = LaneObserver()

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        """Refuse the first request, while those beside it wait: what is sent before the refusal does not count."""
        return BUSY if asked.number == 0 else streamed_reply("Hello", first_s=0.3 if asked.number < 4 else 0.005)

    with serve(answer) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", cases=24), limit=4, observer=watching)
    steps = [(line["provider"], line["from"], line["to"]) for line in ran.limits]
    assert steps == [("one", 4, 2), ("one", 2, 3), ("one", 3, 4)]
    assert [line["why"] for line in ran.limits] == ["slow down", *["a round of good replies"] * 2]
    timestamps = [line["at_ns"] for line in ran.limits]
    assert timestamps == sorted(timestamps)
    assert timestamps[0] > 0
    assert watching.opened == {"one": (["one/m"], 4)}
    assert watching.changes == [("one", 2), ("one", 3), ("one", 4)]
    assert all("model" not in line for line in ran.limits)


@pytest.mark.parametrize("refusal", [BUSY, OVERLOADED], ids=["429", "overloaded"])
async def test_requests_refused_together_halve_the_limit_once(tmp_path: Path, refusal: ScriptedReply) -> None:
    """Four requests in flight that are refused count as one refusal; afterwards two are in flight at most."""
    everyone, two_again, at_once_again = threading.Event(), threading.Event(), []

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        if asked.number == 3:
            everyone.set()
        if asked.number < 4:
            return ScriptedReply([(everyone, refusal.pieces[0][1])])
        at_once_again.append(server.in_flight)
        if asked.number == 5:
            two_again.set()
        reply = streamed_reply("Hello", first_s=0.01)
        return ScriptedReply([(two_again, b""), *reply.pieces])

    with serve(answer) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", cases=4), limit=4)
    assert [(line["from"], line["to"]) for line in ran.limits][:1] == [(4, 2)]
    assert max(at_once_again) == 2
    assert [record.outcome for record in ran.records] == [Outcome.OK] * 4


async def test_adaptive_limit_grows(tmp_path: Path) -> None:
    """A full lane whose replies succeed passes its ceiling if the load profile is adaptive."""
    with serve(streamed_reply("Hello", first_s=0.005)) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", cases=60), LoadProfile(adaptive=True), limit=1)
    assert [(line["from"], line["to"]) for line in ran.limits][:3] == [(1, 2), (2, 3), (3, 4)]
    assert server.most_in_flight > 2


async def test_model_with_limits_has_its_own_lane(tmp_path: Path) -> None:
    """Its concurrency and its refusals do not affect the lane of the provider's other models."""
    watching = LaneObserver()
    under_way: dict[str, int] = {"big": 0, "small": 0}
    asked_of = {"big": count(), "small": count()}
    all_there = {"big": threading.Barrier(2), "small": threading.Barrier(3)}

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        """Answer the first requests to a model once as many are there as may be; refuse the first four to one."""
        model = asked.json["model"]
        number = next(asked_of[model])
        if number < all_there[model].parties:
            all_there[model].wait(PATIENCE_S)
        return BUSY if model == "big" and number < 4 else streamed_reply("a")

    with serve(answer) as server:
        ran = await run(
            tmp_path,
            {"one": server},
            plan_of("one/big", "one/small", cases=8),
            limit=3,
            observer=watching,
            limits={"big": {"concurrency": 2}},
        )
    assert watching.opened == {"one/big": (["one/big"], 2), "one": (["one/small"], 3)}
    for record in ran.records:
        under_way[record.identity.model] = max(under_way[record.identity.model], record.in_flight or 0)
    assert under_way == {"big": 2, "small": 3}
    assert {(line["provider"], line.get("model")) for line in ran.limits} == {("one", "big")}


async def test_fast_lane_waits_for_the_slowest(tmp_path: Path) -> None:
    """With a lead of two it starts rounds up to two ahead of the slowest lane, and no more until that lane advances."""
    held, seen = threading.Event(), list[int]()

    def look_and_go_on() -> None:
        fast.wait_for_requests(4)
        time.sleep(0.1)  # more requests would arrive in this time
        seen.append(len(fast.requests))
        held.set()

    def answer_slowly(asked: ReceivedRequest) -> ScriptedReply:
        if asked.number == 0:
            threading.Thread(target=look_and_go_on, daemon=True).start()
        return ScriptedReply([(held, streamed_reply("Hello").pieces[0][1]), *streamed_reply("Hello").pieces[1:]])

    with serve(answer_slowly) as slow, serve(streamed_reply("Hello")) as fast:
        plan = plan_of("slow/m", "fast/m", repeat=9)
        ran = await run(tmp_path, {"slow": slow, "fast": fast}, plan, LoadProfile(lead=2), limit=1)
    # The slow lane has started its block 1, so its next one is 2.
    assert seen == [4]
    assert len(ran.records) == 18


async def test_open_loop_does_not_wait_for_replies(tmp_path: Path) -> None:
    """Requests are sent when they are due, before any is answered, and each record has its planned time."""
    everyone = threading.Event()

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        if asked.number == 9:
            everyone.set()
        return ScriptedReply([(everyone, streamed_reply("Hello").pieces[0][1]), *streamed_reply("Hello").pieces[1:]])

    with serve(answer) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", cases=10), LoadProfile(rate=100), limit=50)
    planned = sorted(record.planned_s or 0.0 for record in ran.records)
    assert [round(after - before, 6) for before, after in pairwise(planned)] == [0.01] * 9
    for record in ran.records:
        assert record.queue_s is not None
        assert record.queue_s >= 0
        assert (record.ttft_from_planned_s or 0) > (record.ttft_s or 0) > 0
        assert (record.total_from_planned_s or 0) >= (record.ttft_from_planned_s or 0)


async def test_queueing_in_an_open_loop_shows_in_times_from_planned_only(tmp_path: Path) -> None:
    """A lane too narrow for its rate does not change TTFT, and lengthens TTFT from the planned time."""
    with serve(streamed_reply("Hello", first_s=0.05)) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", cases=8), LoadProfile(rate=1000), limit=1)
    last = max(ran.records, key=lambda record: record.planned_s or 0.0)
    assert last.ttft_from_planned_s is not None
    assert last.ttft_s is not None
    assert last.ttft_from_planned_s - last.ttft_s > 6 * 0.05
    assert (last.queue_s or 0) > 6 * 0.05


async def test_later_turns_have_no_planned_time(tmp_path: Path) -> None:
    """Only a conversation's first request is scheduled; each later one is sent when the reply before it has ended."""
    with serve(streamed_reply("Hello")) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", turns=2), LoadProfile(rate=100))
    assert [record.planned_s is None for record in ran.records] == [False, True]
    assert [record.ttft_from_planned_s is None for record in ran.records] == [False, True]


async def test_sweep_runs_one_level_after_the_other(tmp_path: Path) -> None:
    """Each level runs the whole plan at its concurrency, and a record's block tells its level."""
    plan = Plan(plan_of("one/m", cases=6).cases, plan_of("one/m").targets, repeat=2, seed=1, levels=3)
    load = LoadProfile(levels=(1, 4, 2))
    with serve(streamed_reply("Hello", first_s=0.01)) as server:
        ran = await run(tmp_path, {"one": server}, plan, load)
    levels: dict[int, list[int]] = {}
    for record in ran.records:
        levels.setdefault(level_of(record.identity.block, load.levels, 2), []).append(record.in_flight or 0)
    assert {level: (len(at_once), max(at_once)) for level, at_once in levels.items()} == {
        1: (12, 1), 4: (12, 4), 2: (12, 2)}  # fmt: skip
    assert [(line["from"], line["to"]) for line in ran.limits] == [(4, 1), (1, 4), (4, 2)]
    assert ran.end == {"kind": "end"}


async def test_run_ends_after_max_requests(tmp_path: Path) -> None:
    """Exactly that many are sent, and the journal has the reason."""
    with serve(streamed_reply("Hello")) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", cases=3, repeat=None), LoadProfile(max_requests=20))
    assert len(server.requests) == len(ran.records) == 20
    assert ran.end == {"kind": "end", "reason": "stopped after 20 requests (--requests 20)"}


@pytest.mark.parametrize(("repeat", "levels"), [(None, 1), (9, 0)])
async def test_a_level_is_in_the_journal_if_the_run_has_a_steady_state(
    tmp_path: Path, repeat: int | None, levels: int
) -> None:
    """Beside a number of rounds, a number of requests is only a cap."""
    with serve(streamed_reply("Hello")) as server:
        await run(tmp_path, {"one": server}, plan_of("one/m", repeat=repeat), LoadProfile(max_requests=5))
    assert len([*journal.read(tmp_path).lines("level")]) == levels


async def test_the_limit_of_a_sweep_is_that_of_each_level(tmp_path: Path) -> None:
    """The reason says so, since the run has more requests in total."""
    with serve(streamed_reply("Hello")) as server:
        load = LoadProfile(levels=(1, 2), max_requests=5)
        plan = replace(plan_of("one/m", cases=3, repeat=None), levels=2)
        ran = await run(tmp_path, {"one": server}, plan, load)
    assert len(ran.records) == 10
    assert ran.end == {"kind": "end", "reason": "stopped after 5 requests at each level (--requests 5)"}


async def test_run_ends_after_its_duration(tmp_path: Path) -> None:
    """Blocks follow each other until the duration has passed; requests in flight by then end as usual."""
    with serve(streamed_reply("Hello", first_s=0.02)) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", repeat=None), LoadProfile(duration_s=0.5))
    assert ran.end == {"kind": "end", "reason": "stopped after 0.5 s (--duration)"}
    assert len(ran.records) == len(server.requests) > 0
    assert {record.outcome for record in ran.records} == {Outcome.OK}


async def test_stop_check_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    """No conversation starts after it at any level, running ones are finished, and the journal has the reason."""
    begun = []

    def stop() -> str | None:
        begun.append(1)
        return None if len(begun) <= 5 else "the budget of 1 USD is spent"

    plan = Plan(plan_of("one/m", cases=4, turns=2).cases, plan_of("one/m").targets, repeat=3, levels=2)
    with serve(streamed_reply("Hello")) as server:
        ran = await run(tmp_path, {"one": server}, plan, LoadProfile(levels=(2, 3)), stop=stop)
    assert len(ran.records) == 10
    assert ran.end == {"kind": "end", "reason": "the budget of 1 USD is spent"}
    assert len(ran.limits) == 1


async def test_run_sends_only_missing_requests(tmp_path: Path) -> None:
    """Completed conversations are skipped; others continue at their first missing turn, with the replies so far."""

    def first_missing(opening: Request) -> Request | None:
        if opening.case.id == "case-0":
            return None
        return opening.next_request(EarlierReply("earlier")) if opening.case.id == "case-1" else opening

    with serve(streamed_reply("Hello")) as server:
        ran = await run(tmp_path, {"one": server}, plan_of("one/m", cases=3, turns=2), first_missing=first_missing)
    assert sorted((record.identity.case, record.identity.turn) for record in ran.records) == [
        ("case-1", 2), ("case-2", 1), ("case-2", 2)]  # fmt: skip
    continued = next(asked for asked in server.requests if asked.prompt == "Question 1")
    assert [message["content"] for message in continued.json["messages"]] == ["Question 1", "earlier", "Question 1"]
