"""Speed under load: TTFT and tokens/s against the concurrency of a sweep's levels, in a panel for each target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.analysis.run_results import Run
from runner.analysis.speed_under_load import LoadPoint
from runner.analysis.steady_state import has_steady_state
from runner.outputs.charts.axis import Axis, Quantity, Scale, time_quantity
from runner.outputs.charts.chart import (
    Canvas,
    Chart,
    describe_chart,
    describe_left_out,
    format_sample_sizes,
    join_sentences,
)
from runner.outputs.charts.layouts import (
    CONTEXT_SENTENCE,
    PANEL_HEIGHT,
    Panel,
    PanelLayout,
    draw_panels,
    panel_grid,
)
from runner.outputs.charts.svg import DOT, LineStyle, Point, dots, draw_key, element, figure, line
from runner.outputs.text.number_format import rate, seconds
from runner.outputs.text.translation import _, clauses, comma_list, labelled, translate

CONCURRENCY = Quantity("concurrency")
SOLID: LineStyle = {"stroke_width": "1.8"}
DASHED: LineStyle = {"stroke_width": "1.2", "stroke_dasharray": "4 3"}


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure of each level: its name, its line style, and functions that read and format it."""

    name: str
    style: LineStyle
    read: Callable[[LoadPoint], float | None]
    write: Callable[[float | None], str]

    def points(self, levels: Sequence[LoadPoint]) -> list[Point]:
        """Return concurrency and figure of the levels that have the figure."""
        return [(level.concurrency, value) for level in levels if (value := self.read(level)) is not None]

    def describe(self, levels: Sequence[LoadPoint]) -> str:
        """Return the figure of each level in words: `p50 120 ms at 1, 180 ms at 4`."""
        figures = (_("{figure} at {level}", figure=self.write(y), level=f"{x:,.0f}") for x, y in self.points(levels))
        return _("{name} {figures}", name=_(self.name), figures=comma_list(figures))


TTFT_CURVES = (
    Curve("p50", SOLID, lambda level: level.ttft_p50_s, seconds),
    Curve("p95", DASHED, lambda level: level.ttft_p95_s, seconds),
)
GOODPUT_CURVES = (
    Curve("goodput", SOLID, lambda level: level.goodput.requests_per_s if level.goodput else None, rate),
    Curve("all requests", DASHED, lambda level: level.requests_per_s, rate),
)
TOKENS_CURVES = (Curve("tokens/s", SOLID, lambda level: level.output_tps, rate),)


def draw_ttft_under_load(run: Run, prefix: str = "sweep-ttft", canvas: Canvas | None = None) -> Chart | None:
    """Draw TTFT against concurrency; None where the run swept fewer than two levels."""
    longest_s = max((y for curve in TTFT_CURVES for _, y in curve.points(run.sweep)), default=0.0)
    quantity, title = time_quantity("TTFT", longest_s), "TTFT under load, by target"
    return _draw_sweep(run, TTFT_CURVES, quantity, title, prefix=prefix, canvas=canvas)


def draw_tokens_under_load(run: Run, prefix: str = "sweep-tokens", canvas: Canvas | None = None) -> Chart | None:
    """Draw tokens/s of all replies together against concurrency; None where the run swept fewer than two levels."""
    quantity = Quantity("tokens/s, all replies together")
    title = "Tokens a second under load, by target"
    return _draw_sweep(run, TOKENS_CURVES, quantity, title, prefix=prefix, canvas=canvas)


def draw_goodput_under_load(run: Run, prefix: str = "sweep-goodput", canvas: Canvas | None = None) -> Chart | None:
    """Draw requests/s that met the SLO, and all, against concurrency; None without an SLO, or below two levels."""
    if run.slo is None:
        return None
    quantity = Quantity("requests/s")
    title = "Goodput under load, by target"
    return _draw_sweep(run, GOODPUT_CURVES, quantity, title, prefix=prefix, canvas=canvas)


def _draw_sweep(
    run: Run, curves: Sequence[Curve], quantity: Quantity, title: str, *, prefix: str, canvas: Canvas | None
) -> Chart | None:
    canvas = canvas or Canvas()
    drawn = [curve for curve in curves if curve.points(run.sweep)]
    points = [point for curve in drawn for point in curve.points(run.sweep)]
    if len({level for level, _ in points}) < 2:
        return None
    levels = {target: own for target, own in _by_target(run).items() if any(curve.points(own) for curve in drawn)}
    layout = _layout(prefix, len(levels), points, quantity, canvas)
    order = [str(each.target) for each in run.summary]
    panels = [
        Panel(target, _sizes(own), place, "".join(_draw_curve(curve, own, layout, place, canvas) for curve in drawn))
        for target, own in levels.items()
        for place in [canvas.colour_index(order.index(target))]
    ]
    key = draw_key([(curve.name, curve.style) for curve in drawn], right=canvas.width) if len(curves) > 1 else ""
    description = describe_chart(title, clauses(_describe(target, drawn, own) for target, own in levels.items()))
    content = draw_panels(layout, panels, key)
    svg = figure(prefix, _(title), description, layout.grid.height, content, width=canvas.width)
    return Chart(title, svg, _sweep_caption(run, curves), canvas.readings)


def _layout(prefix: str, count: int, points: Sequence[Point], quantity: Quantity, canvas: Canvas) -> PanelLayout:
    """Return a layout with a tick at every level of the sweep."""
    y_axis = Axis(canvas.fit("y", [y for _, y in points], PANEL_HEIGHT, 0.0, ticks=5), quantity)
    grid = panel_grid(count, y_axis, canvas.width)
    levels = tuple(sorted({level for level, _ in points}))
    x_scale = Scale(levels[0], levels[-1], 0.0, grid.panel_width, levels, logarithmic=True)
    return PanelLayout(prefix, grid, Axis(x_scale, CONCURRENCY), y_axis)


def _by_target(run: Run) -> dict[str, list[LoadPoint]]:
    """Return each target's levels, ascending, targets in the suite's order."""
    levels: dict[str, list[LoadPoint]] = {}
    for level in sorted(run.sweep, key=lambda each: each.concurrency):
        levels.setdefault(str(level.target), []).append(level)
    return {name: levels[name] for each in run.summary if (name := str(each.target)) in levels}


def _draw_curve(curve: Curve, levels: Sequence[LoadPoint], layout: PanelLayout, place: int, canvas: Canvas) -> str:
    points = [(layout.x_axis.scale(x), layout.y_axis.scale(y)) for x, y in curve.points(levels)]
    if not points:
        return ""
    texts = [
        _("{name} {figure} at {level}", name=_(curve.name), figure=curve.write(y), level=f"{x:,.0f}")
        for x, y in curve.points(levels)
    ]
    series = canvas.read(f"{place} {curve.name}", texts)
    dotted = element("path", d=dots(points), stroke_width=DOT, stroke_linecap="round", data_series=series)
    return element("path", d=line(points), fill="none", **curve.style) + dotted


def _sizes(levels: Sequence[LoadPoint]) -> str:
    return _("{sizes}, by level", sizes=format_sample_sizes([level.n for level in levels]))


def _describe(target: str, curves: Sequence[Curve], levels: Sequence[LoadPoint]) -> str:
    figures = [curve.describe(levels) for curve in curves if curve.points(levels)]
    return labelled(translate(target), clauses([*figures, _sizes(levels)]))


def _sweep_caption(run: Run, curves: Sequence[Curve]) -> str:
    figures = [curve.read(level) for curve in curves for level in run.sweep]
    why = _("too few requests were timed, or not all tokens were counted")
    return join_sentences(
        [
            _(
                "A dot is a level of the sweep, {sizes}, of timed requests.",
                sizes=format_sample_sizes([each.n for each in run.sweep]),
            ),
            _("Left out are the first and the last ones sent at a level, each as many as may be in flight or more.")
            if has_steady_state(run.header)
            else None,
            _(CONTEXT_SENTENCE) if len({level.target for level in run.sweep}) > 1 else None,
            _("A level is how many requests a provider's lane may have in flight; levels are spaced by their ratio."),
            describe_left_out(figures.count(None), len(figures), "figures", why),
        ],
        simulated=run.simulated,
    )
