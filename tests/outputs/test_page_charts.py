"""Charts for a page: two widths, two scales, shared scales of several runs, readings, and the trade-off chart."""

import math
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cache

import pytest

from runner.analysis.run_results import RecordSource, Run
from runner.core.record import Record
from runner.outputs.charts.chart import NARROW, Canvas, Chart, PageChart
from runner.outputs.charts.run_charts import draw_page_charts
from runner.outputs.charts.svg import WIDE
from runner.outputs.charts.tradeoff import TradeoffPoint, draw_tradeoff
from tests.support.crafted_runs import BASE, NEW, answered, header
from tests.support.report_pages import TARGETS, Shape
from tests.support.svg_geometry import NAMESPACE, check, follow, parse

RUN = Shape(3, 13, 12, down=None).run


@cache
def page_charts() -> list[PageChart]:
    """Return the charts of that run's page, drawn once."""
    return draw_page_charts([RUN])


def priced(costs: dict[str, int], passing: dict[str, int], totals_s: dict[str, float]) -> Run:
    """Return a run of ten cases for each target, with this many checks passed, all of the same time and cost."""
    cases = tuple(f"case-{at}" for at in range(10))
    records = [
        replace(
            answered(target, case, 1, ttft_s=total_s - 0.5, reply="yes" if at < passing[target] else "no"),
            input_tokens=1,
            output_tokens=costs[target],
        )
        for target, total_s in totals_s.items()
        for at, case in enumerate(cases)
    ]
    price = {"currency": "CNY", "source": "list", "date": None, "rates": [{"input": "0", "output": "1000"}]}
    checks = {case: {"checks": {"contains": "yes"}, "pass": "all", "turns": 1, "line": 1} for case in cases}
    prices = dict.fromkeys(totals_s, price)
    return Run.of(header("priced", tuple(totals_s), cases=cases, prices=prices, checks=checks), records)


def test_each_chart_is_drawn_for_both_widths_and_scales() -> None:
    """A chart with a switch has four drawings, any other two; all have the same readings."""
    charts = page_charts()
    assert len(charts) >= 8
    for chart in charts:
        assert len(chart.variants) == (4 if chart.can_switch else 2), chart.title
        assert {variant.narrow for variant in chart.variants} == {True, False}
        for variant in chart.variants:
            root = parse(Chart(chart.title, variant.svg, chart.caption))
            assert float(root.attrib["width"]) == (NARROW if variant.narrow else WIDE)
            assert ("(log scale)" in variant.svg) == variant.logarithmic


def test_every_reading_has_its_mark() -> None:
    """A series has as many marks as readings in each drawing; otherwise a pointer would show the wrong one."""
    for chart in page_charts():
        for variant in chart.variants:
            root = parse(Chart(chart.title, variant.svg, chart.caption))
            found = {
                path.attrib["data-series"]: path.attrib["d"] for path in root.iter() if "data-series" in path.attrib
            }
            assert found.keys() == chart.readings.keys()
            for series, data in found.items():
                ends = [*follow(data)]
                marks = data.count("h0") or data.count("V") or len(ends)
                assert marks == len(chart.readings[series]), (chart.title, series)


def test_readings_name_the_request() -> None:
    """A dot of the swarm has its case, repeat and value."""
    (swarm,) = [chart for chart in page_charts() if chart.title.startswith("Time to first text of every")]
    assert len(swarm.readings["0"]) == 13 * 12
    assert any("capital-of-france · repeat 7: " in text for text in swarm.readings["0"])


def test_runs_side_by_side_share_their_scales() -> None:
    """Equal values are at equal places in both runs' charts, for any ranges."""
    slow = replace(RUN.header, run_id="slow")
    records = [answered(BASE, "one", at, ttft_s=0.1 * at) for at in (1, 2, 3)]
    other = [answered(BASE, "one", at, ttft_s=2.0 * at) for at in (1, 2, 3)]
    runs = [Run.of(header(name, (BASE,)), of_run) for name, of_run in (("fast", records), (slow.run_id, other))]
    charts = [chart for chart in draw_page_charts(runs) if chart.title.startswith("Time to first text of every")]
    assert [chart.run for chart in charts] == [1, 2]
    ticks = [
        [text.text for text in parse(Chart("", chart.variants[0].svg, "")).iter(f"{NAMESPACE}text")][-4:-1]
        for chart in charts
    ]
    assert ticks[0] == ticks[1]


@dataclass
class CountedSource:
    """A source of records that counts how often they are read."""

    source: RecordSource
    passes: int = 0

    @property
    def records(self) -> Iterator[Record]:
        """All records, read once more."""
        self.passes += 1
        yield from self.source.records

    def records_at(self, positions: AbstractSet[int]) -> Iterable[Record]:
        """Return the records at these positions, read once more."""
        self.passes += 1
        return self.source.records_at(positions)


def test_records_are_read_once_for_all_drawings() -> None:
    """Two widths take three passes: requests at the medians, text and times of all, and tokens."""
    sources = [CountedSource(RUN.source), CountedSource(RUN.source)]
    charts = draw_page_charts([replace(RUN, source=source) for source in sources])
    of_run_2 = {chart.title for chart in charts if chart.run == 2}
    assert {"Text arriving over time, by target", "Requests in time, by target"} <= of_run_2
    assert [source.passes for source in sources] == [3, 3]


# -- The trade-off chart -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("targets", [2, 6, 12])
@pytest.mark.parametrize("logarithmic", [True, False])
def test_the_tradeoff_is_legible(width: float, targets: int, logarithmic: bool) -> None:
    """For any number of targets, no label covers another or leaves the chart."""
    chart = draw_tradeoff(Shape(targets, 13, 2).run, Canvas("tradeoff", width, logarithmic))
    assert chart is not None
    check(chart, "tradeoff")


def test_the_tradeoff_has_every_target_and_names_those_that_fit() -> None:
    """The reading of each target has its time, pass rate and cost of 1,000 requests."""
    run = priced({BASE: 1, NEW: 3}, {BASE: 5, NEW: 10}, {BASE: 1.0, NEW: 2.0})
    chart = draw_tradeoff(run, Canvas())
    assert chart is not None
    assert chart.title == "Cost, quality and time"
    assert chart.readings["0"] == ("whole reply 1.00 s, pass rate 50.0 % [23.7, 76.3], 1.00 CNY per 1,000, n 10",)
    assert chart.readings["1"] == ("whole reply 2.00 s, pass rate 100.0 % [72.2, 100.0], 3.00 CNY per 1,000, n 10",)
    assert "1.00 CNY per 1,000" in [text.text for text in parse(chart).iter(f"{NAMESPACE}text")]


def test_a_target_that_is_beaten_in_everything_is_hollow() -> None:
    """The third target is slower, more expensive and passes less than the first; the line joins the other two."""
    third = "acme/third"
    run = priced({BASE: 1, NEW: 3, third: 5}, {BASE: 5, NEW: 10, third: 4}, {BASE: 1.0, NEW: 2.0, third: 3.0})
    chart = draw_tradeoff(run, Canvas())
    assert chart is not None
    hollow = [path for path in parse(chart).iter() if path.attrib.get("stroke", "").startswith("var(--paper")]
    assert len(hollow) == 1
    (line,) = [path.attrib["d"] for path in parse(chart).iter() if path.attrib.get("stroke-dasharray") == "5 4"]
    (x1, y1), (x2, y2) = follow(line)
    assert x1 < x2
    assert y1 > y2
    assert math.isfinite(x1)


def test_an_unknown_pass_rate_is_not_compared() -> None:
    """It is no pass rate of 0: a target without one can beat and be beaten."""
    unknown = TradeoffPoint(BASE, 0, 5, 1.0, None, None, None, None, None)
    slow = replace(unknown, target=NEW, total_s=2.0, passed=1.0)
    assert unknown.beats(slow)
    assert not slow.beats(unknown)


def test_costs_of_different_currencies_are_not_compared() -> None:
    """A slower target that passes less is dominated, for any number of units of another currency."""
    made = priced({BASE: 1, NEW: 1}, {BASE: 10, NEW: 5}, {BASE: 1.0, NEW: 2.0})
    cheap = {"currency": "USD", "source": "list", "date": None, "rates": [{"input": "0", "output": "1"}]}
    prices = {**made.header.prices, NEW: cheap}
    chart = draw_tradeoff(Run.of(replace(made.header, prices=prices), made.records), Canvas())
    assert chart is not None
    assert "0.001 USD per 1,000" in chart.readings["1"][0]
    assert sum(path.attrib.get("stroke", "").startswith("var(--paper") for path in parse(chart).iter()) == 1


def test_there_is_no_tradeoff_without_cost_and_checks() -> None:
    """Time alone is no trade-off, and neither is a single target."""
    assert draw_tradeoff(Run.of(header("plain", (BASE, NEW)), [answered(BASE), answered(NEW)]), Canvas()) is None
    assert draw_tradeoff(Shape(1, 13, 2).run, Canvas()) is None
    assert len(TARGETS) == 12
