"""Closed loops in their steady state, on a queue whose answer is known, under a virtual clock."""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from runner.analysis.run import Run
from runner.analysis.sweep import measure_levels
from runner.core.events import Outcome
from runner.core.load import LoadProfile
from runner.core.record import Record, TextEvents, Timestamps
from runner.core.suite import Case, Parameters
from runner.engine.concurrency_limit import ConcurrencyLimit
from runner.engine.lane import Lane
from runner.planning.plan import Plan, Request, Target
from runner.storage.journal import Header
from tests.support.virtual_run import SECOND_NS, TimedConversation, VirtualRun

LEVELS = (1, 4, 16, 32)
PLACES = 4
"""Requests that the queue serves at once, each for 100 ms in the mean; the others wait in the order they came."""

SERVICE_S = 0.1
EACH = 3000
"""Requests at each level: the error of a p95 is then about 3 %."""


@dataclass
class Queue:
    """A server with a few places and exponential times, first come, first served."""

    random: Random
    free_ns: list[int] = field(default_factory=lambda: [0] * PLACES)
    now_ns: Callable[[], int] = lambda: 0

    def lasts_ns(self, _: Request) -> int:
        """Return how long a request that comes now waits and is served."""
        start_ns = max(self.now_ns(), heapq.heappop(self.free_ns))
        end_ns = start_ns + round(self.random.expovariate(1 / SERVICE_S) * SECOND_NS)
        heapq.heappush(self.free_ns, end_ns)
        return end_ns - self.now_ns()


def expected_p95_s(concurrency: int) -> float:
    """Return the p95 of time in the queue and in service with so many customers who come back at once.

    A request finds `concurrency - 1` others. It waits until all but `PLACES - 1` of them have been served, at the
    rate of all places, and is then served itself: a sum of an Erlang and an exponential time, integrated numerically.
    """
    ahead, mu = max(0, concurrency - PLACES), 1 / SERVICE_S
    steps, width = 40_000, 20 * SERVICE_S * max(1, concurrency / PLACES) / 40_000

    def survives(t: float) -> float:
        return math.exp(-mu * t)

    if not ahead:
        return -math.log(0.05) * SERVICE_S
    rate = PLACES * mu
    density = [
        math.exp(ahead * math.log(rate) + (ahead - 1) * math.log(x) - rate * x - math.lgamma(ahead))
        for x in ((step + 0.5) * width for step in range(steps))
    ]
    low, high = 0.0, steps * width
    for _ in range(30):
        middle = (low + high) / 2
        reached = sum(
            d * (1 - survives(middle - (step + 0.5) * width)) * width
            for step, d in enumerate(density[: int(middle / width)])
        )
        low, high = (middle, high) if reached < 0.95 else (low, middle)
    return low


def swept(levels: tuple[int, ...], each: int) -> list[TimedConversation]:
    """Return a sweep on the queue, each level begun while the last requests of the one before are under way."""
    queue = Queue(Random(7))
    plan = Plan((Case("one", ("Hello?",)),), (Target("acme", "m", Parameters()),), each, seed=1, levels=len(levels))
    lane = Lane("acme", ConcurrencyLimit.of(1))
    run = VirtualRun(plan, {"acme": lane}, queue.lasts_ns, LoadProfile(levels=levels))
    queue.now_ns = lambda: run.now_ns
    return run.run_levels()


def header_of(**load: object) -> Header:
    """Return the header of a run with a load profile, as this version writes it."""
    return Header(
        run_id="run", suite="suite", digest="0", seed=1, started_at="2026-11-20T10:00:00.000+01:00", simulated=False,
        repeat=EACH, targets=("acme/m",), cases=("one",), planned_requests=None, release="free", load=load,
    )  # fmt: skip


def record_of(held: TimedConversation) -> Record:
    """Return the record of a conversation, whose first text is its last."""
    lasts_ns = held.end_ns - held.start_ns
    return Record(
        identity=held.request.identity(),
        timestamps=Timestamps(sent=held.start_ns, first_event=held.end_ns, last_event=held.end_ns),
        outcome=Outcome.OK,
        text_events=TextEvents((lasts_ns // 1000,), "a", (1,)),
        reply="a",
        output_tokens=10,
    )


@pytest.fixture(scope="module")
def sweep() -> list[TimedConversation]:
    """Return a sweep of four levels."""
    return swept(LEVELS, EACH)


def test_sweep_on_a_known_queue_finds_its_p95_and_throughput(sweep: list[TimedConversation]) -> None:
    """Within 5 % of the exact answer at each level, from below the queue's capacity to eight times beyond it."""
    points = measure_levels(header_of(levels=LEVELS), map(record_of, sweep))
    for point in points:
        capacity = min(point.concurrency, PLACES) / SERVICE_S
        assert point.ttft_p95_s == pytest.approx(expected_p95_s(point.concurrency), rel=0.05)
        assert point.requests_per_s == pytest.approx(capacity, rel=0.05)
        assert point.output_tps == pytest.approx(10 * capacity, rel=0.05)
        assert point.mean_in_flight == pytest.approx(point.concurrency, rel=0.01)
        assert (point.n, point.left_out) == (EACH - point.concurrency, point.concurrency)


def test_short_levels_are_not_biased_by_how_they_begin_and_end() -> None:
    """With 4 times as many requests as may be in flight, throughput over 60 sweeps is right to 3 %; it was not."""
    steady, whole = [], []
    for seed in range(60):
        queue = Queue(Random(seed))
        plan = Plan((Case("one", ("Hello?",)),), (Target("acme", "m", Parameters()),), 64, seed=1, levels=1)
        lane = Lane("acme", ConcurrencyLimit.of(16))
        run = VirtualRun(plan, {"acme": lane}, queue.lasts_ns, LoadProfile(levels=(16,)))
        queue.now_ns = lambda run=run: run.now_ns  # type: ignore[misc]
        records = [record_of(each) for each in run.run()]
        header = replace(header_of(levels=(16,)), repeat=64)
        steady += [point.requests_per_s or 0 for point in measure_levels(header, records)]
        whole += [point.requests_per_s or 0 for point in measure_levels(replace(header, release=None), records)]
    assert sum(steady) / 60 == pytest.approx(PLACES / SERVICE_S, rel=0.04)
    assert sum(whole) / 60 < 0.96 * PLACES / SERVICE_S


def test_next_level_begins_before_the_last_has_drained(sweep: list[TimedConversation]) -> None:
    """Its first request is sent when a place is free, with the others of the level before still under way."""
    for level in range(1, len(LEVELS)):
        first = next(each for each in sweep if each.request.block > level * EACH)
        before = [each for each in sweep if each.request.block <= level * EACH and each.end_ns > first.start_ns]
        assert len(before) >= LEVELS[level - 1] - 1


def test_first_requests_of_a_level_are_kept_and_flagged(sweep: list[TimedConversation]) -> None:
    """They are in the table, in the rows and in counts of outcomes, and in no latency of the summary."""
    run = Run.of(header_of(levels=LEVELS), map(record_of, sweep))
    (summary,) = run.summary
    flagged = run.table["flags"].eq("filling").fillna(False)
    assert (len(run.table), summary.ok, int(flagged.sum())) == (4 * EACH, 4 * EACH, sum(LEVELS))
    assert summary.ttft_p50 is not None
    assert summary.ttft_p50.n == 4 * EACH - sum(LEVELS)
    assert [row["flags"] for row in run.rows].count("filling") == sum(LEVELS)
    assert run.frame["flags"].eq("filling").sum() == sum(LEVELS)


@pytest.mark.parametrize("load", [{"max_requests": 300}, {"duration_s": 60}])
def test_a_bounded_closed_loop_leaves_out_as_many_as_were_in_flight(load: dict[str, object]) -> None:
    """With `--requests` or `--duration`, too, the first of each target are flagged; without either, none are."""
    records = [replace(record_of(each), in_flight=min(at + 1, 8)) for at, each in enumerate(swept((8,), 300))]
    assert [row["flags"] for row in Run.of(header_of(**load), records).rows] == ["filling"] * 8 + [None] * 292
    for other in ({}, {**load, "rate": 5.0}, {**load, "adaptive": True}):
        assert Run.of(header_of(**other), records).table["flags"].isna().all()


def test_older_sweeps_are_read_as_before(sweep: list[TimedConversation]) -> None:
    """A header that does not say how lanes kept together is that of a sweep whose lanes emptied between levels."""
    records = list(map(record_of, sweep))
    old = replace(header_of(levels=LEVELS), release=None)
    assert [(point.n, point.left_out) for point in measure_levels(old, records)] == [(EACH, 0)] * 4
    assert Run.of(old, records).table["flags"].isna().all()


def test_level_with_too_few_requests_is_blank() -> None:
    """Where no more were sent than may be in flight there is no steady state to speak of."""
    records = [record_of(each) for each in swept((4,), 4)]
    (point,) = measure_levels(replace(header_of(levels=(4,)), repeat=4), records)
    assert (point.n, point.left_out, point.ttft_p50_s, point.requests_per_s) == (0, 4, None, None)
