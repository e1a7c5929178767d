"""Text arriving over time: characters received against the time since the request was sent, a line for each reply."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from runner.analysis.run_results import Run
from runner.core.events import Channel
from runner.core.record import Record
from runner.outputs.charts.axis import Axis, Quantity, time_quantity
from runner.outputs.charts.chart import Canvas, Chart, describe_chart, format_sample_sizes, join_sentences
from runner.outputs.charts.chart_data import SpacedSample, TargetSamples, target_places, thin
from runner.outputs.charts.layouts import PANEL_HEIGHT, Panel, PanelLayout, draw_panels, panel_grid
from runner.outputs.charts.svg import LineStyle, Point, draw_dots, draw_key, element, steps
from runner.outputs.text.number_format import seconds
from runner.outputs.text.translation import _, translate

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
    label: str
    """The name of the request."""

    @property
    def end(self) -> Point:
        """The time of the last text, and the number of characters by then."""
        return (self.answer or self.thinking)[-1]


class ArrivalSamples(TargetSamples[Arrival]):
    """The replies to draw of each of a run's targets; records are added one by one."""

    def __init__(self, run: Run) -> None:
        super().__init__(run, MAX_LINES)

    def add(self, record: Record) -> None:
        """Add a record; it is left out unless it is timed and has text."""
        if record.timed and record.text_events.at_us:
            self.keep(record, lambda label: read_arrival(record, label))


def draw_arrivals(run: Run, samples: ArrivalSamples, canvas: Canvas) -> Chart | None:
    """Draw how the text of timed requests arrived; None where no reply has any."""
    arrivals = samples.by_target
    if not arrivals:
        return None
    ends = [each.end for sample in arrivals.values() for each in sample.items]
    layout, places = _layout(ends, len(arrivals), canvas), target_places(run)
    panels = [
        Panel(
            target,
            format_sample_sizes([sample.seen]),
            place,
            _draw_lines(sample.items, layout) + _draw_ends(sample.items, layout, place, canvas),
        )
        for target, sample in arrivals.items()
        for place in [canvas.colour_index(places[target])]
    ]
    has_thinking = any(each.thinking for sample in arrivals.values() for each in sample.items)
    key = draw_key([("thinking", THINKING), ("answer", ANSWER)], canvas.width) if has_thinking else ""
    title = _("Text arriving over time, by target")
    description = describe_chart(title, (_describe(target, sample) for target, sample in arrivals.items()))
    content, caption = draw_panels(layout, panels, key), _arrivals_caption(run, [*arrivals.values()])
    return canvas.chart(title, description, layout.grid.height, content, caption=caption)


def read_arrival(record: Record, label: str) -> Arrival:
    """Return a record's text over time; it needs at least one text event. `label` names the request.

    All text from the first answer event on counts as answer.
    """
    events = record.text_events
    times_s = [at / 1e6 for at in events.at_us]
    points = [(times_s[0], 0.0), *zip(times_s, map(float, accumulate(events.lengths)), strict=True)]
    first = events.channels.find(Channel.ANSWER)
    turn = len(points) if first < 0 else first
    thinking = thin(points[: turn + 1], MAX_STEPS) if turn else ()
    return Arrival(thinking, thin(points[turn:], MAX_STEPS), label)


def _layout(ends: Sequence[Point], count: int, canvas: Canvas) -> PanelLayout:
    y_axis = Axis(canvas.fit("y", [y for _, y in ends], PANEL_HEIGHT, 0.0, ticks=5, linear=True), CHARACTERS)
    grid = panel_grid(count, y_axis, canvas.width)
    x_scale = canvas.fit("x", [x for x, _ in ends], 0.0, grid.panel_width, ticks=5, linear=True)
    x_axis = Axis(x_scale, time_quantity("time since the request was sent", x_scale.high))
    return PanelLayout(canvas.prefix, grid, x_axis, y_axis, context=False)


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
    x_scale, y_scale = layout.x_axis.scale, layout.y_axis.scale
    ends = ((x_scale(x), y_scale(y)) for x, y in (each.end for each in arrivals))
    return draw_dots(ends, END, series=canvas.read(str(place), texts))


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
