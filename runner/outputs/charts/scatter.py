"""A duration against the size of prompt or reply: every request a dot, in a panel for each target."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.check_results import Expectations
from runner.analysis.run_results import Run, cache_latest
from runner.outputs.charts.axis import Axis, Quantity, time_quantity
from runner.outputs.charts.chart import Canvas, Chart, describe_left_out, format_sample_sizes, join_sentences
from runner.outputs.charts.chart_data import (
    PLACE_COLUMNS,
    TOTAL,
    TTFT,
    ChartDuration,
    ChartSample,
    RequestPlace,
    as_number,
    max_points,
    thin,
    timed_samples,
)
from runner.outputs.charts.layouts import (
    CONTEXT_SENTENCE,
    PANEL_HEIGHT,
    Panel,
    PanelLayout,
    draw_panels,
    panel_grid,
)
from runner.outputs.charts.svg import Point, draw_dots
from runner.outputs.text.labels import name_request
from runner.outputs.text.number_format import seconds
from runner.outputs.text.translation import _, clauses, translate

DOT, SMALL_DOT = 4.2, 2.6
"""The diameter of a dot, and of a dot among many."""

MANY = 100


@dataclass(frozen=True, slots=True)
class TextSize:
    """A measure of the size of prompts or replies: tokens, or characters where not all tokens were counted."""

    of: str
    column: str
    unit: str
    remark: str

    def read(self, sample: ChartSample) -> list[float | None]:
        """Return each request's size; None where it is not known."""
        return [float(len(cell)) if isinstance(cell, str) else as_number(cell) for cell in sample.cells(self.column)]


_COUNTED = "Tokens are those that each provider counted; they differ between models."
_UNCOUNTED = "Sizes are in characters, because not every reply came with a count of tokens."

PROMPT_SIZES = (
    TextSize("prompt", "input_tokens", "tokens", _COUNTED),
    TextSize("prompt", "prompt", "characters", _UNCOUNTED),
)
REPLY_SIZES = (
    TextSize("reply", "output_tokens", "tokens", _COUNTED),
    TextSize("reply", "chars", "characters", _UNCOUNTED),
)


@dataclass(frozen=True, slots=True)
class ScatterPoints:
    """One target's requests as points of size and seconds, in the order in which they finished."""

    target: str
    place: int
    points: tuple[Point, ...]
    requests: tuple[RequestPlace, ...]
    """Each point's request."""

    @property
    def description(self) -> str:
        """The ranges of the target's sizes and times, and n, in words."""
        x, y_s = zip(*self.points, strict=True)
        return _(
            "{target}: sizes {smallest} to {largest}, times {shortest} to {longest}, n {n}",
            target=translate(self.target),
            smallest=f"{min(x):,.0f}",
            largest=f"{max(x):,.0f}",
            shortest=seconds(min(y_s)),
            longest=seconds(max(y_s)),
            n=f"{len(self.points):,}",
        )


def draw_ttft_against_prompt(run: Run, canvas: Canvas) -> Chart | None:
    """Draw TTFT against the prompt's size; None where all prompts are of one size."""
    return _draw_scatter(run, TTFT, PROMPT_SIZES, canvas)


def draw_total_against_reply(run: Run, canvas: Canvas) -> Chart | None:
    """Draw the total time against the reply's size; None where all replies are of one size."""
    return _draw_scatter(run, TOTAL, REPLY_SIZES, canvas)


def _draw_scatter(run: Run, over: ChartDuration, choices: tuple[TextSize, TextSize], canvas: Canvas) -> Chart | None:
    size, shown = _read_points(run, over, choices)
    if len({x for each in shown for x, _ in each.points}) < 2:
        return None
    layout = _layout(shown, over, size, canvas)
    panels = [
        Panel(
            each.target,
            format_sample_sizes([len(each.points)]),
            canvas.colour_index(each.place),
            _draw_dots(each, layout, size, canvas, run.header.checks),
        )
        for each in shown
    ]
    title = _(f"{over.title} against the size of the {size.of}, by target".capitalize())
    descriptions = clauses(each.description for each in shown)
    description = _("{title}, in {unit}. {descriptions}.", title=title, unit=_(size.unit), descriptions=descriptions)
    content, caption = draw_panels(layout, panels), _scatter_caption(run, shown, over, size)
    return canvas.chart(title, description, layout.grid.height, content, caption=caption)


@cache_latest
def _read_points(
    run: Run, over: ChartDuration, choices: tuple[TextSize, TextSize]
) -> tuple[TextSize, list[ScatterPoints]]:
    """Return which size is drawn, and the points of each target that has any."""
    samples = timed_samples(run, over.column, *PLACE_COLUMNS, *(choice.column for choice in choices))
    size = _choose_size(samples, choices)
    return size, [points for sample in samples if (points := _scatter_points(sample, over, size)).points]


def _choose_size(samples: Sequence[ChartSample], choices: tuple[TextSize, TextSize]) -> TextSize:
    """Return tokens where all were counted, else characters."""
    tokens, characters = choices
    counted = all(None not in tokens.read(sample) for sample in samples)
    return tokens if counted else characters


def _scatter_points(sample: ChartSample, over: ChartDuration, size: TextSize) -> ScatterPoints:
    values = zip(size.read(sample), map(as_number, sample.cells(over.column)), sample.requests, strict=True)
    known = [((x, y_s), request) for x, y_s, request in values if x is not None and y_s is not None]
    points, requests = tuple(point for point, _ in known), tuple(request for _, request in known)
    return ScatterPoints(sample.target, sample.place, points, requests)


def _layout(shown: Sequence[ScatterPoints], over: ChartDuration, size: TextSize, canvas: Canvas) -> PanelLayout:
    points = [point for each in shown for point in each.points]
    y_scale = canvas.fit("y", [y for _, y in points], PANEL_HEIGHT, 0.0, ticks=5)
    y_axis = Axis(y_scale, time_quantity(over.name, y_scale.high))
    grid = panel_grid(len(shown), y_axis, canvas.width)
    x_scale = canvas.fit("x", [x for x, _ in points], 0.0, grid.panel_width, ticks=5)
    return PanelLayout(canvas.prefix, grid, Axis(x_scale, Quantity(size.of, size.unit)), y_axis)


def _draw_dots(
    scatter: ScatterPoints, layout: PanelLayout, size: TextSize, canvas: Canvas, checks: Expectations
) -> str:
    most = max_points(layout.grid.count)
    points = thin(scatter.points, most)
    texts = (
        _(
            "{request}: {n} {unit}, {time}",
            request=name_request(*request, checks),
            n=f"{x:,.0f}",
            unit=_(size.unit),
            time=seconds(y_s),
        )
        for (x, y_s), request in zip(points, thin(scatter.requests, most), strict=True)
    )
    series = canvas.read(str(canvas.colour_index(scatter.place)), texts)
    places = ((layout.x_axis.scale(x), layout.y_axis.scale(y)) for x, y in points)
    return draw_dots(places, DOT if len(points) < MANY else SMALL_DOT, series=series)


def _scatter_caption(run: Run, shown: Sequence[ScatterPoints], over: ChartDuration, size: TextSize) -> str:
    requests, counts, most = len(run.measured), [len(each.points) for each in shown], max_points(len(shown))
    return join_sentences(
        [
            _("A dot is one timed request, {sizes}.", sizes=format_sample_sizes(counts)),
            _(CONTEXT_SENTENCE) if len(shown) > 1 else None,
            _(size.remark),
            describe_left_out(
                requests - sum(counts), requests, "requests", _("they failed or have no {name}", name=_(over.name))
            ),
            _("Of more than {most} a target, {most} are drawn, evenly spaced in time.", most=most)
            if max(counts) > most
            else None,
        ],
        simulated=run.simulated,
    )
