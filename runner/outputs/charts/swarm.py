"""A duration of every request as a dot, in a row for each target, with the median and its interval: a swarm plot."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.check_results import Expectations
from runner.analysis.intervals import MIN_UNITS, Statistic
from runner.analysis.run_results import Run, cache_latest
from runner.outputs.charts.axis import Axis, Scale, time_quantity
from runner.outputs.charts.chart import (
    Canvas,
    Chart,
    describe_chart,
    describe_left_out,
    format_sample_sizes,
    join_sentences,
)
from runner.outputs.charts.chart_data import (
    PLACE_COLUMNS,
    ChartDuration,
    ChartSample,
    RequestPlace,
    as_number,
    max_points,
    thin,
    timed_samples,
)
from runner.outputs.charts.layouts import FigureColumn, RowLayout
from runner.outputs.charts.svg import DOT, Point, draw_dots, element, number, series_colour
from runner.outputs.text.labels import name_request
from runner.outputs.text.number_format import interval_ends, seconds
from runner.outputs.text.translation import _, labelled, translate

TOP = 22.0
MIN_ROW_HEIGHT, MAX_ROW_HEIGHT, ROWS_HEIGHT = 36.0, 64.0, 300.0
"""Rows share the height of all rows, within bounds."""

MEDIAN_STROKE = 9.0
"""The height of the stroke at the median."""

SMALLEST_DOT = 2.2
"""Diameter of a dot among very many."""

_DOT_SIZES = ((40, DOT), (120, 3.4))
"""Diameters of the dots of rows with up to this many; dots of fuller rows have the smallest."""

_GOLDEN_RATIO = 0.618034


@dataclass(frozen=True, slots=True)
class TargetValues:
    """One target's values, ascending, and their median."""

    target: str
    place: int
    values: tuple[float, ...]
    requests: tuple[RequestPlace, ...]
    """Each value's request."""
    median: Statistic

    @property
    def description(self) -> str:
        """The target's median with its interval, and n, in words."""
        interval = self.median.interval
        values = {"target": translate(self.target), "median": seconds(self.median.value), "n": f"{len(self.values):,}"}
        if interval is None:
            return _("{target}: median {median}, n {n}", **values)
        ends = interval_ends(interval, seconds)
        return _("{target}: median {median}, 95 % interval {interval}, n {n}", interval=ends, **values)


def draw_swarm(run: Run, over: ChartDuration, canvas: Canvas) -> Chart | None:
    """Draw each request's value, fastest target first; None where nothing was timed."""
    shown = _target_values(run, over)
    if not shown:
        return None
    layout = _layout(shown, canvas)
    every = [value for each in shown for value in each.values]
    ends = layout.left + DOT, layout.right - DOT
    scale = canvas.fit("x", every, *ends, ticks=canvas.ticks)
    axis = Axis(scale, time_quantity(over.name, scale.high))
    title = _(f"{over.title} of every request, by target".capitalize())
    description = describe_chart(title, (each.description for each in shown))
    content = layout.draw(axis), _draw_rows(shown, layout, scale, canvas, run.header.checks)
    caption = _swarm_caption(run, shown, over, canvas.describe_scale(scale))
    return canvas.chart(title, description, layout.height, *content, caption=caption)


@cache_latest
def _target_values(run: Run, over: ChartDuration) -> list[TargetValues]:
    medians = {str(each.target): over.median(each) for each in run.summary}
    found = [
        TargetValues(each.target, each.place, *_sorted_values(each, over.column), median)
        for each in timed_samples(run, over.column, *PLACE_COLUMNS)
        if (median := medians[each.target])
    ]
    return sorted(found, key=lambda each: each.median.value)


def _sorted_values(sample: ChartSample, column: str) -> tuple[tuple[float, ...], tuple[RequestPlace, ...]]:
    """Return the values, ascending, and their requests."""
    every = zip(map(as_number, sample.cells(column)), sample.requests, strict=True)
    pairs = sorted((value, request) for value, request in every if value is not None)
    return tuple(value for value, _ in pairs), tuple(request for _, request in pairs)


def _layout(shown: Sequence[TargetValues], canvas: Canvas) -> RowLayout:
    height = min(max(ROWS_HEIGHT / len(shown), MIN_ROW_HEIGHT), MAX_ROW_HEIGHT)
    return RowLayout(
        names=[each.target for each in shown],
        figures=[
            FigureColumn("median", tuple(seconds(each.median.value) for each in shown)),
            FigureColumn("n", tuple(f"{len(each.values):,}" for each in shown)),
        ],
        heights=[height] * len(shown),
        top=TOP,
        width=canvas.width,
    )


def _draw_rows(
    shown: Sequence[TargetValues], layout: RowLayout, scale: Scale, canvas: Canvas, checks: Expectations
) -> str:
    """Draw in each row the dots, and below them the median."""
    half, most = layout.heights[0] / 2, max_points(len(shown))
    swarms = arrange_dots([[scale(value) for value in thin(each.values, most)] for each in shown], reach=half - 10)
    drawn = []
    for swarm, each, middle in zip(swarms, shown, layout.middles, strict=True):
        place = canvas.colour_index(each.place)
        pairs = zip(thin(each.values, most), thin(each.requests, most), strict=True)
        readings = (labelled(name_request(*request, checks), seconds(value)) for value, request in pairs)
        series = canvas.read(str(place), readings)
        points = ((x, middle - 5 + offset) for x, offset in swarm.points)
        values = draw_dots(points, swarm.diameter, stroke=series_colour(place), series=series)
        drawn.append(element("g", values, _draw_median(each, middle + half - 8, scale), data_target=str(place)))
    return "".join(drawn)


def _draw_median(each: TargetValues, y: float, scale: Scale) -> str:
    """Draw the median as a stroke, on the line of its interval if it has one."""
    data = f"M{number(scale(each.median.value))} {number(y - MEDIAN_STROKE / 2)}v{number(MEDIAN_STROKE)}"
    stroke = element("path", d=data, stroke="currentColor", stroke_width=2.4)
    if each.median.interval is None:
        return stroke
    data = f"M{number(scale(each.median.interval.low))} {number(y)}H{number(scale(each.median.interval.high))}"
    return element("path", d=data, stroke="currentColor", stroke_width=1.6) + stroke


def _swarm_caption(run: Run, shown: Sequence[TargetValues], over: ChartDuration, scale: str | None) -> str:
    counts, requests, most = [len(each.values) for each in shown], len(run.measured), max_points(len(shown))
    with_interval = any(each.median.interval for each in shown)
    without_interval = any(each.median.interval is None for each in shown)
    return join_sentences(
        [
            _(
                "A dot is the {title} of one timed request, {sizes}.",
                title=_(over.title),
                sizes=format_sample_sizes(counts),
            ),
            _("The stroke below is the median, on the line of its 95 % interval.")
            if with_interval
            else _("The stroke below is the median."),
            _("With fewer than {n} rounds there is no interval.", n=MIN_UNITS) if without_interval else None,
            scale,
            describe_left_out(
                requests - sum(counts), requests, "requests", _("they failed or have no {name}", name=_(over.name))
            ),
            _("Of more than {most} a target, {most} are drawn, evenly spaced by rank.", most=most)
            if max(counts) > most
            else None,
        ],
        simulated=run.simulated,
    )


# Dots, moved off the middle of their row so that each can be seen


@dataclass(frozen=True, slots=True)
class Swarm:
    """The dots of one row: their diameter, and each one's x and offset from the middle of the row."""

    diameter: float
    points: tuple[Point, ...]


def arrange_dots(rows: Sequence[Sequence[float]], reach: float) -> list[Swarm]:
    """Return the dots of every row, offset by at most `reach`, all of one size, which is smaller for fuller rows.

    In a row without room for separate dots, because there are many or all are equal, the dots cover each other.
    """
    most = max(map(len, rows))
    diameter = next((diameter for count, diameter in _DOT_SIZES if most <= count), SMALLEST_DOT)
    return [Swarm(diameter, tuple(stack_dots(xs, reach, diameter) or spread_dots(xs, reach))) for xs in rows]


def stack_dots(xs: Sequence[float], reach: float, diameter: float) -> list[Point] | None:
    """Give each dot the offset nearest the middle at which it covers no other; None where there is no room."""
    last_x = dict.fromkeys(_offsets(reach, diameter), float("-inf"))
    stacked = []
    for x in sorted(xs):
        offset = next((offset for offset, last in last_x.items() if x - last >= diameter), None)
        if offset is None:
            return None
        last_x[offset] = x
        stacked.append((x, offset))
    return stacked


def spread_dots(xs: Sequence[float], reach: float) -> list[Point]:
    """Spread dots evenly over the height, neighbours far apart: offsets advance by the golden ratio."""
    return [(x, reach * (2 * (at * _GOLDEN_RATIO % 1) - 1)) for at, x in enumerate(sorted(xs))]


def _offsets(reach: float, diameter: float) -> list[float]:
    """Return the offsets that dots may have, from the middle outwards."""
    return [0.0, *(side * diameter * at for at in range(1, int(reach // diameter) + 1) for side in (-1, 1))]
