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
from runner.outputs.charts.chart_data import target_places
from runner.outputs.charts.layouts import (
    CONTEXT_SENTENCE,
    PANEL_HEIGHT,
    Panel,
    PanelLayout,
    draw_panels,
    panel_grid,
)
from runner.outputs.charts.svg import DOT, LineStyle, Point, draw_dots, draw_key, element, line
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


def draw_ttft_under_load(run: Run, canvas: Canvas) -> Chart | None:
    """Draw TTFT against concurrency; None where the run swept fewer than two levels."""
    longest_s = max((y for curve in TTFT_CURVES for _, y in curve.points(run.sweep)), default=0.0)
    return _draw_sweep(run, TTFT_CURVES, time_quantity("TTFT", longest_s), _("TTFT under load, by target"), canvas)


def draw_tokens_under_load(run: Run, canvas: Canvas) -> Chart | None:
    """Draw tokens/s of all replies together against concurrency; None where the run swept fewer than two levels."""
    quantity = Quantity("tokens/s, all replies together")
    return _draw_sweep(run, TOKENS_CURVES, quantity, _("Tokens a second under load, by target"), canvas)


def draw_goodput_under_load(run: Run, canvas: Canvas) -> Chart | None:
    """Draw requests/s that met the SLO, and all, against concurrency; None without an SLO, or below two levels."""
    if run.slo is None:
        return None
    return _draw_sweep(run, GOODPUT_CURVES, Quantity("requests/s"), _("Goodput under load, by target"), canvas)


def _draw_sweep(run: Run, curves: Sequence[Curve], quantity: Quantity, title: str, canvas: Canvas) -> Chart | None:
    drawn = [curve for curve in curves if curve.points(run.sweep)]
    points = [point for curve in drawn for point in curve.points(run.sweep)]
    if len({level for level, _ in points}) < 2:
        return None
    levels = {target: own for target, own in _by_target(run).items() if any(curve.points(own) for curve in drawn)}
    layout = _layout(len(levels), points, quantity, canvas)
    places = target_places(run)
    panels = [
        Panel(target, _sizes(own), place, "".join(_draw_curve(curve, own, layout, place, canvas) for curve in drawn))
        for target, own in levels.items()
        for place in [canvas.colour_index(places[target])]
    ]
    key = draw_key([(curve.name, curve.style) for curve in drawn], canvas.width) if len(curves) > 1 else ""
    description = describe_chart(title, (_describe(target, drawn, own) for target, own in levels.items()))
    content, caption = draw_panels(layout, panels, key), _sweep_caption(run, curves)
    return canvas.chart(title, description, layout.grid.height, content, caption=caption)


def _layout(count: int, points: Sequence[Point], quantity: Quantity, canvas: Canvas) -> PanelLayout:
    """Return a layout with a tick at every level of the sweep."""
    y_axis = Axis(canvas.fit("y", [y for _, y in points], PANEL_HEIGHT, 0.0, ticks=5), quantity)
    grid = panel_grid(count, y_axis, canvas.width)
    levels = tuple(sorted({level for level, _ in points}))
    x_scale = Scale(levels[0], levels[-1], 0.0, grid.panel_width, levels, logarithmic=True)
    return PanelLayout(canvas.prefix, grid, Axis(x_scale, CONCURRENCY), y_axis)


def _by_target(run: Run) -> dict[str, list[LoadPoint]]:
    """Return each target's levels, ascending, targets in the suite's order."""
    levels: dict[str, list[LoadPoint]] = {}
    for level in sorted(run.sweep, key=lambda each: each.concurrency):
        levels.setdefault(str(level.target), []).append(level)
    return {name: levels[name] for name in target_places(run) if name in levels}


def _draw_curve(curve: Curve, levels: Sequence[LoadPoint], layout: PanelLayout, place: int, canvas: Canvas) -> str:
    points = [(layout.x_axis.scale(x), layout.y_axis.scale(y)) for x, y in curve.points(levels)]
    if not points:
        return ""
    texts = [
        _("{name} {figure} at {level}", name=_(curve.name), figure=curve.write(y), level=f"{x:,.0f}")
        for x, y in curve.points(levels)
    ]
    series = canvas.read(f"{place} {curve.name}", texts)
    return element("path", d=line(points), fill="none", **curve.style) + draw_dots(points, DOT, series=series)


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
