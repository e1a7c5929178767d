"""Charts of a run as inline SVG: pure functions that return a `Chart`, or None where there is nothing to draw.

    draw_swarm(run, TTFT)             every request as a dot, medians with their intervals; likewise with TOTAL
    draw_ecdf(run, TTFT)              the share of requests within a time, from n 20; likewise with TOTAL
    draw_phases(run, medians)         where the time of each target's median request went
    draw_ttft_against_prompt(run)     TTFT against the prompt's size
    draw_total_against_reply(run)     total against the reply's size
    draw_arrivals(run, arrivals)      text arriving over time, a line for each reply
    draw_waterfall(run, spans)        every request in time
    draw_ttft_under_load(run)         TTFT over the levels of a sweep
    draw_tokens_under_load(run)       tokens a second over the levels of a sweep
    draw_tradeoff(run)                cost, quality and time of each target
    draw_variants(run)                speed, tokens, cost and quality over the variants of each model

Not all is in a run's table. Three functions take what `RecordSamples` reads of its records, once for all drawings.

A page decides on the size of charts (they scale), on their ink (`currentColor`) and on their colours (`--series-1` to
`--series-8`); it must give each chart a `prefix` of its own, with which all its ids begin. `draw_page_charts` draws
each chart for a wide and a narrow window, and with both kinds of scale where values allow it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from runner.analysis.run_results import Run
from runner.outputs.charts.arrivals import ArrivalSamples, draw_arrivals
from runner.outputs.charts.chart import LOGARITHMIC, NARROW, Canvas, Chart
from runner.outputs.charts.chart_data import TOTAL, TTFT, ChartDuration
from runner.outputs.charts.ecdf import draw_ecdf
from runner.outputs.charts.phases import MedianRequest, draw_phases, find_median_requests
from runner.outputs.charts.scatter import draw_total_against_reply, draw_ttft_against_prompt
from runner.outputs.charts.svg import WIDE
from runner.outputs.charts.swarm import draw_swarm
from runner.outputs.charts.sweep import draw_goodput_under_load, draw_tokens_under_load, draw_ttft_under_load
from runner.outputs.charts.time_of_day import DaySamples, RoundPoint, draw_day
from runner.outputs.charts.tradeoff import draw_tradeoff
from runner.outputs.charts.variants import draw_variants
from runner.outputs.charts.waterfall import SpanSamples, draw_waterfall
from runner.outputs.text.language import BilingualText, _, other_of

__all__ = [
    "TOTAL",
    "TTFT",
    "Chart",
    "ChartDuration",
    "PageChart",
    "RecordSamples",
    "draw_arrivals",
    "draw_charts",
    "draw_ecdf",
    "draw_goodput_under_load",
    "draw_page_charts",
    "draw_phases",
    "draw_swarm",
    "draw_tokens_under_load",
    "draw_total_against_reply",
    "draw_tradeoff",
    "draw_ttft_against_prompt",
    "draw_ttft_under_load",
    "draw_variants",
    "draw_waterfall",
]


Drawer = Callable[["RecordSamples", str, Canvas], Chart | None]


def _of_run(draw: Callable[..., Chart | None], *arguments: ChartDuration) -> Drawer:
    return lambda samples, prefix, canvas: draw(samples.run, *arguments, prefix, canvas)


_DRAWERS: tuple[tuple[str, Drawer], ...] = (
    ("day", lambda samples, *place: draw_day(samples.run, samples.rounds, *place)),
    ("ttft-under-load", _of_run(draw_ttft_under_load)),
    ("tokens-under-load", _of_run(draw_tokens_under_load)),
    ("goodput-under-load", _of_run(draw_goodput_under_load)),
    ("variants", _of_run(draw_variants)),
    ("swarm-ttft_s", _of_run(draw_swarm, TTFT)),
    ("tradeoff", _of_run(draw_tradeoff)),
    ("swarm-total_s", _of_run(draw_swarm, TOTAL)),
    ("ecdf-ttft_s", _of_run(draw_ecdf, TTFT)),
    ("ecdf-total_s", _of_run(draw_ecdf, TOTAL)),
    ("phases", lambda samples, *place: draw_phases(samples.run, samples.median_requests, *place)),
    ("arrivals", lambda samples, *place: draw_arrivals(samples.run, samples.arrivals, *place)),
    ("waterfall", lambda samples, *place: draw_waterfall(samples.run, samples.spans, *place)),
    ("prompt-size", _of_run(draw_ttft_against_prompt)),
    ("reply-size", _of_run(draw_total_against_reply)),
)
"""All charts, in the order of a report."""


def draw_charts(run: Run, prefix: str) -> list[Chart]:
    """Return all charts of a run that have something to draw, in the order of a report."""
    samples = RecordSamples(run)
    drawn = (draw(samples, f"{prefix}-{name}", Canvas()) for name, draw in _DRAWERS)
    return [chart for chart in drawn if chart]


# Charts for a page, which is read on windows of all widths


@dataclass(frozen=True, slots=True)
class ChartVariant:
    """One drawing of a chart: for a wide or a narrow window, with a logarithmic scale or without."""

    narrow: bool
    logarithmic: bool
    svg: str


@dataclass(frozen=True, slots=True)
class PageChart:
    """A chart in all its drawings; `logarithmic` says whether the first ones are, and `can_switch` if there are others.

    `readings` are those of its marks, by series, the same for all drawings.
    """

    title: str
    caption: str
    variants: tuple[ChartVariant, ...]
    readings: dict[str, list[str]]
    logarithmic: bool
    can_switch: bool

    @property
    def other_readings(self) -> dict[str, list[str]]:
        """The readings in the page's other language."""
        return {series: list(map(other_of, texts)) for series, texts in self.readings.items()}


def draw_page_charts(runs: Sequence[Run]) -> list[PageChart]:
    """Return the charts of runs; those of one kind are neighbours, share their scales, and name their run."""
    starts = [sum(len(run.summary) for run in runs[:at]) for at in range(len(runs))]
    samples = [RecordSamples(run) for run in runs]
    charts: list[PageChart] = []
    for name, draw in _DRAWERS:
        draws = [partial(draw, of_run) for of_run in samples]
        shared = _reach_of_all(draws) if len(runs) > 1 else {}
        for at, (draw_run, start) in enumerate(zip(draws, starts, strict=True), start=1):
            canvas = partial(Canvas, shared=shared, first_colour=start)
            chart = draw_for_page(draw_run, f"run-{at}-{name}", canvas)
            if chart:
                charts.append(replace(chart, title=f"{chart.title} · run {at}") if len(runs) > 1 else chart)
    return charts


def _reach_of_all(draws: Sequence[Callable[[str, Canvas], Chart | None]]) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest value of each axis over the charts of several runs."""
    ends: dict[str, list[float]] = {}
    for draw in draws:
        canvas = Canvas()
        draw("reach", canvas)
        for axis, reach in canvas.reach.items():
            ends.setdefault(axis, []).extend(reach)
    return {axis: (min(values), max(values)) for axis, values in ends.items()}


def draw_for_page(
    draw: Callable[[str, Canvas], Chart | None], prefix: str, canvas: Callable[..., Canvas]
) -> PageChart | None:
    """Draw a chart for both widths, and with the other kind of scale if its values can have it."""
    first = canvas()
    chart = draw(f"{prefix}-wide", first)
    if chart is None:
        return None
    variants = [ChartVariant(narrow=False, logarithmic=first.is_logarithmic, svg=chart.svg)]
    kinds = [first.is_logarithmic, *([not first.is_logarithmic] if first.can_switch else [])]
    for width, of_width in ((WIDE, "wide"), (NARROW, "narrow")):
        for kind in kinds:
            if (width, kind) == (WIDE, first.is_logarithmic):
                continue
            own = canvas(width=width, logarithmic=kind if first.can_switch else None, keeps_readings=False)
            drawn = draw(f"{prefix}-{of_width}-{'log' if kind else 'linear'}", own)
            assert drawn is not None
            variants.append(ChartVariant(narrow=width == NARROW, logarithmic=kind, svg=drawn.svg))
    readings = {series: list(texts) for series, texts in chart.readings.items()}
    caption = _without_scale(chart.caption) if first.can_switch else chart.caption
    return PageChart(chart.title, caption, tuple(variants), readings, first.is_logarithmic, first.can_switch)


def _without_scale(caption: str) -> BilingualText:
    """Return a caption without the sentence on its scale, which the page can switch."""
    sentence = _(LOGARITHMIC)
    texts = ((str(caption), str(sentence)), (other_of(caption), sentence.other))
    return BilingualText(*(whole.replace(f" {part}", "").replace(part, "") for whole, part in texts))


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
        return self._read[0]

    @property
    def spans(self) -> SpanSamples:
        """Requests that are drawn in time."""
        return self._read[1]

    @cached_property
    def rounds(self) -> Mapping[str, Sequence[RoundPoint]]:
        """The rounds of each target that were spread over a day."""
        return self._read[2].of_targets()

    @cached_property
    def _read(self) -> tuple[ArrivalSamples, SpanSamples, DaySamples]:
        samples = ArrivalSamples(self.run), SpanSamples(self.run), DaySamples(self.run)
        for record in self.run.records:
            for sample in samples:
                sample.add(record)
        return samples
