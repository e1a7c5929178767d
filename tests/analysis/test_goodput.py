"""Goodput of records with a known result, and coverage of its interval if requests of a round fail together."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np
import pandas as pd
import pytest

from runner.analysis.diff import diff_runs, diff_within
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.goodput import share_interval
from runner.analysis.run_results import Run
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.slo import Slo, parse_slo
from runner.errors import CompareError
from tests.support.crafted_runs import BASE, NEW, SECOND, answered, failed, run_of
from tests.support.virtual_sweep import header_of, sweep_records

SLO = {"ttft_s": 0.5}


def at(second: int, record: Record) -> Record:
    """Return a record that was sent at a second of the run."""
    ends = record.timestamps.last_event or SECOND
    return replace(
        record, timestamps=replace(record.timestamps, sent=second * SECOND, last_event=second * SECOND + ends - SECOND)
    )


def test_failures_miss_and_what_was_not_tried_is_in_no_share() -> None:
    """Two of four sent requests met the SLO, in 3.8 s from the first request to the last data, with 3 tokens each."""
    records = [
        at(1, answered(block=1, ttft_s=0.3)),
        at(2, answered(block=2, ttft_s=0.9)),
        at(3, failed(block=3)),
        at(4, answered(block=4, ttft_s=0.0)),
        replace(at(4, failed(block=5)), outcome=Outcome.CANCELLED),
        replace(at(4, failed(block=6)), outcome=Outcome.SKIPPED),
    ]
    (summary,) = run_of(records, slo=SLO).summary
    assert summary.goodput is not None
    assert (summary.goodput.share, summary.goodput.n, summary.goodput.interval) == (0.5, 4, None)
    assert summary.goodput.requests_per_s == pytest.approx(2 / 3.8, rel=1e-3)
    assert summary.goodput.output_tps == pytest.approx(6 / 3.8, rel=1e-3)


def test_a_request_of_unknown_figures_is_left_out_and_named_by_n() -> None:
    """Without token counts, a threshold on TPOT and goodput in tokens are unknown."""
    records = [answered(block=block, output_tokens=3 if block > 1 else None) for block in range(1, 9)]
    (by_tpot,) = run_of(records, slo={"tpot_s": 1.0}).summary
    (by_ttft,) = run_of(records, slo=SLO).summary
    assert by_tpot.goodput is not None
    assert by_ttft.goodput is not None
    assert (by_tpot.goodput.share, by_tpot.goodput.n) == (1.0, 7)
    assert (by_ttft.goodput.n, by_ttft.goodput.output_tps) == (8, None)


def test_without_an_slo_there_is_no_goodput_and_another_one_may_be_set_later() -> None:
    """An SLO given later judges the same measurements."""
    run = run_of([answered(ttft_s=0.3)])
    assert [each.goodput for each in run.summary] == [None]
    (strict,) = run.with_slo(parse_slo("ttft=100ms")).summary
    assert strict.goodput is not None
    assert strict.goodput.share == 0


def test_each_level_has_its_goodput_in_the_steady_state() -> None:
    """The first and last requests of a level are left out, and rates cover the same span as those of all requests."""
    run = Run.of(replace(header_of(levels=(4, 32)), slo={"ttft_s": 0.2}), sweep_records((4, 32), 1000))
    for point in run.sweep:
        found = point.goodput
        assert found is not None
        assert point.requests_per_s is not None
        assert found.n == 1000 - 2 * point.concurrency
        assert found.requests_per_s == pytest.approx(found.share * point.requests_per_s, rel=0.03)
    (summary,) = run.summary
    assert summary.goodput is not None
    assert summary.goodput.requests_per_s is None, "levels together have no rate"


def test_an_open_loop_counts_from_the_scheduled_time() -> None:
    """In an open loop, the time before sending counts towards the SLO."""
    late = answered(ttft_s=0.3)
    late = replace(late, timestamps=replace(late.timestamps, planned=SECOND // 2))
    on_time = replace(answered(block=2, ttft_s=0.3), timestamps=replace(late.timestamps, planned=SECOND))
    (point,) = run_of([late, on_time], load={"rate": 2.0}, slo=SLO).open_loop
    assert point.goodput is not None
    assert (point.goodput.share, point.goodput.n) == (0.5, 2)


def spells(random: Random, rounds: int, each: int) -> Iterator[tuple[int, float]]:
    """Yield the round and the result of requests whose rounds are good or bad as a whole: 90 % on average."""
    for block in range(rounds):
        share = 0.5 if random.random() < 0.2 else 1.0
        for _ in range(each):
            yield block, float(random.random() < share)


def test_interval_has_its_coverage_if_rounds_fail_as_a_whole() -> None:
    """It contains the true share in about 95 % of runs; an interval for independent requests far less often."""
    random, hits, naive_hits, runs = Random(3), 0, 0, 300
    for _ in range(runs):
        blocks, marks = zip(*spells(random, 20, 10), strict=True)
        rows = pd.DataFrame({"block": blocks, "case": ["one"] * len(blocks)})
        interval = share_interval(pd.Series(marks), rows)
        share, n = float(np.mean(marks)), len(marks)
        half = 1.96 * (share * (1 - share) / n) ** 0.5
        assert interval is not None
        hits += interval.low <= 0.9 <= interval.high
        naive_hits += share - half <= 0.9 <= share + half
    assert hits / runs >= 0.9
    assert naive_hits / runs < 0.75


def test_cases_are_the_clusters_of_a_run_of_few_rounds() -> None:
    """Forty cases in one round have an interval, three cases have none."""
    rows = pd.DataFrame({"block": [1] * 40, "case": [f"c{number}" for number in range(40)]})
    met = pd.Series([float(number % 4 > 0) for number in range(40)])
    interval = share_interval(met, rows)
    assert interval is not None
    assert interval.low < 0.75 < interval.high
    assert share_interval(met[:3], rows[:3]) is None


def judged(target: str, rounds: int, misses: int) -> list[Record]:
    """Return records of which this many miss a TTFT of half a second, spread over the rounds."""
    every = rounds // misses if misses else rounds + 1
    return [answered(target, block=1 + at, ttft_s=0.9 if at % every == every - 1 else 0.3) for at in range(rounds)]


@pytest.mark.parametrize("paired", [True, False])
def test_a_lower_share_regresses_and_a_gate_sees_it(paired: bool) -> None:
    """Goodput is compared within one run and between two, as failures are."""
    rule = Rule(measures=("slo",))
    if paired:
        both = run_of([*judged(BASE, 300, 3), *judged(NEW, 300, 100)], slo=SLO)
        difference = diff_within(both, BASE, NEW, rule)
    else:
        base, new = run_of(judged(BASE, 300, 3), slo=SLO), run_of(judged(BASE, 300, 100), "new", slo=SLO)
        difference = diff_runs(base, new, rule)
    (finding,) = difference.findings
    assert (finding.verdict, finding.measure.name, finding.n) == (Verdict.REGRESSED, "slo", (300, 300))
    assert finding.change == pytest.approx(-97 / 300)


def test_the_newer_runs_slo_judges_both() -> None:
    """Both runs are judged by the same SLO; without one the measure is absent, and requesting it is an error."""
    base, new = run_of(judged(BASE, 60, 0)), run_of(judged(BASE, 60, 0), "new", slo={"ttft_s": 0.2})
    (finding,) = diff_runs(base, new, Rule(measures=("slo",))).findings
    assert (finding.base_level, finding.new_level) == (0, 0)
    assert "slo" not in {each.measure.name for each in diff_runs(base, base).findings}
    with pytest.raises(CompareError, match="set it, --slo"):
        diff_runs(base, base, Rule(measures=("slo",)))


def test_slo_is_stored_in_the_header() -> None:
    """It is stored in seconds by column."""
    assert run_of([answered()], slo=Slo(ttft_s=0.5).to_plain()).slo == Slo(ttft_s=0.5)
