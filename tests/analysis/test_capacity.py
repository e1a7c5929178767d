"""The search for a capacity: on servers whose answer is known exactly, under a virtual clock, and within its bounds."""

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
from scipy.integrate import trapezoid
from scipy.stats import expon, gamma

from runner.analysis.capacity import CapacitySearch, FoundCapacity, LoadTried, Standing
from runner.analysis.goodput import Goodput
from runner.analysis.intervals import Interval
from runner.analysis.run_results import Run
from runner.core.load_profile import LoadProfile
from runner.core.suite import Case, Parameters
from runner.engine.concurrency_limit import ConcurrencyLimit
from runner.engine.lane import Lane
from runner.errors import CompareError
from runner.outputs.capacity import describe_capacity
from runner.outputs.text.language import in_language, other_of
from runner.planning.plan import Plan, Request, Target
from tests.analysis.test_steady_state import Server, header_of, record_of
from tests.support.virtual_run import SECOND_NS, VirtualRun

SERVERS = 8
"""An M/M/c queue: so many servers, each a second in the mean, first come, first served."""

WITHIN_S = 4.5


@dataclass
class Queue(Server):
    """A server of several that answer one request each."""

    def __post_init__(self) -> None:
        self.free = [0] * SERVERS

    def lasts_ns(self, request: Request) -> int:
        """Return how long a request takes that comes now."""
        starts_ns = max(self.now_ns(), heapq.heappop(self.free))
        ends_ns = starts_ns + self._draw_ns(1.0)
        heapq.heappush(self.free, ends_ns)
        self.ttft_ns[request.key] = starts_ns - self.now_ns() + 1000
        return max(ends_ns - self.now_ns(), 2000)


def met_at_concurrency(concurrency: float) -> float:
    """Return the exact share: who comes waits for as many departures as there are others too many, at full rate."""
    return chance_of(max(0, int(concurrency) - SERVERS))


def chance_of(ahead: int) -> float:
    """Return the chance that so many departures at full rate, and then one service, take no longer than the SLO."""
    if not ahead:
        return 1 - math.exp(-WITHIN_S)
    late = expon.sf(WITHIN_S - (waits := np.linspace(0, WITHIN_S, 2001)))
    return float(
        gamma.cdf(WITHIN_S, ahead, scale=1 / SERVERS)
        - trapezoid(late * gamma.pdf(waits, ahead, scale=1 / SERVERS), waits)
    )


def met_at_rate(rate: float) -> float:
    """Return the exact share of an M/M/c queue with Poisson arrivals, by Erlang's C."""
    if rate >= SERVERS:
        return 0.0  # the queue grows without end
    below = sum(rate**k / math.factorial(k) for k in range(SERVERS))
    full = rate**SERVERS / math.factorial(SERVERS) * SERVERS / (SERVERS - rate)
    waits, drain = full / (below + full), SERVERS - rate + 1e-9
    late = math.exp(-WITHIN_S)
    late_if_waits = (drain * late - math.exp(-drain * WITHIN_S)) / (drain - 1)
    return 1 - ((1 - waits) * late + waits * late_if_waits)


def try_load(load: float, *, requests: int, seed: int, by_rate: bool) -> LoadTried:
    """Send requests at one load through the real schedule, lanes and analysis."""
    server = Queue(Random(seed))
    profile = LoadProfile(rate=load, arrivals="poisson") if by_rate else LoadProfile(levels=(int(load),))
    plan = Plan((Case("one", ("Hello?",)),), (Target("acme", "m", Parameters()),), requests, seed=seed)
    run = VirtualRun(plan, {"acme": Lane("acme", ConcurrencyLimit.of(1000))}, server.lasts_ns, profile)
    server.now_ns = lambda: run.now_ns
    records = [
        replace(record, timestamps=replace(record.timestamps, planned=held.planned_ns))
        for held in (run.run() if by_rate else run.run_levels())
        for record in [record_of(held, server)]
    ]
    header = replace(header_of(**profile.to_plain()), slo={"total_s": WITHIN_S}, repeat=requests)
    found = Run.of(header, records)
    (point,) = found.open_loop if by_rate else found.sweep
    return LoadTried(load, point.goodput)


def run_search(search: CapacitySearch, attempt: Callable[[float], LoadTried]) -> list[LoadTried]:
    """Try loads until the search is over."""
    tried: list[LoadTried] = []
    while (load := search.next_load(tried)) is not None:
        tried.append(attempt(load))
    return tried


@pytest.mark.parametrize("seeds", [1, pytest.param(6, marks=pytest.mark.thorough)])
def test_search_encloses_the_known_capacity_of_a_closed_queue(seeds: int) -> None:
    """Concurrencies that keep the SLO are below the exact capacity, and those that miss it above, close by."""
    search, right, widths = CapacitySearch(most=64), 0, []
    for seed in range(seeds):
        tried = run_search(search, partial(try_load, requests=2000, seed=seed, by_rate=False))
        kept, missed = search.highest_kept(tried), search.lowest_missed(tried)
        assert kept is not None
        assert missed is not None
        right += met_at_concurrency(kept) >= search.share > met_at_concurrency(missed)
        widths.append(missed / kept)
    assert right >= seeds - seeds // 6
    assert sorted(widths)[seeds // 2] < 1.6


@pytest.mark.thorough
def test_search_by_rate_is_close_to_the_known_capacity_of_an_open_queue() -> None:
    """A rate that misses is above it; one that keeps may be a tenth too high, since such a queue fills slowly."""
    search = CapacitySearch(by_rate=True, most=64)
    for seed in range(6):
        tried = run_search(search, partial(try_load, requests=2000, seed=seed, by_rate=True))
        kept, missed = search.highest_kept(tried), search.lowest_missed(tried)
        assert kept is not None
        assert missed is not None
        assert met_at_rate(0.9 * kept) >= search.share > met_at_rate(missed)
        assert missed / kept < 1.3


def shown(load: float, low: float, high: float) -> LoadTried:
    """Return a load whose share has this interval."""
    return LoadTried(load, Goodput((low + high) / 2, 100, Interval(low, high)))


def test_doubles_then_bisects_and_says_what_is_not_decided() -> None:
    """Levels up to 12 keep the SLO, from 17 on it is missed, and in between nothing is sure."""

    def attempt(load: float) -> LoadTried:
        return shown(load, *((0.96, 0.99) if load <= 12 else (0.8, 0.9) if load >= 17 else (0.93, 0.97)))

    search = CapacitySearch()
    tried = run_search(search, attempt)
    assert [each.load for each in tried] == [1, 2, 4, 8, 16, 32, 12, 14, 13, 24, 20, 18]
    assert (search.highest_kept(tried), search.lowest_missed(tried)) == (12, 18)
    assert {search.standing(each) for each in tried if 12 < each.load < 18} == {Standing.UNDECIDED}


@given(st.integers(1, 400), st.integers(1, 300), st.integers(1, 20), st.booleans())
def test_search_ends_within_its_bounds_and_tries_nothing_twice(edge: int, most: int, loads: int, by_rate: bool) -> None:
    """Wherever the edge is."""
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


def test_impossible_bounds_are_refused_together() -> None:
    """Each with what is wrong."""
    with pytest.raises(CompareError, match=r"--slo-share must be .*; --from 9 must be .*; --loads must be 1"):
        CapacitySearch(share=1, first=9, most=4, loads=0)


def test_seconds_are_those_of_the_clock() -> None:
    """The queue of this file has no waits below its servers."""
    assert met_at_concurrency(SERVERS) == met_at_concurrency(1) == pytest.approx(1 - math.exp(-WITHIN_S))
    assert SECOND_NS == 10**9


@pytest.mark.parametrize(("by_rate", "edge"), [(True, 12), (True, 0), (False, 12)])
def test_a_rate_that_was_kept_is_said_to_be_too_high_perhaps(by_rate: bool, edge: int) -> None:
    """In the result itself, in both languages; a concurrency has no such doubt, nor has a rate that none was kept."""
    search = CapacitySearch(by_rate=by_rate)
    tried = run_search(search, lambda load: shown(load, *((0.96, 0.99) if load <= edge else (0.5, 0.6))))
    with in_language("en"):
        sentence = describe_capacity(FoundCapacity("acme/m", search, "total=1s", tuple(tried)))
    assert ("longer than 100 requests may take" in sentence) == ("may be a tenth lower" in sentence)
    assert ("may be a tenth lower" in sentence) == (by_rate and edge > 0)
    assert ("十分之一" in other_of(sentence)) == (by_rate and edge > 0)
