"""A target over many runs: its figure in each with an interval, over time and by hour of the day; changes marked."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from itertools import pairwise
from statistics import fmean

from runner.analysis.diff_measures import Unit
from runner.analysis.history import RunSeries, figure_of, mean_interval
from runner.analysis.intervals import Interval
from runner.outputs.charts.axis import (
    Axis,
    Quantity,
    Scale,
    draw_axes,
    draw_vertical_rules,
    time_axis,
    time_quantity,
)
from runner.outputs.charts.chart import Canvas, Chart, join_sentences
from runner.outputs.charts.svg import (
    DOT,
    SMALL,
    Point,
    draw_dots,
    draw_label,
    element,
    line,
    number,
    series_colour,
    text_width,
)
from runner.outputs.text.diff_cells import format_level
from runner.outputs.text.history import format_size
from runner.outputs.text.number_format import with_interval
from runner.outputs.text.translation import BilingualText, _, labelled, plural

HEIGHT, TOP, BELOW = 170.0, 40.0, 40.0
"""The height of the drawing area, and the room above it for the axis' title and changes, and below it for ticks."""

BOTTOM = TOP + HEIGHT
OVERHANG = 12.0

MIN_HOURS, MIN_OF_HOUR = 3, 3
"""So many hours of the day make a pattern, and so many runs a mean."""


MAX_DRAWN, PARTS = 1_500, 500
"""Of more runs not every one is drawn: over time three of each of so many parts, by the hour of the day the newest."""


@dataclass(frozen=True, slots=True)
class _DrawnRun:
    """A run as it is drawn: its median with the interval, or its level for measures that have no median."""

    at: datetime
    value: float
    interval: Interval | None
    text: str


class DrawnSeries:
    """A series as it is drawn: the figure of each run, and the runs that have a dot, the same at every width."""

    def __init__(self, series: RunSeries) -> None:
        self.series = series
        self.times = [point.run.started_at for point in series.points]
        medians = [figure_of(point.target, series.measure) for point in series.points]
        self.medians = [each for each in medians if each is not None]
        self._has_medians = len(self.medians) == len(medians)
        if self._has_medians:
            self.values = [median.value for median in self.medians]
        else:
            self.values = [point.level for point in series.points]

    @cached_property
    def over_time(self) -> list[_DrawnRun]:
        """The runs that are drawn over time.

        If there are too many runs to tell apart, each interval of time shows its lowest, middle and highest run, so
        that no outlier is lost, and runs beside a change are kept.
        """
        if len(self.times) <= MAX_DRAWN:
            return [*map(self._draw, range(len(self.times)))]
        start, span = self.times[0], self.times[-1] - self.times[0]
        parts: dict[int, list[int]] = defaultdict(list)
        for at, time in enumerate(self.times):
            parts[min(int((time - start) / span * PARTS), PARTS - 1) if span else 0].append(at)
        kept = {at for change in self.series.changes for at in (change.at - 1, change.at)}
        for part in parts.values():
            ordered = sorted(part, key=lambda at: self.values[at])
            kept |= {ordered[0], ordered[len(ordered) // 2], ordered[-1]}
        return [*map(self._draw, sorted(kept))]

    @cached_property
    def newest(self) -> list[_DrawnRun]:
        """The runs that are drawn by the hour of the day: the newest, since extremes would look like a pattern."""
        return [*map(self._draw, range(len(self.times))[-MAX_DRAWN:])]

    @property
    def with_interval(self) -> int:
        """The runs whose figure has an interval."""
        return sum(median.low is not None for median in self.medians) if self._has_medians else 0

    def _draw(self, at: int) -> _DrawnRun:
        started, measure = self.times[at], self.series.measure
        if not self._has_medians:
            point = self.series.points[at]
            return _DrawnRun(
                started, point.level, None, _read_out(started, format_level(measure, point.level), point.target.n)
            )
        median, interval = self.medians[at], None
        write = partial(format_level, measure)
        if median.low is not None and median.high is not None:
            interval = Interval(median.low, median.high)
        figure = with_interval(write(median.value), interval, write)
        return _DrawnRun(started, median.value, interval, _read_out(started, figure, median.n))


def _read_out(started: datetime, figure: str, n: int) -> BilingualText:
    return _("{when}: {figure}, n {n}", when=f"{started:%Y-%m-%d %H:%M}", figure=figure, n=f"{n:,}")


def _parts(series: RunSeries) -> Iterator[tuple[int, int]]:
    """Yield the first run and the one behind the last of each part between changes."""
    yield from pairwise([0, *(change.at for change in series.changes), len(series.points)])


# Over time


def draw_history(drawn: DrawnSeries, place: int, canvas: Canvas) -> Chart:
    """Draw a target's figure in each run over time, with the level between changes and a mark at each change."""
    series, figures = drawn.series, drawn.over_time
    ends = [end for each in figures if each.interval for end in (each.interval.low, each.interval.high)]
    quantity = _quantity(series, max(drawn.values))
    y_axis = Axis(canvas.fit("y", [*drawn.values, *ends], BOTTOM, TOP, ticks=5), quantity)
    left, right = y_axis.label_width + 8 + DOT, canvas.width - OVERHANG
    x_axis = time_axis("started", drawn.times, left, right, ticks=canvas.ticks)
    x_scale = x_axis.scale
    places = [(x_scale(each.at.timestamp()), y_axis.scale(each.value)) for each in figures]
    title = _title(series)
    description = _(
        "{title}: {runs}, {changes}.",
        title=title,
        runs=plural(len(drawn.times), "{n} run", "{n} runs"),
        changes=plural(len(series.changes), "{n} change of the level", "{n} changes of the level"),
    )
    content = (
        draw_axes(x_axis, y_axis, overhang=OVERHANG),
        _draw_whiskers(figures, places, y_axis.scale, place),
        _draw_changes(drawn, x_scale),
        _draw_dots(figures, places, place, canvas),
        _draw_levels(drawn, x_scale, y_axis.scale),
    )
    return canvas.chart(title, description, BOTTOM + BELOW, *content, caption=_history_caption(drawn))


def _title(series: RunSeries) -> BilingualText:
    return labelled(_(series.measure.label), series.target)


def _quantity(series: RunSeries, largest: float) -> Quantity:
    measure = series.measure
    if measure.unit is Unit.SECONDS:
        return time_quantity(measure.label, largest)
    if measure.unit is Unit.SHARE:
        return Quantity(measure.label, "%", 100.0)
    return Quantity(measure.label, "" if measure.unit is Unit.MONEY else measure.unit.value)


def _draw_whiskers(figures: Sequence[_DrawnRun], places: Sequence[Point], scale: Scale, place: int) -> str:
    data = "".join(
        f"M{number(x)} {number(scale(each.interval.low))}V{number(scale(each.interval.high))}"
        for each, (x, _y) in zip(figures, places, strict=True)
        if each.interval
    )
    return element("path", d=data, stroke=series_colour(place), stroke_opacity="0.45") if data else ""


def _draw_levels(drawn: DrawnSeries, x_scale: Scale, y_scale: Scale) -> str:
    """Draw the mean of the figures between changes: geometric, but of shares."""
    data = "".join(
        line([(x_scale(drawn.times[at].timestamp()), y) for at in (start, end - 1)])
        for start, end in _parts(drawn.series)
        for y in [y_scale(_mean(drawn.series, drawn.values[start:end]))]
    )
    return element("path", d=data, stroke="currentColor", stroke_width="1.4", fill="none")


def _mean(series: RunSeries, values: Sequence[float]) -> float:
    return fmean(values) if series.is_share else math.exp(fmean(map(math.log, values)))


def _draw_changes(drawn: DrawnSeries, x_scale: Scale) -> str:
    """Draw a dashed line before the first run of each new level, with its size where there is room for it."""
    parts, free_from = [], 0.0
    for change in drawn.series.changes:
        x = fmean(x_scale(drawn.times[at].timestamp()) for at in (change.at - 1, change.at))
        data = f"M{number(x)} {number(TOP - 4)}V{number(BOTTOM)}"
        parts.append(element("path", d=data, stroke="currentColor", stroke_dasharray="4 3"))
        text = format_size(change)
        half = text_width(text, SMALL) / 2
        if (left := max(x - half, 0.0)) >= free_from:
            parts.append(draw_label(left, TOP - 9, text, size=SMALL))
            free_from = left + 2 * half + 6
    return "".join(parts)


def _draw_dots(figures: Sequence[_DrawnRun], places: Sequence[Point], place: int, canvas: Canvas) -> str:
    series = canvas.read("runs", [each.text for each in figures])
    return draw_dots(places, DOT, stroke=series_colour(place), series=series)


def _history_caption(drawn: DrawnSeries) -> str:
    series, of, dots = drawn.series, f"{len(drawn.times):,}", len(drawn.over_time)
    if series.is_share:
        what = _("A dot is a run's pass rate, with its 95 % interval; {of} runs.", of=of)
    elif drawn.with_interval:
        n = f"{drawn.with_interval:,}"
        what = _("A dot is a run's median, with its 95 % interval in {n} of {of}.", n=n, of=of)
    else:
        what = _("A dot is a run's typical value; {of} runs.", of=of)
    thinned = _(
        "{n} of these are drawn: of each of {parts} parts of the time the lowest, the middle and the highest, "
        "and those beside a change.",
        n=f"{dots:,}",
        parts=PARTS,
    )
    return join_sentences(
        [
            what,
            thinned if dots < len(drawn.times) else None,
            _("A line is the mean of these between changes.")
            if series.is_share
            else _("A line is the geometric mean of these between changes."),
            plural(len(series.changes), "{n} change is marked.", "{n} changes are marked.") if series.changes else None,
        ],
        simulated=drawn.series.last.run.summary.simulated,
    )


# By the hour of the day


def draw_runs_by_hour(drawn: DrawnSeries, place: int, canvas: Canvas) -> Chart | None:
    """Draw each run's deviation from the level at its time, by hour of the day; None if there are too few hours."""
    series, figures = drawn.series, drawn.newest
    if len({at.hour for at in drawn.times}) < MIN_HOURS:
        return None
    levels = [
        level for start, end in _parts(series) for level in [_mean(series, drawn.values[start:end])] * (end - start)
    ]
    shares = [_distance(series, value, level) for value, level in zip(drawn.values, levels, strict=True)]
    bound = _round_up(max(map(abs, shares)))
    y_axis = Axis(
        Scale(-bound, bound, BOTTOM, TOP, (-bound, -bound / 2, 0.0, bound / 2, bound)),
        Quantity("from the level of its time", "points" if series.is_share else "%"),
    )
    left, right = y_axis.label_width + 8 + DOT, canvas.width - OVERHANG
    ticks = tuple(map(float, range(0, 25, 6 if canvas.stacked else 3)))
    x_axis = Axis(Scale(0.0, 24.0, left, right, ticks), Quantity("hour of the day, local time"))
    places = [
        (x_axis.scale(each.at.hour + each.at.minute / 60), y_axis.scale(share))
        for each, share in zip(figures, shares[-len(figures) :], strict=True)
    ]
    title = labelled(_("Hours of the day"), _title(series))
    description = _("{title}: {runs}.", title=title, runs=plural(len(drawn.times), "{n} run", "{n} runs"))
    content = (
        draw_axes(x_axis, y_axis, overhang=OVERHANG),
        draw_vertical_rules(x_axis.scale, TOP, BOTTOM),
        element("g", _draw_dots(figures, places, place, canvas), opacity="0.6"),
        _draw_hour_means(drawn.times, shares, x_axis.scale, y_axis.scale),
    )
    return canvas.chart(title, description, BOTTOM + BELOW, *content, caption=_hours_caption(drawn))


def _distance(series: RunSeries, value: float, level: float) -> float:
    """Return how far a value is from a level: in percent of it, of shares in points."""
    return 100 * (value - level if series.is_share else value / level - 1)


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= value)


def _draw_hour_means(times: Sequence[datetime], shares: Sequence[float], x_scale: Scale, y_scale: Scale) -> str:
    by_hour: dict[int, list[float]] = defaultdict(list)
    for at, share in zip(times, shares, strict=True):
        by_hour[at.hour].append(share)
    drawn = []
    for hour, values in by_hour.items():
        if len(values) < MIN_OF_HOUR:
            continue
        (mean, interval), left, right = mean_interval(values), x_scale(hour), x_scale(hour + 1.0)
        drawn.append(line([(left, y_scale(mean)), (right, y_scale(mean))]))
        middle = (left + right) / 2
        drawn.append(line([(middle, y_scale(interval.low)), (middle, y_scale(interval.high))]))
    data = "".join(drawn)
    return element("path", d=data, stroke="currentColor", stroke_width="1.6", fill="none") if data else ""


def _hours_caption(drawn: DrawnSeries) -> str:
    dots = len(drawn.newest)
    return join_sentences(
        [
            plural(len(drawn.times), "{n} run, by when it began.", "{n} runs, by when they began."),
            _("The newest {n} are drawn.", n=f"{dots:,}") if dots < len(drawn.times) else None,
            _(
                "A bar is the mean of an hour with its 95 % interval, where it has {least} runs or more.",
                least=MIN_OF_HOUR,
            ),
        ],
        simulated=drawn.series.last.run.summary.simulated,
    )
