"""A duration of every request as a dot, in a row for each target, with the median and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.intervals import FEWEST_UNITS
from runner.analysis.run import Run
from runner.analysis.summary import Statistic
from runner.outputs.charts.axis import Axis, of_time
from runner.outputs.charts.chart import Chart, caption, left_out, sizes
from runner.outputs.charts.colours import series
from runner.outputs.charts.durations import ChartDuration
from runner.outputs.charts.rows import Figures, Rows
from runner.outputs.charts.sample import most_of_each, thin, timed_samples
from runner.outputs.charts.scale import Scale, fit
from runner.outputs.charts.svg import dots, element, figure, number
from runner.outputs.charts.swarm import LARGEST, Swarm, pile_all
from runner.outputs.text.figures import seconds

TOP = 22.0
LOWEST_ROW, HIGHEST_ROW, ROOM = 36.0, 64.0, 300.0
"""A row is as high as the room allows, within bounds."""

STROKE = 9.0
"""The height of the stroke at the median."""


@dataclass(frozen=True, slots=True)
class PointSpread:
    """One target's values, ascending, and their median."""

    target: str
    place: int
    values: tuple[float, ...]
    median: Statistic

    @property
    def words(self) -> str:
        """What the picture shows of this target."""
        interval = self.median.interval
        sure = f", 95 % interval {seconds(interval.low)} to {seconds(interval.high)}" if interval else ""
        return f"{self.target}: median {seconds(self.median.value)}{sure}, n {len(self.values):,}"


def draw_points(run: Run, over: ChartDuration, prefix: str = "points") -> Chart | None:
    """Draw each request's value, fastest target first; None where nothing was timed."""
    spreads = _spreads(run, over)
    if not spreads:
        return None
    rows = _rows(spreads)
    every = [value for each in spreads for value in each.values]
    scale = fit(every, rows.left + LARGEST, rows.right - LARGEST, ticks=10)
    axis = Axis(scale, of_time(over.name, scale.high))
    title = f"{over.title} of every request, by target".capitalize()
    words = "; ".join(each.words for each in spreads)
    svg = figure(prefix, title, f"{title}. {words}.", rows.height, rows.draw(axis), _draw_spreads(spreads, rows, scale))
    return Chart(title, svg, _caption(run, spreads, over, scale))


def _spreads(run: Run, over: ChartDuration) -> list[PointSpread]:
    medians = {str(each.target): over.median(each) for each in run.summary}
    found = [
        PointSpread(each.target, each.place, tuple(sorted(each.numbers(over.column))), median)
        for each in timed_samples(run, over.column)
        if (median := medians[each.target])
    ]
    return sorted(found, key=lambda each: each.median.value)


def _rows(spreads: Sequence[PointSpread]) -> Rows:
    height = min(max(ROOM / len(spreads), LOWEST_ROW), HIGHEST_ROW)
    return Rows(
        names=[each.target for each in spreads],
        figures=[
            Figures("median", tuple(seconds(each.median.value) for each in spreads)),
            Figures("n", tuple(f"{len(each.values):,}" for each in spreads)),
        ],
        heights=[height] * len(spreads),
        top=TOP,
    )


def _draw_spreads(spreads: Sequence[PointSpread], rows: Rows, scale: Scale) -> str:
    """Draw in each row the dots, and below them the median."""
    half, most = rows.heights[0] / 2, most_of_each(len(spreads))
    swarms = pile_all([[scale(value) for value in thin(each.values, most)] for each in spreads], reach=half - 10)
    return "".join(
        _draw_swarm(swarm, middle - 5, each.place) + _draw_median(each, middle + half - 8, scale)
        for swarm, each, middle in zip(swarms, spreads, rows.middles, strict=True)
    )


def _draw_swarm(swarm: Swarm, middle: float, place: int) -> str:
    data = dots((x, middle + offset) for x, offset in swarm.points)
    return element("path", d=data, stroke=series(place), stroke_width=swarm.dot, stroke_linecap="round")


def _draw_median(spread: PointSpread, y: float, scale: Scale) -> str:
    """Draw the median as a stroke, on the line of its interval where there is one."""
    data = f"M{number(scale(spread.median.value))} {number(y - STROKE / 2)}v{number(STROKE)}"
    stroke = element("path", d=data, stroke="currentColor", stroke_width=2.4)
    if spread.median.interval is None:
        return stroke
    data = f"M{number(scale(spread.median.interval.low))} {number(y)}H{number(scale(spread.median.interval.high))}"
    return element("path", d=data, stroke="currentColor", stroke_width=1.6) + stroke


def _caption(run: Run, spreads: Sequence[PointSpread], over: ChartDuration, scale: Scale) -> str:
    counts, asked, most = [len(each.values) for each in spreads], len(run.measured), most_of_each(len(spreads))
    sure = ", on the line of its 95 % interval" if any(each.median.interval for each in spreads) else ""
    unsure = any(each.median.interval is None for each in spreads)
    return caption(
        [
            f"A dot is the {over.title} of one timed request, {sizes(counts)}.",
            f"The stroke below is the median{sure}.",
            f"Below n {FEWEST_UNITS} there is no interval." if unsure else None,
            "The scale is logarithmic." if scale.logarithmic else None,
            left_out(asked - sum(counts), asked, "requests", "drawn", f"they failed, or brought no {over.name}"),
            f"Of more than {most} a target, {most} are drawn, evenly spaced by rank." if max(counts) > most else None,
        ],
        simulated=run.simulated,
    )
