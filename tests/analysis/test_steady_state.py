"""Closed loops in their steady state, on a queue with a known solution, under a virtual clock."""

import math
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import gamma

from runner.analysis.diff import diff_within
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.paired_lead import paired_lead
from runner.analysis.run_results import Run
from runner.analysis.stored_summary import summarize_run
from runner.core.load_profile import RampSetting
from runner.core.record import Record
from runner.core.record_fields import Timestamps
from tests.support.crafted_runs import BASE, NEW, answered, header
from tests.support.virtual_run import SECOND_NS
from tests.support.virtual_sweep import DECODE_S, EACH, PREFILL_S, header_of, sweep_records, sweep_run

LEVELS = (1, 4, 16, 32)


def reading_probabilities(customers: int) -> NDArray[np.float64]:
    """Return the exact probabilities that 0, 1, ... of this many customers are read or wait to be read."""
    weights = [math.perm(customers, at) * (PREFILL_S / DECODE_S) ** at for at in range(customers + 1)]
    return np.array(weights) / sum(weights)


def expected_p95_s(concurrency: int) -> float:
    """Return the exact p95 of TTFT: an arrival finds the state of the other customers, and waits for those ahead."""
    before = reading_probabilities(concurrency - 1)

    def share_above(seconds: float) -> float:
        return float(sum(p * gamma.sf(seconds, at + 1, scale=PREFILL_S) for at, p in enumerate(before))) - 0.05

    return float(brentq(share_above, 0, 100 * PREFILL_S))


def expected_requests_per_s(concurrency: int) -> float:
    """Return the exact throughput, at which prompts are read at full rate whenever there is one."""
    return float(1 - reading_probabilities(concurrency)[0]) / PREFILL_S


def errors(each: int, sweeps: int, *, ramp: RampSetting = "auto", old: bool = False) -> dict[int, tuple[float, float]]:
    """Return the mean relative errors of p95 and throughput at each level over some sweeps."""
    header = replace(header_of(levels=LEVELS, ramp=ramp), repeat=each, release=None if old else "free")
    found: dict[int, list[tuple[float, float]]] = {}
    for seed in range(sweeps):
        records, entries = sweep_run(LEVELS, each, seed, ramp)
        for point in Run.of(header, records, entries=entries).sweep:
            assert point.ttft_p95_s is not None
            assert point.requests_per_s is not None
            off = (
                point.ttft_p95_s / expected_p95_s(point.concurrency) - 1,
                point.requests_per_s / expected_requests_per_s(point.concurrency) - 1,
            )
            found.setdefault(point.concurrency, []).append(off)
    return {level: (fmean(p95 for p95, _ in each), fmean(rate for _, rate in each)) for level, each in found.items()}


@pytest.mark.thorough
def test_sweep_finds_the_p95_and_throughput_of_a_known_queue() -> None:
    """Within 5 % of the exact answer at each level, with a thousand requests and with two hundred."""
    for each, sweeps in ((1000, 6), (200, 40)):
        for p95, rate in errors(each, sweeps).values():
            assert abs(p95) <= 0.05
            assert abs(rate) <= 0.05


def test_figures_of_whole_levels_are_far_off() -> None:
    """At 16 in flight, a hundred requests have twice the p95, which is why sweeps leave out the first ones."""
    p95, rate = errors(100, 20, ramp="none", old=True)[16]
    assert p95 > 0.5
    assert rate < -0.2


RAMP_S = 1.03
"""The mean time that a request takes while nobody else waits."""


def test_places_of_a_level_open_over_the_ramp() -> None:
    """Slots of the first level open one by one, and so do those that a later level adds to the full ones."""
    sweep = sweep_records((4, 8), 100, ramp=RAMP_S)
    first = sorted(sent_ns(each) for each in sweep if each.identity.block <= 100)
    assert first[0] == 0
    for place in (1, 2, 3):
        begun = sum(at <= place * RAMP_S / 4 * 1e9 for at in first)
        ended = sum((each.timestamps.last_event or 0) <= place * RAMP_S / 4 * 1e9 for each in sweep)
        assert begun - ended <= place + 1
    start = min(sent_ns(each) for each in sweep if each.identity.block > 100)
    in_flight = [
        sum(sent_ns(each) <= at < (each.timestamps.last_event or 0) for each in sweep)
        for at in (start + round(share * RAMP_S * 1e9) for share in (0.1, 0.3, 0.6, 1.1))
    ]
    assert in_flight[0] <= 5
    assert in_flight[1] <= 6
    assert in_flight[2] <= 7
    assert in_flight[3] == 8


def test_a_ramp_has_no_first_wave_and_the_steady_states_figures() -> None:
    """At 32 in flight the longest wait of the first requests is below half of that of a burst; p95 is exact."""
    header = header_of(levels=(32,))
    burst, ramped = sweep_records((32,), EACH), sweep_records((32,), EACH, ramp=RAMP_S)
    longest = [max(each.text_events.at_us[0] for each in records[:32]) for records in (burst, ramped)]
    assert longest[1] < longest[0] / 2
    points = [
        Run.of(header_of(levels=(32,), ramp_s=RAMP_S), sweep_records((32,), EACH, seed, RAMP_S)).sweep[0]
        for seed in range(6)
    ]
    assert all(point.left_out >= 32 for point in points)
    assert fmean(point.ttft_p95_s or 0 for point in points) == pytest.approx(expected_p95_s(32), rel=0.08)
    assert fmean(point.requests_per_s or 0 for point in points) == pytest.approx(expected_requests_per_s(32), rel=0.05)
    assert Run.of(header, burst).sweep[0].left_out == 64


@pytest.fixture(scope="module")
def sweep() -> list[Record]:
    """Return a sweep of four levels."""
    return sweep_records(LEVELS, EACH)


def sent_ns(record: Record) -> int:
    """Return the time at which a request was sent."""
    assert record.timestamps.sent is not None
    return record.timestamps.sent


def test_steady_figures_name_what_was_left_out(sweep: list[Record]) -> None:
    """As many requests as may be in flight are left out at either end, and the lane was full between them."""
    for point in Run.of(header_of(levels=LEVELS), sweep).sweep:
        assert (point.n, point.left_out) == (EACH - 2 * point.concurrency, 2 * point.concurrency)
        assert point.mean_in_flight == pytest.approx(point.concurrency, rel=0.01)


def test_next_level_begins_before_the_last_has_drained(sweep: list[Record]) -> None:
    """Its first request is sent when a slot is free, while others of the level before are in flight."""
    for level in range(1, len(LEVELS)):
        first_ns = min(sent_ns(each) for each in sweep if each.identity.block > level * EACH)
        before = [each for each in sweep if each.identity.block <= level * EACH]
        assert sum((each.timestamps.last_event or 0) > first_ns for each in before) >= LEVELS[level - 1] - 1


def test_first_and_last_requests_of_a_level_are_kept_and_flagged(sweep: list[Record]) -> None:
    """Flagged requests are in the table, in the rows and in counts of outcomes, but in no latency of the summary."""
    run = Run.of(header_of(levels=LEVELS), sweep)
    (summary,) = run.summary
    assert (len(run.table), summary.ok, summary.flags["filling"]) == (4 * EACH, 4 * EACH, sum(LEVELS))
    assert summary.ttft_p50 is not None
    assert (summary.ttft_p50.n, summary.left_out) == (4 * EACH - 2 * sum(LEVELS), 2 * sum(LEVELS))
    assert [row["flags"] for row in run.rows].count("filling") == sum(LEVELS)
    assert [row["flags"] for row in run.rows].count("draining") == sum(LEVELS)
    assert run.frame["flags"].eq("filling").sum() == run.frame["flags"].eq("draining").sum() == sum(LEVELS)


@pytest.mark.parametrize("load", [{"max_requests": 300}, {"duration_s": 60}])
def test_a_bounded_closed_loop_leaves_out_as_many_as_were_in_flight(load: dict[str, object]) -> None:
    """With `--requests` or `--duration`, too, the first and last are flagged; without either, none are."""
    records = [replace(each, in_flight=min(at + 1, 8)) for at, each in enumerate(sweep_records((8,), 300))]
    flags = [row["flags"] for row in Run.of(replace(header_of(**load), repeat=None), records).rows]
    assert flags == ["filling"] * 8 + [None] * 284 + ["draining"] * 8
    for other in ({}, {**load, "rate": 5.0}, {**load, "adaptive": True}):
        assert Run.of(replace(header_of(**other), repeat=None), records).table["flags"].isna().all()


def test_a_number_of_requests_beside_repeats_is_only_a_cap() -> None:
    """`--repeat 12 --requests 48` sends rounds as `--repeat 12` does: no request is left out."""
    records = [replace(each, in_flight=min(at + 1, 8)) for at, each in enumerate(sweep_records((8,), 48))]
    capped = replace(header_of(max_requests=48), repeat=12)
    assert Run.of(capped, records).table["flags"].isna().all()
    assert Run.of(replace(capped, repeat=None), records).table["flags"].notna().any()


def test_older_sweeps_are_read_as_before(sweep: list[Record]) -> None:
    """A header without the release rule is that of a sweep whose lanes emptied between levels."""
    old = replace(header_of(levels=LEVELS), release=None)
    assert [(point.n, point.left_out) for point in Run.of(old, sweep).sweep] == [(EACH, 0)] * 4
    assert Run.of(old, sweep).table["flags"].isna().all()


def test_level_with_too_few_requests_is_blank() -> None:
    """There is no steady state if no more requests were sent than may be in flight."""
    (point,) = Run.of(replace(header_of(levels=(4,)), repeat=4), sweep_records((4,), 4)).sweep
    assert (point.n, point.left_out, point.ttft_p50_s, point.requests_per_s) == (0, 4, None, None)


def two_targets(load: dict[str, Any], each: int = 60) -> Run:
    """Return a run of two targets that differ only in what they do before the load is steady."""
    made = [
        answered(target, block=at, ttft_s=(first_s if at <= 4 else 0.2) * (1 + at % 5 / 20), in_flight=4)
        for target, first_s in ((BASE, 0.2), (NEW, 20.0))
        for at in range(1, each + 1)
    ]
    records = [_sent_at(each, each.identity.block * SECOND_NS) for each in made]
    return Run.of(header(targets=(BASE, NEW), release="together", load=load, repeat=None), records)


def _sent_at(record: Record, at_ns: int) -> Record:
    took_ns = (record.timestamps.last_event or 0) - sent_ns(record)
    return replace(record, timestamps=Timestamps(sent=at_ns, last_event=at_ns + took_ns))


def test_comparisons_and_histories_use_the_requests_of_the_summary() -> None:
    """The first requests, a hundred times slower, are in no pair, level or median."""
    run = two_targets({"max_requests": 60})
    (found,) = diff_within(run, BASE, NEW, Rule(measures=("ttft",))).findings
    assert found.change == pytest.approx(1)
    assert (found.units, found.n) == (52, (52, 52))
    (slow,) = diff_within(run, BASE, NEW, Rule(measures=("slow",))).findings
    assert (slow.base_level, slow.new_level) == (0, 0)
    lead = paired_lead(run.table, run.targets[0], run.targets[1], "ttft_s")
    assert lead is not None
    assert lead.pairs == found.n[0]
    base, new = summarize_run(run, "1").targets
    assert new.levels["ttft_s"] == pytest.approx(base.levels["ttft_s"])
    assert base.levels["ttft_s"] == pytest.approx(found.base_level)
    assert new.medians["ttft_s"].n == 52
    whole = two_targets({})
    (everything,) = diff_within(whole, BASE, NEW, Rule(measures=("ttft",))).findings
    assert (everything.units, everything.verdict) == (60, Verdict.UNDECIDED)
    assert everything.change == pytest.approx(100 ** (4 / 60))


def test_all_requests_of_runs_without_a_steady_state_are_compared_with_a_note() -> None:
    """A bound on the requests of a short run is no reason not to compare them."""
    run = two_targets({"max_requests": 8}, 8)
    found = diff_within(run, BASE, NEW, Rule(measures=("ttft",)))
    assert found.findings[0].units == 8
    assert found.findings[0].change == pytest.approx(10)
    (warning,) = (each for each in found.warnings if "steady state" in each)
    assert warning.startswith(f"{NEW}: a side has no steady state, so all requests are compared")
    judged = replace(run, header=replace(run.header, slo={"ttft_s": 1.0}))
    (slo,) = diff_within(judged, BASE, NEW, Rule(measures=("slo",))).findings
    assert slo.n == (8, 8)
    base, new = summarize_run(run, "1").targets
    assert new.levels["ttft_s"] / base.levels["ttft_s"] == pytest.approx(10)
    assert (new.medians, new.questions) == ({}, 1)
