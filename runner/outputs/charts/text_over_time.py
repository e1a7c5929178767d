"""Text arriving over time: characters received against the time since the request was sent, a line for each reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from runner.analysis.check_results import Expectations
from runner.analysis.run_results import Run
from runner.core.events import Channel
from runner.core.record import Record
from runner.outputs.charts.axis import Axis, Quantity, time_quantity
from runner.outputs.charts.chart import Canvas, Chart, describe_chart, format_sample_sizes, join_sentences
from runner.outputs.charts.chart_data import SpacedSample, thin
from runner.outputs.charts.layouts import PANEL_HEIGHT, Panel, PanelLayout, draw_panels, panel_grid
from runner.outputs.charts.svg import LineStyle, Point, dots, draw_key, element, figure, steps
from runner.outputs.text.labels import name_request
from runner.outputs.text.number_format import seconds
from runner.outputs.text.translation import _, clauses, translate

MAX_LINES = 12
"""Lines of one target; more of them would hide each other."""

MAX_STEPS = 30
"""Steps of one line's thinking, and of its answer; a panel is not wide enough to show more."""

END = 3.4
"""The diameter of the dot at the end of a line."""

CHARACTERS = Quantity("characters received")
THINKING: LineStyle = {"stroke_width": "0.9", "stroke_dasharray": "2 2"}
ANSWER: LineStyle = {"stroke_width": "1.1"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One reply's text over time: seconds since `sent` and characters so far; the answer continues the thinking."""

    thinking: Sequence[Point]
    answer: Sequence[Point]
    label: str = ""
    """The name of the request."""

    @property
    def end(self) -> Point:
        """The time of the last text, and the number of characters by then."""
        return (self.answer or self.thinking)[-1]


class ArrivalSamples:
    """The replies to draw of each of a run's targets; records are added one by one."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._samples = {str(each.target): SpacedSample[Arrival](MAX_LINES) for each in run.summary}

    def add(self, record: Record) -> None:
        """Add a record; it is left out unless it is timed and has text."""
        if record.timed and record.text_events.at_us:
            sample = self._samples[str(self._run.split.target_of(record))]
            header = self._run.header
            sample.add(lambda: read_arrival(record, header.checks, header.cache_probe))

    @property
    def by_target(self) -> Mapping[str, SpacedSample[Arrival]]:
        """The samples of the targets that have any, in the suite's order."""
        return {target: sample for target, sample in self._samples.items() if sample.seen}


def draw_arrivals(
    run: Run, samples: ArrivalSamples, prefix: str = "arrivals", canvas: Canvas | None = None
) -> Chart | None:
    """Draw how the text of timed requests arrived; None where no reply has any."""
    arrivals = samples.by_target
    if not arrivals:
        return None
    canvas = canvas or Canvas()
    ends = [each.end for sample in arrivals.values() for each in sample.items]
    layout = _layout(prefix, ends, len(arrivals), canvas)
    order = [str(each.target) for each in run.summary]
    panels = [
        Panel(
            target,
            format_sample_sizes([sample.seen]),
            canvas.colour_index(order.index(target)),
            _draw_lines(sample.items, layout) + _draw_ends(sample.items, layout, order.index(target), canvas),
        )
        for target, sample in arrivals.items()
    ]
    has_thinking = any(each.thinking for sample in arrivals.values() for each in sample.items)
    key = draw_key([("thinking", THINKING), ("answer", ANSWER)], right=canvas.width) if has_thinking else ""
    title = "Text arriving over time, by target"
    description = describe_chart(title, clauses(_describe(target, sample) for target, sample in arrivals.items()))
    content = draw_panels(layout, panels, key)
    svg = figure(prefix, _(title), description, layout.grid.height, content, width=canvas.width)
    return Chart(title, svg, _arrivals_caption(run, list(arrivals.values())), canvas.readings)


def read_arrival(record: Record, checks: Expectations, idles: Sequence[float] = ()) -> Arrival:
    """Return a record's text over time; it needs at least one text event. See `name_request` for `checks` and `idles`.

    All text from the first answer event on counts as answer.
    """
    events = record.text_events
    times_s = [at / 1e6 for at in events.at_us]
    points = [(times_s[0], 0.0), *zip(times_s, map(float, accumulate(events.lengths)), strict=True)]
    first = events.channels.find(Channel.ANSWER)
    turn = len(points) if first < 0 else first
    identity = record.identity
    return Arrival(
        thin(points[: turn + 1], MAX_STEPS) if turn else (),
        thin(points[turn:], MAX_STEPS),
        name_request(identity.case, identity.turn, identity.repeat, checks, idles),
    )


def _layout(prefix: str, ends: Sequence[Point], count: int, canvas: Canvas) -> PanelLayout:
    y_axis = Axis(canvas.fit("y", [y for _, y in ends], PANEL_HEIGHT, 0.0, ticks=5, linear=True), CHARACTERS)
    grid = panel_grid(count, y_axis, canvas.width)
    x_scale = canvas.fit("x", [x for x, _ in ends], 0.0, grid.panel_width, ticks=5, linear=True)
    x_axis = Axis(x_scale, time_quantity("time since the request was sent", x_scale.high))
    return PanelLayout(prefix, grid, x_axis, y_axis, context=False)


def _draw_lines(arrivals: Sequence[Arrival], layout: PanelLayout) -> str:
    thinking = _draw_steps([each.thinking for each in arrivals], THINKING, layout)
    return thinking + _draw_steps([each.answer for each in arrivals], ANSWER, layout)


def _draw_ends(arrivals: Sequence[Arrival], layout: PanelLayout, place: int, canvas: Canvas) -> str:
    """Draw a dot at the end of each line, which a pointer can read."""
    texts = (
        _(
            "{request}: {n} characters in {time}",
            request=each.label,
            n=f"{each.end[1]:,.0f}",
            time=seconds(each.end[0]),
        )
        for each in arrivals
    )
    series = canvas.read(str(canvas.colour_index(place)), texts)
    x_scale, y_scale = layout.x_axis.scale, layout.y_axis.scale
    data = dots((x_scale(x), y_scale(y)) for x, y in (each.end for each in arrivals))
    return element("path", d=data, stroke_width=END, stroke_linecap="round", data_series=series)


def _draw_steps(parts: Sequence[Sequence[Point]], style: LineStyle, layout: PanelLayout) -> str:
    x_scale, y_scale = layout.x_axis.scale, layout.y_axis.scale
    data = "".join(steps([(x_scale(x), y_scale(y)) for x, y in part]) for part in parts if part)
    return element("path", d=data, fill="none", **style) if data else ""


def _describe(target: str, sample: SpacedSample[Arrival]) -> str:
    times_s, characters = zip(*(each.end for each in sample.items), strict=True)
    return _(
        "{target}: replies of {shortest} to {longest} characters, whole after {first} to {last}, n {n}",
        target=translate(target),
        shortest=f"{min(characters):,.0f}",
        longest=f"{max(characters):,.0f}",
        first=seconds(min(times_s)),
        last=seconds(max(times_s)),
        n=f"{sample.seen:,}",
    )


def _arrivals_caption(run: Run, shown: Sequence[SpacedSample[Arrival]]) -> str:
    seen, drawn = sum(each.seen for each in shown), sum(len(each.items) for each in shown)
    return join_sentences(
        [
            _(
                "A line is one timed reply, {sizes}, in at most {steps} steps.",
                sizes=format_sample_sizes([each.seen for each in shown]),
                steps=2 * MAX_STEPS,
            ),
            _("{n} of {all} replies are drawn, evenly spaced in time.", n=f"{drawn:,}", all=f"{seen:,}")
            if drawn < seen
            else None,
        ],
        simulated=run.simulated,
    )
