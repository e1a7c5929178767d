"""Warm-up requests free their slots for measured requests one by one, and are excluded from all statistics."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.analysis.run_results import Run
from runner.analysis.steady_state import read_level_entries
from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.planning.plan import Plan
from runner.storage import journal
from tests.support.run_on_scripted_servers import plan_of, run
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, serve, streamed_reply

pytestmark = pytest.mark.anyio


def warmed(warmups: int, *targets: str, **plan: Any) -> Plan:
    """Return a plan with warm-up requests."""
    return replace(plan_of(*(targets or ("one/m",)), **plan), warmups=warmups)


def split_warmups(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Return the warm-up requests and the others."""
    return [each for each in records if each.warmup], [each for each in records if not each.warmup]


def at(record: Record, name: str) -> int:
    """Return this timestamp of a record."""
    value = getattr(record.timestamps, name)
    assert isinstance(value, int)
    return value


def reply_after(until: threading.Event) -> ScriptedReply:
    """Return a reply whose text comes when an event is set."""
    head, (_, text), end = streamed_reply("Hello").pieces
    return ScriptedReply([head, (until, text), end])


async def test_measured_requests_start_while_the_last_warmup_is_in_flight(tmp_path: Path) -> None:
    """The last of three, at two in flight, ends only when two measured requests have used the other slot."""
    measured = threading.Event()

    def script(asked: ReceivedRequest) -> ScriptedReply:
        if asked.number == 4:
            measured.set()
        return reply_after(measured) if asked.number == 2 else streamed_reply("Hello")

    with serve(script) as server:
        ran = await run(tmp_path, {"one": server}, warmed(3, cases=6), limit=2)
    warmups, others = split_warmups(ran.records)
    assert (len(warmups), len(others)) == (3, 6)
    assert all(each.outcome == "ok" for each in ran.records)
    assert min(at(each, "sent") for each in others) < max(at(each, "last_event") for each in warmups)
    assert max(each.in_flight or 0 for each in ran.records) == 2


async def test_no_target_is_measured_before_it_has_ended_a_warmup(tmp_path: Path) -> None:
    """This holds in every lane, even if slots are free: a server that starts on demand is running by then."""
    plan = warmed(1, "one/m", "one/n", "other/o", cases=3)
    with serve(streamed_reply("Hello", first_s=0.05)) as one, serve(streamed_reply("Hello")) as other:
        ran = await run(tmp_path, {"one": one, "other": other}, plan, limit=4)
    warmups, others = split_warmups(ran.records)
    assert len(warmups) == 3
    assert min(at(each, "sent") for each in others) >= max(at(each, "last_event") for each in warmups)


async def test_a_failed_warmup_does_not_delay_the_run(tmp_path: Path) -> None:
    """It is excluded from all statistics, too."""
    broken = ScriptedReply((), ending="close")
    with serve(lambda asked: broken if asked.number < 3 else streamed_reply("Hello")) as server:
        ran = await run(tmp_path, {"one": server}, warmed(1, cases=3), LoadProfile(max_requests=3), limit=1)
    warmups, others = split_warmups(ran.records)
    assert ([each.outcome for each in warmups], len(others)) == (["connection"], 3)
    (summary,) = Run.of_journal(journal.read(tmp_path)).summary
    assert (summary.n, summary.failed, summary.warmups) == (3, 0, 1)


async def test_the_duration_of_a_level_starts_after_the_warmup(tmp_path: Path) -> None:
    """A warm-up that is longer than `--duration` does not shorten the measured time."""
    with serve(lambda asked: streamed_reply("Hello", first_s=0.4 if asked.number == 0 else 0.0)) as server:
        ran = await run(tmp_path, {"one": server}, warmed(1, repeat=None), LoadProfile(duration_s=0.2), limit=1)
    (warmup,), others = split_warmups(ran.records)
    assert len(others) > 1
    assert at(others[-1], "sent") - at(warmup, "last_event") < 2e9
    assert all(at(each, "ready") >= at(warmup, "last_event") for each in others)


async def test_an_open_loop_warms_up_at_most_as_many_as_it_begins_in_a_second(tmp_path: Path) -> None:
    """At most the requests of one second are in flight, although the lane would take a thousand."""
    with serve(streamed_reply("Hello", first_s=0.01)) as server:
        ran = await run(tmp_path, {"one": server}, warmed(6, cases=2), LoadProfile(rate=2), limit=1000)
    warmups, others = split_warmups(ran.records)
    assert max(each.in_flight or 0 for each in warmups) == 2
    assert [each.planned_s is None for each in others] == [False, False]


def levels_of(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal on levels."""
    return list(journal.read(folder).lines("level"))


async def test_warmups_of_a_sweep_ramp_up_its_first_level(tmp_path: Path) -> None:
    """The first one is alone; the last slot opens some time after it ends, which the journal states."""
    plan = replace(warmed(12, cases=20), levels=2)
    load = LoadProfile(levels=(4, 8), ramp="auto")
    with serve(streamed_reply("Hello", first_s=0.04)) as server:
        ran = await run(tmp_path, {"one": server}, plan, load, limit=4)
    warmups, others = split_warmups(ran.records)
    by_sending = sorted(warmups, key=lambda each: at(each, "sent"))
    assert at(by_sending[1], "sent") >= at(by_sending[0], "last_event")
    assert max(each.in_flight or 0 for each in warmups) == 4
    first, second = levels_of(tmp_path)
    assert (first["concurrency"], first["measured"], second["concurrency"]) == (4, 1, 8)
    assert first["at_ns"] <= at(by_sending[0], "slot")
    took_ns = at(by_sending[0], "last_event") - at(by_sending[0], "slot")
    assert first["open_ns"] >= at(by_sending[0], "last_event") + took_ns
    assert second["measured"] > 12
    assert second["open_ns"] > second["at_ns"] >= max(at(each, "ready") for each in others[:4])
    assert [line["to"] for line in ran.limits] == [8]
    written = journal.read(tmp_path)
    header = replace(written.header, load=load.to_plain(), release="free")
    found = Run.of(header, written.records, entries=read_level_entries(written.lines("level")))
    sent = found.measured["sent_s"]
    level_8 = found.measured["block"] > 1
    is_filling = found.measured["flags"].fillna("").str.contains("filling")
    assert is_filling[level_8 & (sent < second["open_ns"] / 1e9)].all()
    assert not found.table["flags"][found.table["flags"].fillna("").str.contains("warmup")].str.contains("ing").any()


@pytest.mark.parametrize("warmups", [0, 1])
async def test_a_measured_ramp_takes_whole_conversations(tmp_path: Path, warmups: int) -> None:
    """A warm-up is one turn of three, so its time counts threefold."""
    plan = warmed(warmups, cases=12, turns=3)
    with serve(streamed_reply("Hello", first_s=0.02)) as server:
        await run(tmp_path, {"one": server}, plan, LoadProfile(ramp="auto"), limit=3)
    (line,) = levels_of(tmp_path)
    assert line["measured"] == 1
    assert line["open_ns"] - line["at_ns"] >= (3 + (3 if not warmups else 1)) * 0.02e9


async def test_a_run_without_a_steady_state_has_no_line_on_levels(tmp_path: Path) -> None:
    """The journal of a run without a steady state has the same lines as before."""
    with serve(streamed_reply("Hello")) as server:
        await run(tmp_path, {"one": server}, warmed(1, cases=3))
    assert levels_of(tmp_path) == []
