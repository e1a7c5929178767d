"""The dots of a history chart: every run, or a sample that keeps extremes and changes, by a stated rule."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.analysis.diff_measures import TIMED_MEASURES
from runner.analysis.history import RunSeries, make_series
from runner.analysis.stored_summary import summarize_run
from runner.outputs.charts.chart import NARROW, Canvas
from runner.outputs.charts.history import MAX_DRAWN, PARTS, DrawnSeries, draw_history, draw_runs_by_hour
from runner.outputs.charts.svg import WIDE
from runner.storage.stored_summary import StoredRun
from tests.support.crafted_runs import answered, run_of

FIRST = datetime(2026, 1, 1, 3, 4, tzinfo=UTC)
SUMMARY = summarize_run(run_of([answered()]), "1")


def series_of(levels: Sequence[float]) -> RunSeries:
    """Return the series of hourly runs with these medians and levels of the TTFT."""
    (target,) = SUMMARY.targets
    median = target.medians["ttft_s"]
    runs = []
    for at, level in enumerate(levels):
        own = replace(target, levels={"ttft_s": level}, medians={"ttft_s": replace(median, value=level)})
        started = (FIRST + timedelta(hours=at)).isoformat()
        runs.append(StoredRun(Path(f"run-{at}"), replace(SUMMARY, run_id=f"{at}", started_at=started, targets=(own,))))
    (series,) = make_series(runs, TIMED_MEASURES[:1])
    return series


def levels(count: int) -> list[float]:
    """Return levels that vary around 0.3 s, a quarter more from the middle on."""
    random = Random(2)
    return [(0.375 if at >= count // 2 else 0.3) * random.lognormvariate(0, 0.05) for at in range(count)]


@pytest.mark.parametrize("count", [2, MAX_DRAWN])
def test_up_to_1500_runs_all_have_a_dot(count: int) -> None:
    """Nothing is left out, and the caption has no rule."""
    drawn = DrawnSeries(series_of(levels(count)))
    assert (len(drawn.over_time), len(drawn.newest)) == (count, count)
    assert "drawn" not in draw_history(drawn, 0, Canvas()).caption


def test_a_sample_of_ten_thousand_runs_keeps_extremes_and_changes() -> None:
    """Both captions state the rule, and counts are of all runs."""
    values = levels(10_000)
    values[7_000] = 3.0
    drawn = DrawnSeries(series_of(values))
    shown = [each.value for each in drawn.over_time]
    assert PARTS < len(shown) <= 3 * PARTS + 2
    assert {min(values), max(values)} <= {*shown}
    (change,) = drawn.series.changes
    assert {values[change.at - 1], values[change.at]} <= {*shown}
    chart = draw_history(drawn, 0, Canvas())
    assert f"10,000 runs. {len(shown):,} of these are drawn: of each of {PARTS} parts of the time" in chart.caption
    assert len(chart.readings["runs"]) == len(shown)
    hours = draw_runs_by_hour(drawn, 0, Canvas())
    assert hours is not None
    assert f"10,000 runs, by when they began. The newest {MAX_DRAWN:,} are drawn." in hours.caption
    assert [each.value for each in drawn.newest] == values[-MAX_DRAWN:]


@settings(max_examples=10)
@given(st.lists(st.sampled_from([0.1, 0.2, 0.9, 5.0]), min_size=1, max_size=40), st.integers(38, 60))
def test_any_levels_keep_their_extremes_and_order(pattern: list[float], times: int) -> None:
    """Runs stay in the order of time, each at most once, for any levels."""
    drawn = DrawnSeries(series_of(pattern * times))
    shown = [each.at for each in drawn.over_time]
    assert shown == sorted({*shown})
    assert {min(pattern), max(pattern)} <= {each.value for each in drawn.over_time}


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_any_span_has_two_dates_at_every_width(width: float) -> None:
    """A single date would not show the scale of the axis, which has a title."""
    for days in (3, 20, 100, 167, 250, 400):
        drawn = DrawnSeries(series_of([0.3] * (days * 24)))
        svg = draw_history(drawn, 0, Canvas(width=width)).svg
        assert len(re.findall(r">(?:20\d\d|\d\d)-\d\d(?: \d\d:\d\d)?<", svg)) >= 2, days
        assert ">started</text>" in svg
