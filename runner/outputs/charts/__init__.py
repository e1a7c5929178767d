"""Pictures of a run as inline SVG, each a pure function that returns a `Picture`; None where there is nothing to draw.

    draw_points(run, TTFT)            every request as a dot, medians with their intervals; likewise with TOTAL
    draw_shares(run, TTFT)            the share of requests within a time, from n 20; likewise with TOTAL
    draw_phases(run)                  where the time of each target's median request went
    draw_ttft_against_prompt(run)     TTFT against the prompt's size
    draw_total_against_reply(run)     total against the reply's size
    draw_arrivals(run, records)       text arriving over time, a line for each reply
    draw_waterfall(run, records)      every request in time
    draw_ttft_under_load(run)         TTFT over the levels of a sweep
    draw_tokens_under_load(run)       tokens a second over the levels of a sweep

The table has no absolute times and no text events, so two take the journal's records as well: all of them, or those
of one case.

A page decides how large pictures are (they scale), in which ink (`currentColor`) and in which colours (`--series-1` to
`--series-8`); it must give each a `prefix` of its own, with which all ids begin.
"""

from runner.outputs.charts.arrivals import draw_arrivals
from runner.outputs.charts.chart import Chart
from runner.outputs.charts.durations import TOTAL, TTFT, ChartDuration
from runner.outputs.charts.phases import draw_phases
from runner.outputs.charts.points import draw_points
from runner.outputs.charts.relations import draw_total_against_reply, draw_ttft_against_prompt
from runner.outputs.charts.shares import draw_shares
from runner.outputs.charts.sweep import draw_tokens_under_load, draw_ttft_under_load
from runner.outputs.charts.waterfall import draw_waterfall

__all__ = [
    "TOTAL",
    "TTFT",
    "Chart",
    "ChartDuration",
    "draw_arrivals",
    "draw_phases",
    "draw_points",
    "draw_shares",
    "draw_tokens_under_load",
    "draw_total_against_reply",
    "draw_ttft_against_prompt",
    "draw_ttft_under_load",
    "draw_waterfall",
]
