"""A run that was spread over hours: the median TTFT of each round over the time of day, in a panel for each target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from runner.analysis.run_results import Run
from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.outputs.charts.axis import Axis, Quantity, Scale, time_quantity
from runner.outputs.charts.chart import Canvas, Chart, format_sample_sizes, join_sentences
from runner.outputs.charts.layouts import (
    CONTEXT_SENTENCE,
    PANEL_HEIGHT,
    Panel,
    PanelLayout,
    draw_panels,
    panel_grid,
)
from runner.outputs.charts.svg import DOT, dots, element, figure, line
from runner.outputs.text.number_format import seconds
from runner.outputs.text.translation import _, labelled

TITLE = "TTFT over the day, by target"
EPOCH = datetime.fromtimestamp(0, UTC)
STEPS_H = (1 / 60, 2 / 60, 5 / 60, 10 / 60, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96, 168)


@dataclass(frozen=True, slots=True)
class ClockTime(Quantity):
    """Hours since a moment, labelled with the time of day."""

    start: datetime = EPOCH

    def tick_label(self, value: float) -> str:
        """Return the local time of so many hours after the start."""
        return f"{self.start + timedelta(hours=value):%H:%M}"


@dataclass(frozen=True, slots=True)
class RoundPoint:
    """One round of one target: when its first timed request was sent, and the median TTFT of `n` requests."""

    at: datetime
    ttft_s: float
    n: int


class DaySamples:
    """The times of a spread run's requests, by target and round; records are added one by one, to no other run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_spread = LoadProfile.from_plain(run.header.load).spread_s is not None
        self._found: dict[str, dict[int, list[tuple[datetime, float]]]] = {str(each.target): {} for each in run.summary}

    def add(self, record: Record) -> None:
        """Add a record; it is left out unless it is timed and has text."""
        if self._is_spread and record.timed and record.ttft_s is not None and record.started_at is not None:
            at = datetime.fromisoformat(record.started_at).astimezone()
            rounds = self._found[str(self._run.split.target_of(record))]
            rounds.setdefault(record.identity.block, []).append((at, record.ttft_s))

    def of_targets(self) -> dict[str, list[RoundPoint]]:
        """Return the rounds of each target that has any, the earliest first."""
        return {
            name: [
                RoundPoint(min(at for at, _s in own), median(ttft_s for _at, ttft_s in own), len(own))
                for _number, own in sorted(rounds.items())
            ]
            for name, rounds in self._found.items()
            if rounds
        }


def draw_rounds_by_time(
    run: Run, rounds: Mapping[str, Sequence[RoundPoint]], prefix: str = "day", canvas: Canvas | None = None
) -> Chart | None:
    """Draw TTFT by round over the time of day; None where the rounds were not spread, or fewer than two have times."""
    canvas = canvas or Canvas()
    points = [point for found in rounds.values() for point in found]
    if len({point.at for point in points}) < 2:
        return None
    start = min(point.at for point in points)
    layout = _layout(prefix, len(rounds), points, start, canvas)
    order = [str(each.target) for each in run.summary]
    panels = [
        Panel(
            name,
            format_sample_sizes([each.n for each in found]),
            place,
            _draw_rounds(found, layout, start, place, canvas),
        )
        for name, found in rounds.items()
        for place in [canvas.colour_index(order.index(name))]
    ]
    svg = figure(
        prefix,
        _(TITLE),
        labelled(_(TITLE), _day_caption(run, points, len(rounds))),
        layout.grid.height,
        draw_panels(layout, panels),
        width=canvas.width,
    )
    return Chart(TITLE, svg, _day_caption(run, points, len(rounds)), canvas.readings)


def _layout(prefix: str, count: int, points: Sequence[RoundPoint], start: datetime, canvas: Canvas) -> PanelLayout:
    ttfts_s = [point.ttft_s for point in points]
    y_axis = Axis(canvas.fit("y", ttfts_s, PANEL_HEIGHT, 0.0, ticks=5), time_quantity("TTFT", max(ttfts_s)))
    grid = panel_grid(count, y_axis, canvas.width)
    span_h = max(_hours(point.at, start) for point in points)
    step = next((each for each in STEPS_H if span_h / each <= 4), STEPS_H[-1])
    first = -(start.minute / 60 + start.second / 3600)
    ticks = tuple(tick for at in range(1000) if 0 <= (tick := first + at * step) <= span_h) or (0.0,)
    x_scale = Scale(0.0, span_h, 0.0, grid.panel_width, ticks)
    return PanelLayout(prefix, grid, Axis(x_scale, ClockTime("time of day", start=start)), y_axis)


def _hours(at: datetime, start: datetime) -> float:
    return (at - start).total_seconds() / 3600


def _draw_rounds(found: Sequence[RoundPoint], layout: PanelLayout, start: datetime, place: int, canvas: Canvas) -> str:
    places = [(layout.x_axis.scale(_hours(each.at, start)), layout.y_axis.scale(each.ttft_s)) for each in found]
    texts = [f"{each.at:%m-%d %H:%M}: {seconds(each.ttft_s)}, n {each.n}" for each in found]
    series = canvas.read(f"{place} rounds", texts)
    drawn = element("path", d=line(places), fill="none", stroke_width="1.2")
    return drawn + element("path", d=dots(places), stroke_width=DOT, stroke_linecap="round", data_series=series)


def _day_caption(run: Run, points: Sequence[RoundPoint], targets: int) -> str:
    return join_sentences(
        [
            _(
                "A dot is the median of a round, {sizes}, of timed requests.",
                sizes=format_sample_sizes([each.n for each in points]),
            ),
            _(CONTEXT_SENTENCE) if targets > 1 else None,
        ],
        simulated=run.simulated,
    )
