"""The search for a capacity, on servers with an exactly known capacity under a virtual clock, and its limits."""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.capacity import CapacitySearch, FoundCapacity, LoadVerdict, TriedLoad, requests_for_readings
from runner.analysis.goodput import Goodput, count_in_flight, design_effect_of_high_readings
from runner.analysis.intervals import Interval
from runner.analysis.proportions import Proportion, wilson_interval
from runner.analysis.run_results import Run
from runner.core.load_profile import LoadProfile
from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit
from runner.engine.provider_lane import Lane
from runner.outputs.capacity import describe_capacity, tabulate_curves
from runner.outputs.text.translation import in_language, other_of
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from tests.benchmarks.capacity import count_kept
from tests.benchmarks.queue_worlds import QueueWorld, try_run, world_at
from tests.support.virtual_run import SECOND_NS, VirtualRun
from tests.support.virtual_sweep import QueueServer, header_of, record_of

SERVERS = 8
"""An M/M/c queue: so many servers, each a second in the mean, first come, first served."""

WORLD = QueueWorld(SERVERS, within_s=4.5, of_total=True)


@dataclass
class ParallelServers(QueueServer):
    """Several servers that answer one request each at a time."""

    def __post_init__(self) -> None:
        self.free = [0] * SERVERS

    def lasts_ns(self, request: Request) -> int:
        """Return the duration of a request that arrives now."""
        starts_ns = max(self.now_ns(), heapq.heappop(self.free))
        ends_ns = starts_ns + self._draw_ns(1.0)
        heapq.heappush(self.free, ends_ns)
        self.ttft_ns[request.key] = starts_ns - self.now_ns() + 1000
        return max(ends_ns - self.now_ns(), 2000)


def try_load(load: float, *, requests: int, seed: int, by_rate: bool) -> TriedLoad:
    """Send requests at one load with the real schedule, lanes and analysis."""
    server = ParallelServers(Random(seed))
    profile = LoadProfile(rate=load, arrivals="poisson") if by_rate else LoadProfile(levels=(int(load),))
    plan = Plan((Case("one", ("Hello?",)),), (Target("acme", "m", Parameters()),), requests, seed=seed)
    run = VirtualRun(plan, {"acme": Lane("acme", ConcurrencyLimit.of(1000))}, server.lasts_ns, profile)
    server.now_ns = lambda: run.now_ns
    records = [
        replace(record, timestamps=replace(record.timestamps, planned=held.planned_ns))
        for held in (run.run() if by_rate else run.run_levels())
        for record in [record_of(held, server)]
    ]
    header = replace(header_of(**profile.to_plain()), slo=WORLD.slo.to_plain(), repeat=requests)
    found = Run.of(header, records)
    (point,) = found.open_loop if by_rate else found.sweep
    return TriedLoad(load, point.goodput)


def run_search(search: CapacitySearch, attempt: Callable[[float], TriedLoad]) -> list[TriedLoad]:
    """Try loads until the search is over."""
    tried: list[TriedLoad] = []
    while (load := search.next_load(tried)) is not None:
        tried.append(attempt(load))
    return tried


@pytest.mark.parametrize("seeds", [1, pytest.param(6, marks=pytest.mark.thorough)])
def test_search_encloses_the_known_capacity_of_a_closed_queue(seeds: int) -> None:
    """Concurrencies that meet the SLO are just below the exact capacity, and those that miss it just above."""
    search, right, widths = CapacitySearch(most=64), 0, []
    for seed in range(seeds):
        tried = run_search(search, partial(try_load, requests=2000, seed=seed, by_rate=False))
        kept, missed = search.highest_kept(tried), search.lowest_missed(tried)
        assert kept is not None
        assert missed is not None
        right += WORLD.met_at_concurrency(kept) >= search.share > WORLD.met_at_concurrency(missed)
        widths.append(missed / kept)
    assert right >= seeds - seeds // 6
    assert sorted(widths)[seeds // 2] < 1.6


@pytest.mark.thorough
def test_search_by_rate_encloses_the_known_capacity_of_an_open_queue() -> None:
    """Rates that meet the SLO are below the capacity, others above; with 2,000 requests they are not close."""
    search = CapacitySearch(by_rate=True, most=64)
    for seed in range(6):
        tried = run_search(search, partial(try_load, requests=2000, seed=seed, by_rate=True))
        kept, missed = search.highest_kept(tried), search.lowest_missed(tried)
        assert kept is not None
        assert missed is not None
        assert WORLD.met_at_rate(kept) >= search.share > WORLD.met_at_rate(missed)
        assert missed / kept < 2.5


@pytest.mark.parametrize(
    ("queue", "before"),
    [
        ((8, 0.95, False), 0.8),
        ((8, 0.9, True), 0.5),
        pytest.param((1, 0.9, False), 0.5, marks=pytest.mark.thorough),
        pytest.param((64, 0.97, True), 0.3, marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize(
    ("requests", "runs"),
    [(500, 30), *(pytest.param(requests, 100, marks=pytest.mark.thorough) for requests in (500, 2000))],
)
def test_a_rate_at_which_a_queue_misses_is_seldom_found_to_keep_the_slo(
    queue: tuple[int, float, bool], before: float, requests: int, runs: int
) -> None:
    """At the exact capacity, at most 5 % of runs find so.

    Most of them by the misses alone, because queues fill slowly.
    """
    world, search = world_at(*queue[:2], 0.95, of_total=queue[2]), CapacitySearch()
    by_misses, kept, _ = count_kept(world, search, world.rate_at(0.95), requests=requests, runs=runs)
    assert kept <= 0.05
    assert by_misses >= before * min(1.0, 1000 / requests)
    beyond = count_kept(world, search, 1.02 * world.servers, requests=requests, runs=runs)
    assert beyond[1] <= 0.05


def test_a_rate_far_below_what_a_queue_can_do_is_found_to_keep_the_slo() -> None:
    """With 2,000 requests at four tenths of the capacity; otherwise no search would end."""
    world = world_at(8, 0.9, 0.95, of_total=True)
    _, kept, missed = count_kept(world, CapacitySearch(), 0.4 * world.rate_at(0.95), requests=2000, runs=20)
    assert kept >= 0.9
    assert missed == 0


def test_a_closed_loop_needs_no_reading_of_the_number_in_flight() -> None:
    """That number is the level itself."""
    world = world_at(8, 0.8, 0.95, of_total=True)
    (rows,) = world.runs_at_concurrency(np.random.default_rng(1), 8, 500, 1)
    found = try_run(rows, world, 8)
    assert found.goodput is not None
    assert found.goodput.in_flight_n is None
    assert requests_for_readings(found) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)), min_size=1, max_size=60))
def test_requests_in_flight_are_counted_as_by_hand(spans: list[tuple[int, int]]) -> None:
    """A request's number in flight includes itself and earlier requests that have not ended."""
    arrived = np.sort(np.array([at for at, _ in spans], float))
    ended = arrived + np.array([lasts for _, lasts in spans], float)
    by_hand = [number + 1 - sum(ends <= at for ends in ended) for number, at in enumerate(arrived)]
    assert count_in_flight(arrived, np.sort(ended)).tolist() == by_hand


@given(st.lists(st.floats(0, 100), min_size=1, max_size=400))
def test_the_design_effect_of_spells_depends_on_ranks_only(readings: list[float]) -> None:
    """It is at least 1, is 1 for equal readings, and does not depend on the unit."""
    values = np.array(readings)
    assert design_effect_of_high_readings(values) >= 1
    assert design_effect_of_high_readings(np.full(len(values), 3.0)) == 1
    assert design_effect_of_high_readings(8 * values) == design_effect_of_high_readings(values)


def test_a_slow_wave_counts_as_few_readings_and_noise_as_many() -> None:
    """A wave of 200 requests in 2,000 counts as some tens of readings; values in random order as nearly all."""
    wave = np.sin(np.arange(2000) / 200 * 2 * np.pi)
    assert 15 < 2000 / design_effect_of_high_readings(wave) < 100
    assert 2000 / design_effect_of_high_readings(np.random.default_rng(1).permutation(wave)) > 1000


@given(st.integers(1, 10_000), st.floats(1, 10_000))
def test_a_rate_needs_more_requests_where_the_number_in_flight_was_read_too_seldom(n: int, readings: float) -> None:
    """The number is what should give a hundred readings; it is None if there are as many."""
    needed = requests_for_readings(TriedLoad(1, Goodput(1.0, n, Interval(0.99, 1.0), in_flight_n=readings)))
    assert (needed is None) == (readings >= 100)
    assert needed is None or needed >= n


def test_a_number_of_requests_is_not_rounded_up_where_it_has_two_digits() -> None:
    """Twenty-three times a hundred requests are 2,300, whichever way the quotients are rounded."""
    found = (TriedLoad(1, Goodput(1.0, n, Interval(0.99, 1.0), in_flight_n=100 * n / 2300)) for n in range(1, 2300))
    assert set(map(requests_for_readings, found)) == {2300}


def shown(load: float, low: float, high: float) -> TriedLoad:
    """Return a load whose share has this interval."""
    return TriedLoad(load, Goodput((low + high) / 2, 100, Interval(low, high)))


def test_the_search_doubles_then_bisects_and_names_undecided_levels() -> None:
    """Levels up to 12 meet the SLO, levels from 17 miss it, and those in between are undecided."""

    def attempt(load: float) -> TriedLoad:
        return shown(load, *((0.96, 0.99) if load <= 12 else (0.8, 0.9) if load >= 17 else (0.93, 0.97)))

    search = CapacitySearch()
    tried = run_search(search, attempt)
    assert [each.load for each in tried] == [1, 2, 4, 8, 16, 32, 12, 14, 13, 24, 20, 18]
    assert (search.highest_kept(tried), search.lowest_missed(tried)) == (12, 18)
    assert {search.verdict_on(each) for each in tried if 12 < each.load < 18} == {LoadVerdict.UNDECIDED}


@given(st.integers(1, 400), st.integers(1, 300), st.integers(1, 20), st.booleans())
def test_search_ends_within_its_bounds_and_tries_nothing_twice(edge: int, most: int, loads: int, by_rate: bool) -> None:
    """This holds for any capacity."""
    search = CapacitySearch(most=most, loads=loads, by_rate=by_rate)
    tried = run_search(search, lambda load: shown(load, *((0.96, 0.99) if load <= edge else (0.5, 0.6))))
    found = [each.load for each in tried]
    assert len(found) == len(set(found)) <= loads
    assert max(found) <= most
    kept, missed = search.highest_kept(tried), search.lowest_missed(tried)
    assert kept is None or kept <= edge
    assert missed is None or missed > edge
    if loads == 20 and edge < most and not by_rate:
        assert kept is not None
        assert missed is not None
        assert missed - kept <= max(1, math.ceil(0.05 * kept))


@given(st.integers(0, 300), st.integers(1, 300), st.floats(1, 4), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_requests_that_an_undecided_load_needs_decide_if_its_share_stays(
    met: int, n: int, effect: float, wanted: float
) -> None:
    """With a sixth less they do not; spells count as much as before."""
    share, search = min(met, n) / n, CapacitySearch(wanted, by_rate=True)

    def tried(requests: float) -> TriedLoad:
        interval = Interval(*wilson_interval(Proportion(share * requests / effect, requests / effect)))
        return TriedLoad(1, Goodput(share, round(requests), interval, in_flight_n=1000.0))

    needed = search.requests_needed(tried(n))
    if search.verdict_on(tried(n)) is not LoadVerdict.UNDECIDED:
        assert needed is None
    elif needed is None:
        assert abs(share - wanted) < 0.003, "too close"
    else:
        assert needed >= n
        assert search.verdict_on(tried(needed * 1.001)) is not LoadVerdict.UNDECIDED
        # The number is rounded up to two digits, or to a whole request.
        assert needed < 10 or search.verdict_on(tried(needed * 0.85 - 1)) is LoadVerdict.UNDECIDED


def test_seconds_are_those_of_the_clock() -> None:
    """The queue of this file has no waits at levels below its number of servers."""
    assert WORLD.met_at_concurrency(SERVERS) == WORLD.met_at_concurrency(1) == pytest.approx(1 - math.exp(-4.5))
    assert SECOND_NS == 10**9


def test_a_rate_that_was_tried_too_shortly_says_how_many_requests_it_needs() -> None:
    """The number is in the result, in both languages, and in the table.

    Loads that are undecided for another reason have none.
    """
    search = CapacitySearch(by_rate=True)
    tried = [
        TriedLoad(load, Goodput(0.99, 500, Interval(0.97, 1.0), in_flight_n=readings))
        for load, readings in ((1, 200.0), (2, 30.0), (4, 25.0))
    ]
    assert [search.verdict_on(each) for each in tried] == [
        LoadVerdict.KEPT,
        LoadVerdict.UNDECIDED,
        LoadVerdict.UNDECIDED,
    ]
    found = FoundCapacity("acme/m", search, "total=1s", tuple(tried))
    with in_language("en"):
        sentence, table = describe_capacity(found), tabulate_curves([found, found])
    assert "At 2 requests per second the number in flight" in sentence
    assert "500 requests" in sentence
    assert "1700 requests at each load" in sentence
    assert "1700" in other_of(sentence)
    assert [row[-1] for row in table.rows[:3]] == [
        "kept", "not decided: needs 1,700 requests", "not decided: needs 2,000 requests",
    ]  # fmt: skip
    assert [row[0] for row in table.rows] == ["acme/m"] * 6


def test_an_undecided_load_is_advised_how_many_requests_decide() -> None:
    """The advice is for the load that needs the fewest; there is none where the share is the wanted one."""
    loads = (shown(1, 0.9, 0.97), shown(2, 0.88, 0.96), shown(4, 0.7, 0.8))
    found = FoundCapacity("acme/m", CapacitySearch(), "total=1s", loads)
    needed = {each.load: found.search.requests_needed(each) for each in loads}
    assert needed == {1: 900, 2: 230, 4: None}
    with in_language("en"):
        sentence, table = describe_capacity(found), tabulate_curves([found])
    assert "To decide at 2 in flight, 230 requests at each load should be enough, in a new folder" in sentence
    assert "230" in other_of(sentence)
    assert [row[-1] for row in table.rows][1:] == ["not decided: needs 230 requests", "missed"]
    equal = FoundCapacity("acme/m", CapacitySearch(), "total=1s", (shown(1, 0.92, 0.98),))
    assert "too close to the wanted one" in describe_capacity(equal)
