"""What is left out at both ends of a level: the rest has the figures of queues whose steady state is known exactly.

The schedule, the lanes and the analysis are the real ones; servers and time are virtual.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import expon, gamma

from runner.analysis.run_results import Run
from runner.analysis.steady_state import first_sent, last_sent, rate_span
from runner.core.events import Outcome
from runner.core.load_profile import LoadProfile, RampSetting, level_of
from runner.core.percentiles import nearest_rank
from runner.core.record import Record
from runner.core.record_fields import TextEvents, Timestamps
from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit
from runner.engine.lane_schedule import Begin
from runner.engine.provider_lane import Lane
from runner.outputs.text.run_remarks import brief_remarks, describe_unsteady, remarks
from runner.outputs.text.translation import in_language, other_of
from runner.planning.plan import Plan
from runner.planning.request import Target
from tests.support.virtual_run import SECOND_NS, VirtualRun
from tests.support.virtual_sweep import entries_of, header_of

SERVICE_S = 1.0
"""The mean work of a request: seconds of a server that does nothing else."""

Draw = Callable[[Random], float]


def exponential(random: Random) -> float:
    """Return exponential seconds of work for a request (M in Kendall's notation)."""
    return random.expovariate(1 / SERVICE_S)


def fixed(_: Random) -> float:
    """Return constant seconds of work for a request (D in Kendall's notation)."""
    return SERVICE_S


@dataclass
class QueueRun(VirtualRun):
    """Requests to a server with some slots, first come, first served; TTFT is the wait for a slot."""

    servers: int = 1
    draw: Draw = exponential
    random: Random = field(default_factory=Random)
    work_s: dict[str, float] = field(default_factory=dict)
    """The work of each request, by its key."""
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with idle servers."""
        super().__post_init__()
        self._free_ns = [0] * self.servers

    def hold(self, lane: Lane, begin: Begin, now_ns: int) -> None:
        """Hold a conversation whose end is known from those before it."""
        starts_ns = max(now_ns, heapq.heappop(self._free_ns))
        ends_ns = starts_ns + self.draw_ns(begin)
        heapq.heappush(self._free_ns, ends_ns)
        self.keep(begin, now_ns, starts_ns, ends_ns)
        self.call_at(ends_ns, lambda at_ns: self.finish(lane, begin, at_ns))

    def draw_ns(self, begin: Begin) -> int:
        """Draw and keep the work of a request."""
        self.work_s[begin.request.key] = self.draw(self.random)
        return round(self.work_s[begin.request.key] * SECOND_NS)

    def keep(self, begin: Begin, sent_ns: int, first_ns: int, last_ns: int) -> None:
        """Keep the record of a conversation."""
        at_us = ((first_ns - sent_ns) // 1000 + 1, (last_ns - sent_ns) // 1000 + 1)
        self.records.append(
            Record(
                identity=begin.request.identity(),
                timestamps=Timestamps(sent=sent_ns, first_event=first_ns + 1000, last_event=last_ns + 1000),
                outcome=Outcome.OK,
                text_events=TextEvents(at_us, "aa", (1, 1)),
                reply="ab",
                output_tokens=10,
                in_flight=begin.permit.in_flight,
            )
        )


@dataclass
class SharedRun(QueueRun):
    """Requests to a server that shares its speed among all requests in flight."""

    _left: dict[str, float] = field(default_factory=dict)
    _under_way: dict[str, tuple[Lane, Begin, int]] = field(default_factory=dict)
    _since_ns: int = 0

    def hold(self, lane: Lane, begin: Begin, now_ns: int) -> None:
        """Hold a conversation whose end depends on those that come after it."""
        self._do_work(now_ns)
        self._left[begin.request.key] = float(self.draw_ns(begin))
        self._under_way[begin.request.key] = (lane, begin, now_ns)
        self._await_next(now_ns)

    def _do_work(self, now_ns: int) -> None:
        done = (now_ns - self._since_ns) / len(self._left) if self._left else 0.0
        self._left = {key: left - done for key, left in self._left.items()}
        self._since_ns = now_ns

    def _await_next(self, now_ns: int) -> None:
        if self._left:
            key = min(self._left, key=self._left.__getitem__)
            ends_ns = now_ns + max(0, round(self._left[key] * len(self._left)))
            asked = frozenset(self._left)
            self.call_at(ends_ns, lambda at_ns: self._end(key, at_ns) if frozenset(self._left) == asked else None)

    def _end(self, key: str, now_ns: int) -> None:
        self._do_work(now_ns)
        del self._left[key]
        lane, begin, sent_ns = self._under_way.pop(key)
        self.keep(begin, sent_ns, now_ns, now_ns)
        self.finish(lane, begin, now_ns)
        self._await_next(now_ns)


def sweep_of(
    kind: type[QueueRun], levels: Sequence[int], each: int, *, ramp: RampSetting = "none", seed: int = 1, **server: Any
) -> Run:
    """Return a sweep of a queue as read from its journal."""
    plan = Plan((Case("one", ("Hello?",)),), (Target("acme", "m", Parameters()),), each, seed=1, levels=len(levels))
    load = LoadProfile(levels=tuple(levels), ramp=ramp)
    run = kind(plan, {"acme": Lane("acme", ConcurrencyLimit.of(1))}, lambda _: 0, load, random=Random(seed), **server)
    run.run_levels()
    found = Run.of(replace(header_of(**load.to_plain()), repeat=each), run.records, entries=entries_of(run))
    return replace(found, table=found.table.assign(cost=[run.work_s[each.identity.key] for each in run.records]))


def rows_of(run: Run, level: int) -> pd.DataFrame:
    """Return the rows of one level."""
    levels = LoadProfile.from_plain(run.header.load).levels
    return run.measured[[level_of(block, levels, run.header.repeat) == level for block in run.measured["block"]]]


def is_flagged(rows: pd.DataFrame, flag: str) -> "pd.Series[bool]":
    """Return the rows that have a flag."""
    return rows["flags"].fillna("").str.contains(flag)


RAMPS: tuple[RampSetting, ...] = ("none", 2.0, "auto")


@pytest.mark.parametrize("ramp", RAMPS)
def test_steady_requests_share_the_server_with_a_full_level(ramp: RampSetting) -> None:
    """The time of a kept request is exactly its work times the level, unlike that of most at the end of a level.

    A few others are kept, too: those in flight longer than all that were sent after them.
    """
    run = sweep_of(SharedRun, (4, 16), 320, ramp=ramp)
    for level in (4, 16):
        rows = rows_of(run, level)
        is_exact = (rows["total_s"] - level * rows["cost"]).abs() < 1e-3
        assert is_exact[rows["flags"].isna()].mean() > 0.95
        assert is_exact[is_flagged(rows, "draining")].mean() < 0.6
        assert is_flagged(rows, "draining").sum() == level


def errors_of(kind: type[QueueRun], exact: Callable[[int], Any], sweeps: int, **options: Any) -> dict[int, list[float]]:
    """Return at each level the mean relative errors of p50, of p95, and of p95 with the last requests included."""
    found: dict[int, list[list[float]]] = {}
    for seed in range(sweeps):
        run = sweep_of(kind, (8, 16), 160, seed=seed, **options)
        for point in run.sweep:
            assert point.ttft_p50_s is not None
            assert point.ttft_p95_s is not None
            with_last = rows_of(run, point.concurrency)
            with_last = with_last[~is_flagged(with_last, "filling")]
            p50, p95 = exact(point.concurrency).ppf([0.5, 0.95])
            last_p95 = sorted(with_last["ttft_s"])[nearest_rank(95, len(with_last)) - 1]
            found.setdefault(point.concurrency, []).append(
                [point.ttft_p50_s / p50 - 1, point.ttft_p95_s / p95 - 1, last_p95 / p95 - 1]
            )
    return {level: np.mean(errors, axis=0).tolist() for level, errors in found.items()}


@pytest.mark.thorough
@pytest.mark.parametrize("ramp", RAMPS)
def test_percentiles_are_those_of_the_steady_state(ramp: RampSetting) -> None:
    """They are within 5 % with 160 requests a level, for shared servers and for queues with four slots.

    With shared servers, the last requests of a level would cause a larger error.
    """
    shared = errors_of(SharedRun, lambda level: expon(scale=level), 100, ramp=ramp)
    queued = errors_of(QueueRun, lambda level: gamma(level - 4, scale=1 / 4), 60, ramp=ramp, servers=4)
    for errors in (*shared.values(), *queued.values()):
        assert abs(errors[0]) <= 0.05
        assert abs(errors[1]) <= 0.05
    assert shared[8][2] > 0.02


@pytest.mark.parametrize("ramp", RAMPS)
def test_waits_for_one_of_several_servers_have_their_known_percentiles(ramp: RampSetting) -> None:
    """In M/M/4 with 16 in flight, an arrival waits for twelve departures at full rate; 4,000 requests."""
    (point,) = sweep_of(QueueRun, (16,), 4000, ramp=ramp, servers=4).sweep
    assert point.ttft_p50_s == pytest.approx(gamma(12, scale=1 / 4).ppf(0.5), rel=0.05)
    assert point.ttft_p95_s == pytest.approx(gamma(12, scale=1 / 4).ppf(0.95), rel=0.05)
    assert point.requests_per_s == pytest.approx(4, rel=0.05)


def test_a_burst_never_ends_where_all_requests_take_equally_long() -> None:
    """In M/D/4 an arrival waits for (level - 4) / 4 of a service if departures are spread.

    A burst keeps them together. A sweep that ramps over the time measured at the level before has the exact wait of
    every request.
    """
    burst, spread = (
        sweep_of(QueueRun, (4, 6, 10), 60, ramp=ramp, servers=4, draw=fixed) for ramp in RAMPS if ramp != 2.0
    )
    for level in (6, 10):
        kept = [rows[rows["flags"].isna()]["ttft_s"] for rows in (rows_of(burst, level), rows_of(spread, level))]
        assert kept[1].to_numpy() == pytest.approx((level - 4) / 4, abs=1e-3)
        assert set(kept[0].round(2)) == {(level - 4) / 4 - 0.5, (level - 4) / 4 + 0.5}


def test_places_open_over_the_time_that_was_measured() -> None:
    """The first conversation runs alone and gives that time; a later level uses the mean of the level before."""
    run = sweep_of(QueueRun, (4, 6, 10), 60, ramp="auto", servers=4, draw=fixed)
    first, second, third = run.entries
    assert (first.at_s, first.open_s) == pytest.approx((0, 2))
    assert second.open_s - second.at_s == pytest.approx(1)
    before = rows_of(run, 6)["sent_s"] + rows_of(run, 6)["total_s"]
    assert (before <= third.at_s).sum() > 50
    assert third.open_s - third.at_s == pytest.approx(1.5, rel=0.05)
    first_s = rows_of(run, 4)["sent_s"].sort_values().tolist()[:5]
    assert first_s == pytest.approx([0, 1, 1.25, 1.5, 1.75])


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True),
    st.integers(1, 30),
    st.sampled_from(RAMPS),
    st.integers(0, 9),
)
def test_every_request_is_sent_whatever_the_ramp_and_never_too_many_at_once(
    levels: list[int], each: int, ramp: RampSetting, seed: int
) -> None:
    """This includes a level too short to be measured; each lane reaches each level once."""
    run = sweep_of(QueueRun, levels, each, ramp=ramp, seed=seed, servers=3)
    assert len(run.table) == len(levels) * each
    entered = [entry.concurrency for entry in run.entries]
    assert entered == [level for level in levels if level in entered], "each once, in order"
    assert entered == levels or ramp == "auto", "a ramp that is to be measured may not be known before the level's end"
    for level in levels:
        rows = rows_of(run, level)
        assert rows["in_flight"].max() <= level
        assert is_flagged(rows, "filling").sum() >= min(level, each)
        assert is_flagged(rows, "draining").sum() == min(level, each)


SENT = st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=30)


@given(SENT, st.integers(0, 40), st.none() | st.floats(0, 100), st.randoms())
def test_only_the_first_and_last_requests_of_a_level_are_left_out(
    sent: list[float | None], count: int, open_s: float | None, random: Random
) -> None:
    """No unsent request is counted, and none between kept ones is left out."""
    times = np.array([np.nan if at is None else at for at in sent])
    begins = np.array([random.random() < 0.7 for _ in sent])
    known = [at for at in sent if at is not None]
    first, last = (
        sorted(float(times[at]) for at in positions)
        for positions in (first_sent(times, count, open_s), last_sent(times, count, begins))
    )
    assert first == sorted(known)[: max(count, sum(at < (open_s or 0) for at in known))]
    began = [float(at) for at, is_first in zip(times, begins, strict=True) if is_first and not np.isnan(at)]
    until = sorted(at for at in known if not began or at <= max(began))
    assert last == until[max(0, len(until) - count) :] + sorted(at for at in known if began and at > max(began))


def test_later_turns_that_are_sent_when_no_conversation_begins_are_left_out() -> None:
    """The lane empties at that time, for any number of turns."""
    run = sweep_of(QueueRun, (4,), 40, servers=4)
    records = [replace(each, timestamps=replace(each.timestamps)) for each in run.records]
    later = [
        replace(each, identity=replace(each.identity, turn=2)) if each.identity.block > 30 else each for each in records
    ]
    found = Run.of(run.header, later)
    rows = rows_of(found, 4)
    assert set(rows["block"][is_flagged(rows, "draining")]) == set(range(27, 41))
    span = rate_span(rows)
    assert span is not None
    assert span[1] == rows["sent_s"][rows["turn"] == 1].max()


def test_models_of_one_lane_share_its_places() -> None:
    """If the journal knows the lanes, a lane's slots count once, and not for each model."""
    run = sweep_of(QueueRun, (4,), 80, servers=4)
    records = [
        replace(each, identity=replace(each.identity, model="mn"[each.identity.block % 2])) for each in run.records
    ]
    header = replace(run.header, targets=("acme/m", "acme/n"))
    own = [replace(entry, model="n") for entry in run.entries]
    for entries, left_out in ((run.entries, 8), ((), 16), ((*run.entries, *own), 16)):
        points = Run.of(header, records, entries=entries).sweep
        assert sum(point.left_out for point in points) == left_out


@pytest.mark.parametrize("load", [{"max_requests": 80}, {"levels": (4,)}, {"levels": (4, 8)}], ids=str)
def test_parts_of_a_run_that_was_resumed_have_transients_of_their_own(load: dict[str, Any]) -> None:
    """The lane fills again with a ramp and empties twice, also within a level."""
    first, second = (sweep_of(QueueRun, (4,), 40, seed=seed, servers=4, ramp=2.0) for seed in (1, 2))
    pause_ns = 100 * SECOND_NS
    later = [
        replace(
            each,
            identity=replace(each.identity, key=f"later {each.identity.key}", block=each.identity.block + 40),
            timestamps=Timestamps(
                sent=pause_ns + (each.timestamps.sent or 0), last_event=pause_ns + (each.timestamps.last_event or 0)
            ),
        )
        for each in second.records
    ]
    entries = (*first.entries, *(replace(each, at_s=100.0, open_s=100 + each.open_s) for each in second.entries))
    header = replace(header_of(**load, ramp_s=2.0), repeat=80)
    run = Run.of(header, [*first.records, *later], entries=entries)
    assert rate_span(run.measured) is None, "nothing was sent in the pause, so that its time is of no rate"
    for start_s in (0, 100):
        part = run.table[(run.table["sent_s"] >= start_s) & (run.table["sent_s"] < start_s + 100)]
        filling = part["sent_s"][is_flagged(part, "filling")]
        assert len(filling) >= 4
        assert (filling < start_s + 2).sum() == (part["sent_s"] < start_s + 2).sum()
        assert is_flagged(part, "draining").sum() == 4


@pytest.mark.parametrize(("levels", "named"), [((4, 2), "acme/m @ 4 (n 8)"), ((), "acme/m (n 8)")])
def test_a_run_too_short_for_a_steady_state_has_a_note(levels: tuple[int, ...], named: str) -> None:
    """The note says what to do; a run that is long enough has none."""
    swept = sweep_of(QueueRun, levels or (4,), 8, servers=4)
    load = {"levels": levels} if levels else {"max_requests": 8}
    run = Run.of(replace(header_of(**load), repeat=8 if levels else None), swept.records)
    with in_language("en"):
        (sentence,) = describe_unsteady(run)
    assert named in sentence
    assert "Ask for ten times as many" in sentence
    assert "请求" in other_of(sentence)
    assert sentence in brief_remarks(run)
    assert sentence in remarks(run)
    assert describe_unsteady(sweep_of(QueueRun, (4,), 40, servers=4)) == []
