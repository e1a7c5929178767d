"""All charts of a run, in the order of a report, and what several of them read of its records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

from runner.analysis.run_results import Run
from runner.outputs.charts.chart import Canvas, Chart, PageChart, draw_for_page
from runner.outputs.charts.chart_data import TOTAL, TTFT
from runner.outputs.charts.ecdf import draw_ecdf
from runner.outputs.charts.phases import MedianRequest, draw_phases, find_median_requests
from runner.outputs.charts.scatter import draw_total_against_reply, draw_ttft_against_prompt
from runner.outputs.charts.swarm import draw_swarm
from runner.outputs.charts.sweep import draw_goodput_under_load, draw_tokens_under_load, draw_ttft_under_load
from runner.outputs.charts.text_over_time import ArrivalSamples, draw_arrivals
from runner.outputs.charts.time_of_day import DaySamples, RoundPoint, draw_rounds_by_time
from runner.outputs.charts.tradeoff import draw_tradeoff
from runner.outputs.charts.variants import draw_variants
from runner.outputs.charts.waterfall import SpanSamples, draw_waterfall


class RecordSamples:
    """Samples of one run's records, read when a chart first needs them."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def median_requests(self) -> Sequence[MedianRequest]:
        """The median request of each target that has a whole reply."""
        return find_median_requests(self.run)

    @property
    def arrivals(self) -> ArrivalSamples:
        """Replies whose text is drawn over time."""
        return self._samples_of_records[0]

    @property
    def spans(self) -> SpanSamples:
        """Requests that are drawn in time."""
        return self._samples_of_records[1]

    @cached_property
    def rounds(self) -> Mapping[str, Sequence[RoundPoint]]:
        """The rounds of each target that were spread over a day."""
        return self._samples_of_records[2].of_targets()

    @cached_property
    def _samples_of_records(self) -> tuple[ArrivalSamples, SpanSamples, DaySamples]:
        samples = ArrivalSamples(self.run), SpanSamples(self.run), DaySamples(self.run)
        for record in self.run.records:
            for sample in samples:
                sample.add(record)
        return samples


Drawer = Callable[[RecordSamples, Canvas], Chart | None]

_DRAWERS: tuple[tuple[str, Drawer], ...] = (
    ("day", lambda samples, canvas: draw_rounds_by_time(samples.run, samples.rounds, canvas)),
    ("ttft-under-load", lambda samples, canvas: draw_ttft_under_load(samples.run, canvas)),
    ("tokens-under-load", lambda samples, canvas: draw_tokens_under_load(samples.run, canvas)),
    ("goodput-under-load", lambda samples, canvas: draw_goodput_under_load(samples.run, canvas)),
    ("variants", lambda samples, canvas: draw_variants(samples.run, canvas)),
    ("swarm-ttft_s", lambda samples, canvas: draw_swarm(samples.run, TTFT, canvas)),
    ("tradeoff", lambda samples, canvas: draw_tradeoff(samples.run, canvas)),
    ("swarm-total_s", lambda samples, canvas: draw_swarm(samples.run, TOTAL, canvas)),
    ("ecdf-ttft_s", lambda samples, canvas: draw_ecdf(samples.run, TTFT, canvas)),
    ("ecdf-total_s", lambda samples, canvas: draw_ecdf(samples.run, TOTAL, canvas)),
    ("phases", lambda samples, canvas: draw_phases(samples.run, samples.median_requests, canvas)),
    ("arrivals", lambda samples, canvas: draw_arrivals(samples.run, samples.arrivals, canvas)),
    ("waterfall", lambda samples, canvas: draw_waterfall(samples.run, samples.spans, canvas)),
    ("prompt-size", lambda samples, canvas: draw_ttft_against_prompt(samples.run, canvas)),
    ("reply-size", lambda samples, canvas: draw_total_against_reply(samples.run, canvas)),
)
"""All charts, in the order of a report."""


def draw_charts(run: Run, prefix: str) -> list[Chart]:
    """Return all charts of a run that have something to draw, in the order of a report."""
    samples = RecordSamples(run)
    drawn = (draw(samples, Canvas(f"{prefix}-{name}")) for name, draw in _DRAWERS)
    return [chart for chart in drawn if chart]


def draw_page_charts(runs: Sequence[Run]) -> list[PageChart]:
    """Return the charts of runs; those of one kind are neighbours, share their scales, and name their run."""
    starts = [sum(len(run.summary) for run in runs[:at]) for at in range(len(runs))]
    samples = [RecordSamples(run) for run in runs]
    charts: list[PageChart] = []
    for name, draw in _DRAWERS:
        draws = [partial(draw, of_run) for of_run in samples]
        shared = _reach_of_all(draws) if len(runs) > 1 else {}
        for at, (draw_run, start) in enumerate(zip(draws, starts, strict=True), start=1):
            chart = draw_for_page(draw_run, Canvas(f"run-{at}-{name}", shared=shared, first_colour=start))
            if chart:
                charts.append(replace(chart, run=at) if len(runs) > 1 else chart)
    return charts


def _reach_of_all(draws: Sequence[Callable[[Canvas], Chart | None]]) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest value of each axis over the charts of several runs."""
    ends: dict[str, list[float]] = {}
    for draw in draws:
        canvas = Canvas()
        draw(canvas)
        for axis, reach in canvas.reach.items():
            ends.setdefault(axis, []).extend(reach)
    return {axis: (min(values), max(values)) for axis, values in ends.items()}
