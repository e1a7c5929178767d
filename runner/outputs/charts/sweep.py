"""What becomes of speed when more requests run at once: curves over a sweep's levels, in a panel for each target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.analysis.run import Run
from runner.analysis.sweep import LoadPoint
from runner.outputs.charts.axis import Axis, Quantity, of_time
from runner.outputs.charts.chart import Chart, caption, left_out, sizes
from runner.outputs.charts.legend import Mark, draw_key
from runner.outputs.charts.panels import BEHIND, TALL, Panel, Sheet, draw_panels, lay_out
from runner.outputs.charts.scale import Scale, fit
from runner.outputs.charts.svg import Point, dots, element, figure, line
from runner.outputs.text.figures import rate, seconds

AT_ONCE = Quantity("requests at once")
SOLID: Mark = {"stroke_width": "1.8"}
DASHED: Mark = {"stroke_width": "1.2", "stroke_dasharray": "4 3"}
DOT = 4.6


@dataclass(frozen=True, slots=True)
class Curve:
    """One figure of each level: what it is called, how it is drawn, read and written."""

    name: str
    mark: Mark
    read: Callable[[LoadPoint], float | None]
    write: Callable[[float | None], str]

    def points(self, levels: Sequence[LoadPoint]) -> list[Point]:
        """Return the levels that have the figure, with it."""
        return [(level.concurrency, value) for level in levels if (value := self.read(level)) is not None]

    def words(self, levels: Sequence[LoadPoint]) -> str:
        """Write the figure of each level."""
        return f"{self.name} {', '.join(f'{self.write(y)} at {x:,.0f}' for x, y in self.points(levels))}"


TTFT_CURVES = (
    Curve("p50", SOLID, lambda level: level.ttft_p50_s, seconds),
    Curve("p95", DASHED, lambda level: level.ttft_p95_s, seconds),
)
TOKENS_CURVES = (Curve("tokens/s", SOLID, lambda level: level.output_tps, rate),)


def draw_ttft_under_load(run: Run, prefix: str = "sweep-ttft") -> Chart | None:
    """Draw TTFT against the requests that ran at once; None where the run swept no two levels."""
    longest = max((y for curve in TTFT_CURVES for _, y in curve.points(run.sweep)), default=0.0)
    return _draw(run, TTFT_CURVES, of_time("TTFT", longest), "TTFT under load, by target", prefix)


def draw_tokens_under_load(run: Run, prefix: str = "sweep-tokens") -> Chart | None:
    """Draw tokens a second, all replies together, likewise; None where the run swept no two levels."""
    quantity = Quantity("tokens/s, all replies together")
    return _draw(run, TOKENS_CURVES, quantity, "Tokens a second under load, by target", prefix)


def _draw(run: Run, curves: Sequence[Curve], quantity: Quantity, title: str, prefix: str) -> Chart | None:
    drawn = [curve for curve in curves if curve.points(run.sweep)]
    points = [point for curve in drawn for point in curve.points(run.sweep)]
    if len({level for level, _ in points}) < 2:
        return None
    levels = {target: own for target, own in _by_target(run).items() if any(curve.points(own) for curve in drawn)}
    sheet = _lay_out(prefix, len(levels), points, quantity)
    order = [str(each.target) for each in run.summary]
    panels = [
        Panel(target, _sizes(own), order.index(target), "".join(_draw_curve(curve, own, sheet) for curve in drawn))
        for target, own in levels.items()
    ]
    key = draw_key([(curve.name, curve.mark) for curve in drawn]) if len(curves) > 1 else ""
    words = ". ".join(_describe(target, drawn, own) for target, own in levels.items())
    svg = figure(prefix, title, f"{title}. {words}.", sheet.grid.height, draw_panels(sheet, panels, key))
    return Chart(title, svg, _caption(run, curves))


def _lay_out(prefix: str, count: int, points: Sequence[Point], quantity: Quantity) -> Sheet:
    """Put a tick at every level that was held."""
    up = Axis(fit([y for _, y in points], TALL, 0.0, ticks=5), quantity)
    grid = lay_out(count, up)
    reached = tuple(sorted({level for level, _ in points}))
    across = Scale(reached[0], reached[-1], 0.0, grid.wide, reached, logarithmic=True)
    return Sheet(prefix, grid, Axis(across, AT_ONCE), up)


def _by_target(run: Run) -> dict[str, list[LoadPoint]]:
    levels: dict[str, list[LoadPoint]] = {}
    for level in sorted(run.sweep, key=lambda each: each.concurrency):
        levels.setdefault(str(level.target), []).append(level)
    return {name: levels[name] for each in run.summary if (name := str(each.target)) in levels}


def _draw_curve(curve: Curve, levels: Sequence[LoadPoint], sheet: Sheet) -> str:
    points = [(sheet.across.scale(x), sheet.up.scale(y)) for x, y in curve.points(levels)]
    if not points:
        return ""
    dotted = element("path", d=dots(points), stroke_width=DOT, stroke_linecap="round")
    return element("path", d=line(points), fill="none", **curve.mark) + dotted


def _sizes(levels: Sequence[LoadPoint]) -> str:
    return f"{sizes([level.n for level in levels])}, by level"


def _describe(target: str, curves: Sequence[Curve], levels: Sequence[LoadPoint]) -> str:
    said = "; ".join(curve.words(levels) for curve in curves if curve.points(levels))
    return f"{target}: {said}; {_sizes(levels)}"


def _caption(run: Run, curves: Sequence[Curve]) -> str:
    figures = [curve.read(level) for curve in curves for level in run.sweep]
    why = "too few requests were timed, or not all tokens were counted"
    return caption(
        [
            f"A dot is a level of the sweep, {sizes([level.n for level in run.sweep])}, of timed requests.",
            BEHIND if len({level.target for level in run.sweep}) > 1 else None,
            "A level is how many requests a provider's lane may have under way; levels are spaced by their ratio.",
            left_out(figures.count(None), len(figures), "figures", "drawn", why),
        ],
        simulated=run.simulated,
    )
