"""The phases of each target's median request as a stacked bar: connecting, waiting, thinking, answering.

Medians of phases do not add up to the median of the whole, so no medians are stacked. Each bar is one real request, the
one whose time from connecting to the end is its target's median; its phases add up.

The time in the queue depends on our own schedule. In a run that sends as fast as its lanes allow, it would be far
longer than the bars, so it is written before the bar, in figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.analysis.result_columns import Row
from runner.analysis.run_results import Run
from runner.outputs.charts.axis import Axis, Scale, time_quantity
from runner.outputs.charts.chart import (
    Canvas,
    Chart,
    describe_chart,
    describe_left_out,
    format_sample_sizes,
    join_sentences,
)
from runner.outputs.charts.chart_data import ChartSample, as_number, timed_samples
from runner.outputs.charts.layouts import GUTTER, FigureColumn, RowLayout
from runner.outputs.charts.svg import (
    SMALL,
    SOFT,
    Point,
    draw_label,
    element,
    escaped,
    series_colour,
    text_width,
    translated,
    widest,
)
from runner.outputs.text.number_format import seconds
from runner.outputs.text.translation import _, comma_list, labelled, translate

CONNECT, FIRST, THINKING, ANSWER = "connecting", "to first text", "thinking", "answering"
CONNECTING = ("dns_s", "tcp_s", "tls_s")

TOP, ROW_HEIGHT, BAR_HEIGHT, KEY_LINE = 44.0, 30.0, 16.0, 22.0
BLUE = series_colour(0)


@dataclass(frozen=True, slots=True)
class MedianRequest:
    """A target's median request, of `n`: the seconds of each phase that took place, in their order."""

    target: str
    place: int
    n: int
    queue_s: float | None
    phases_s: Mapping[str, float]

    @property
    def whole_s(self) -> float:
        """The time from connecting to the end of the reply, in seconds."""
        return sum(self.phases_s.values())

    @property
    def queue(self) -> str:
        """The time it waited for a slot, formatted; empty if it did not wait."""
        return seconds(self.queue_s) if self.queue_s else ""

    @property
    def description(self) -> str:
        """The request's phases, and n, in words."""
        phases = [("queue", self.queue_s), *self.phases_s.items()]
        spent = comma_list(_(name) + f" {seconds(spent_s)}" for name, spent_s in phases if spent_s)
        return _(
            "{target}: {spent}, {whole} without the queue, the median of n {n}",
            target=translate(self.target),
            spent=spent,
            whole=seconds(self.whole_s),
            n=f"{self.n:,}",
        )


def draw_phases(run: Run, medians: Sequence[MedianRequest], canvas: Canvas) -> Chart | None:
    """Draw the phases of each target's median request, fastest target first; None where there is none."""
    shown = sorted(medians, key=lambda each: each.whole_s)
    if not shown:
        return None
    prefix, layout = canvas.prefix, _layout(shown, canvas)
    queue_room = widest((each.queue for each in shown), SMALL)
    zero = layout.left + (queue_room + GUTTER if queue_room else 0.0)
    scale = canvas.fit("x", [each.whole_s for each in shown], zero, layout.right, ticks=canvas.ticks, linear=True)
    bars = [
        element("g", _draw_bar(prefix, each, middle, scale), data_target=str(canvas.colour_index(each.place)))
        for each, middle in zip(shown, layout.middles, strict=True)
    ]
    axis = layout.draw(Axis(scale, time_quantity("time since a slot was free", scale.high)))
    title = _("Where the time of a median request went, by target")
    description = describe_chart(title, (each.description for each in shown))
    texture, key, queues = _hatch(f"{prefix}-hatch"), _draw_key(shown, canvas), _draw_queues(shown, layout, zero)
    content = (element("defs", texture), key, axis, queues, *bars)
    return canvas.chart(title, description, layout.height, *content, caption=_phases_caption(run, shown))


def find_median_requests(run: Run) -> list[MedianRequest]:
    """Return the median request of each target that has a whole reply."""
    found = [(sample, ended) for sample in timed_samples(run, *CONNECTING, "total_s") if (ended := _by_whole_s(sample))]
    rows = run.rows_at([_middle(ended) for _, ended in found])
    return [
        MedianRequest(sample.target, sample.place, len(ended), as_number(row["queue_s"]), phases_of(row) or {})
        for sample, ended in found
        for row in [rows[_middle(ended)]]
    ]


def _by_whole_s(sample: ChartSample) -> list[int]:
    """Return the places of the replies that have an end, by the time from connecting to it."""
    whole_s = sample.table["total_s"] + sample.table[list(CONNECTING)].sum(axis=1)
    return whole_s[whole_s > 0].sort_values(kind="stable").index.tolist()


def _middle(places: Sequence[int]) -> int:
    """Return the middle place, the lower one of two."""
    return places[(len(places) - 1) // 2]


def phases_of(row: Row) -> dict[str, float] | None:
    """Return the seconds a request spent in each phase that took place; None where its reply has no end.

    Of a reply that was not streamed, all the time until its end counts as waiting for the first text.
    """
    total = as_number(row["total_s"])
    if total is None:
        return None
    first, answer = as_number(row["ttft_s"]), as_number(row["ttfa_s"])
    first = total if first is None else first
    if answer is None:
        answer = first if row["reasoning"] is None else total
    spent = {
        CONNECT: sum(as_number(row[name]) or 0.0 for name in CONNECTING),
        FIRST: first,
        THINKING: answer - first,
        ANSWER: total - answer,
    }
    return {name: spent_s for name, spent_s in spent.items() if spent_s > 0}


def _layout(shown: Sequence[MedianRequest], canvas: Canvas) -> RowLayout:
    return RowLayout(
        names=[each.target for each in shown],
        figures=[
            FigureColumn("in all", tuple(seconds(each.whole_s) for each in shown)),
            FigureColumn("n", tuple(f"{each.n:,}" for each in shown)),
        ],
        heights=[ROW_HEIGHT] * len(shown),
        top=TOP + (KEY_LINE if canvas.stacked else 0.0),
        width=canvas.width,
    )


def _draw_queues(shown: Sequence[MedianRequest], layout: RowLayout, zero: float) -> str:
    """Draw each queue as a figure in a broken outline; all outlines have one length, since it is not to scale."""
    room = zero - layout.left - 4
    middle_x = layout.left + room / 2
    outline = {"fill": "none", "stroke": "currentColor", "stroke_opacity": SOFT, "stroke_dasharray": "2 2"}
    drawn = []
    for each, middle in zip(shown, layout.middles, strict=True):
        if each.queue:
            y = middle - BAR_HEIGHT / 2
            box = element("rect", x=layout.left, y=y, width=room, height=BAR_HEIGHT, stroke_width=0.7, **outline)
            drawn += [box, draw_label(middle_x, middle + SMALL / 3, each.queue, size=SMALL, anchor="middle")]
    if drawn:
        drawn.append(draw_label(middle_x, layout.top - 8, _("queue"), size=SMALL, anchor="middle", soft=True))
    return "".join(drawn)


def _draw_bar(prefix: str, median: MedianRequest, middle: float, scale: Scale) -> str:
    """Draw the phases one after another, with their times in figures where these fit."""
    drawn, reached_s = [], 0.0
    for name, spent_s in median.phases_s.items():
        start, end = scale(reached_s), scale(reached_s + spent_s)
        reading = labelled(_(name), seconds(spent_s))
        drawn.append(_draw_phase(prefix, name, (start, middle - BAR_HEIGHT / 2), end - start, reading))
        text = seconds(spent_s)
        if name != CONNECT and text_width(text, SMALL) + 6 <= end - start:
            drawn.append(draw_label((start + end) / 2, middle + SMALL / 3, text, size=SMALL, anchor="middle"))
        reached_s += spent_s
    return "".join(drawn)


def _draw_phase(prefix: str, name: str, at: Point, length: float, reading: str | None = None) -> str:
    """Draw a part of a bar; phases differ in darkness and texture, not in colour alone."""
    styles = {
        CONNECT: {"fill_opacity": "0.75"},
        FIRST: {"fill_opacity": "0.12"},
        THINKING: {"fill": f"url(#{prefix}-hatch)"},
        ANSWER: {"fill": BLUE, "fill_opacity": "0.5"},
    }
    return element(
        "rect",
        x=at[0],
        y=at[1],
        width=length,
        height=BAR_HEIGHT,
        stroke="currentColor",
        stroke_width=0.6,
        data_reading=None if reading is None else escaped(reading),
        data_other_data_reading=None if reading is None else translated(reading),
        **styles[name],
    )


def _hatch(name: str) -> str:
    """Return the texture of thinking: stripes in the colour of the answer."""
    ground = element("rect", width=6, height=6, fill=BLUE, fill_opacity="0.15")
    stripe = element("path", d="M0 6L6 0", stroke=BLUE, stroke_opacity="0.6")
    return element("pattern", ground, stripe, id=name, width=6, height=6, patternUnits="userSpaceOnUse")


def _draw_key(shown: Sequence[MedianRequest], canvas: Canvas) -> str:
    """Draw a sample of each phase that took place, with its name, in as many lines as that takes."""
    drawn, x, y = [], 0.5, 0.5
    for name in (CONNECT, FIRST, THINKING, ANSWER):
        if any(name in each.phases_s for each in shown):
            taken = 28 + text_width(_(name), SMALL)
            if x + taken > canvas.width:
                x, y = 0.5, y + KEY_LINE
            drawn += [_draw_phase(canvas.prefix, name, (x, y), 22), draw_label(x + 28, y + 12, _(name), size=SMALL)]
            x += taken + GUTTER
    return "".join(drawn)


def _phases_caption(run: Run, shown: Sequence[MedianRequest]) -> str:
    requests, counts = len(run.measured), [each.n for each in shown]
    return join_sentences(
        [
            _("A bar is one real request, so that its phases add up, as medians of phases would not."),
            _(
                "It is the one whose time without the queue is the median of its target's timed ones, {sizes}.",
                sizes=format_sample_sizes(counts),
            ),
            _("The queue, our own wait for a free slot, is not to scale.")
            if any(each.queue for each in shown)
            else None,
            _("Waits between attempts are not drawn."),
            describe_left_out(requests - sum(counts), requests, "requests", _("they failed")),
        ],
        simulated=run.simulated,
    )
