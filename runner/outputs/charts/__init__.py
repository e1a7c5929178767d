"""Charts of a run as inline SVG: pure functions that return a `Chart`, or None where there is nothing to draw.

    draw_swarm(run, TTFT)             every request as a dot, medians with their intervals; likewise with TOTAL
    draw_ecdf(run, TTFT)              the share of requests within a time, from n 20; likewise with TOTAL
    draw_phases(run)                  where the time of each target's median request went
    draw_ttft_against_prompt(run)     TTFT against the prompt's size
    draw_total_against_reply(run)     total against the reply's size
    draw_arrivals(run, records)       text arriving over time, a line for each reply
    draw_waterfall(run, records)      every request in time
    draw_ttft_under_load(run)         TTFT over the levels of a sweep
    draw_tokens_under_load(run)       tokens a second over the levels of a sweep

A run's table has no absolute times and no text events, so two functions take the journal's records as well: all of
them, or those of one case.

A page decides on the size of charts (they scale), on their ink (`currentColor`) and on their colours (`--series-1` to
`--series-8`); it must give each chart a `prefix` of its own, with which all its ids begin.
"""

from collections.abc import Iterator

from runner.analysis.run_results import Run
from runner.outputs.charts.arrivals import draw_arrivals
from runner.outputs.charts.chart import Chart
from runner.outputs.charts.chart_data import TOTAL, TTFT, ChartDuration
from runner.outputs.charts.ecdf import draw_ecdf
from runner.outputs.charts.phases import draw_phases
from runner.outputs.charts.scatter import draw_total_against_reply, draw_ttft_against_prompt
from runner.outputs.charts.swarm import draw_swarm
from runner.outputs.charts.sweep import draw_tokens_under_load, draw_ttft_under_load
from runner.outputs.charts.waterfall import draw_waterfall

__all__ = [
    "TOTAL",
    "TTFT",
    "Chart",
    "ChartDuration",
    "draw_arrivals",
    "draw_charts",
    "draw_ecdf",
    "draw_phases",
    "draw_swarm",
    "draw_tokens_under_load",
    "draw_total_against_reply",
    "draw_ttft_against_prompt",
    "draw_ttft_under_load",
    "draw_waterfall",
]


def draw_charts(run: Run, prefix: str) -> list[Chart]:
    """Return all charts of a run that have something to draw, in the order of a report."""
    return [chart for chart in _draw_each(run, prefix) if chart]


def _draw_each(run: Run, prefix: str) -> Iterator[Chart | None]:
    yield draw_ttft_under_load(run, f"{prefix}-ttft-under-load")
    yield draw_tokens_under_load(run, f"{prefix}-tokens-under-load")
    for over in (TTFT, TOTAL):
        yield draw_swarm(run, over, f"{prefix}-swarm-{over.column}")
    for over in (TTFT, TOTAL):
        yield draw_ecdf(run, over, f"{prefix}-ecdf-{over.column}")
    yield draw_phases(run, f"{prefix}-phases")
    yield draw_arrivals(run, run.records, f"{prefix}-arrivals")
    yield draw_waterfall(run, run.records, f"{prefix}-waterfall")
    yield draw_ttft_against_prompt(run, f"{prefix}-prompt-size")
    yield draw_total_against_reply(run, f"{prefix}-reply-size")
