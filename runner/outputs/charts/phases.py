"""Where the time of one typical request went, stacked, in a row for each target.

Medians of phases do not add up to the median of the whole, so no medians are stacked: of each target, one request is
drawn, the one whose time from connecting to the end is the median. Its phases are what they were, and they add up.

The queue is our own: in a run that asks as fast as its lanes allow, it says how late a request was planned, and would
dwarf all else. It is written before the bar, in figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runner.analysis.columns import Row
from runner.analysis.run import Run
from runner.outputs.charts.axis import Axis, of_time
from runner.outputs.charts.chart import Chart, caption, left_out, sizes
from runner.outputs.charts.colours import series
from runner.outputs.charts.labels import SMALL, widest, width, write
from runner.outputs.charts.rows import GUTTER, Figures, Rows
from runner.outputs.charts.sample import ChartSample, as_number, timed_samples
from runner.outputs.charts.scale import Scale, fit
from runner.outputs.charts.svg import SOFT, element, figure
from runner.outputs.text.figures import seconds

CONNECT, FIRST, THINKING, ANSWER = "connecting", "to first text", "thinking", "answering"
CONNECTING = ("dns_s", "tcp_s", "tls_s")

TOP, ROW, BAR = 44.0, 30.0, 16.0
BLUE = series(0)


@dataclass(frozen=True, slots=True)
class Typical:
    """The median request of a target's `n`: the seconds of each phase that took place, in their order."""

    target: str
    n: int
    queue_s: float | None
    phases_s: Mapping[str, float]

    @property
    def whole_s(self) -> float:
        """From connecting to the end of the reply."""
        return sum(self.phases_s.values())

    @property
    def queue(self) -> str:
        """How long it waited for a slot, in figures; the empty string for not at all."""
        return seconds(self.queue_s) if self.queue_s else ""

    @property
    def words(self) -> str:
        """What the picture shows of this target."""
        phases = [("queue", self.queue_s), *self.phases_s.items()]
        spent = ", ".join(f"{name} {seconds(spent_s)}" for name, spent_s in phases if spent_s)
        return f"{self.target}: {spent}, {seconds(self.whole_s)} without the queue, the median of n {self.n:,}"


def draw_phases(run: Run, prefix: str = "phases") -> Chart | None:
    """Draw the phases of each target's median request, fastest target first; None where nothing was timed."""
    found = _find(run)
    if not found:
        return None
    shown = sorted(found, key=lambda each: each.whole_s)
    rows = _rows(shown)
    queue_room = widest((each.queue for each in shown), SMALL)
    zero = rows.left + (queue_room + GUTTER if queue_room else 0.0)
    scale = fit([each.whole_s for each in shown], zero, rows.right, ticks=10, linear=True)
    bars = [_draw_bar(prefix, each, middle, scale) for each, middle in zip(shown, rows.middles, strict=True)]
    axis = rows.draw(Axis(scale, of_time("time since a slot was free", scale.high)))
    title = "Where the time of a median request went, by target"
    words = "; ".join(each.words for each in shown)
    key = _draw_key(prefix, shown)
    queues = _draw_queues(shown, rows, zero)
    content = (element("defs", _hatch(f"{prefix}-hatch")), key, axis, queues, *bars)
    return Chart(title, figure(prefix, title, f"{title}. {words}.", rows.height, *content), _caption(run, shown))


def _find(run: Run) -> list[Typical]:
    """Find each target's median request, and read what it went through; nothing of a target without a whole reply."""
    medians = [median for sample in timed_samples(run, *CONNECTING, "total_s") if (median := _median(sample))]
    rows = run.rows_at([median.at for median in medians])
    return [_read(median, rows[median.at]) for median in medians]


class _Median(NamedTuple):
    """Where in the run's table a target's median request is; the lower of the middle two of its `n`."""

    target: str
    n: int
    at: int


def _median(sample: ChartSample) -> _Median | None:
    """Choose the median by the time from connecting to the end; None where no reply has an end."""
    whole_s = sample.table["total_s"] + sample.table[list(CONNECTING)].sum(axis=1)
    ended_s = whole_s[whole_s > 0].sort_values(kind="stable")
    n = len(ended_s)
    return _Median(sample.target, n, ended_s.index[(n - 1) // 2]) if n else None


def _read(median: _Median, row: Row) -> Typical:
    return Typical(median.target, median.n, as_number(row["queue_s"]), phases_of(row) or {})


def phases_of(row: Row) -> dict[str, float] | None:
    """Return the seconds a request spent in each phase that took place; None where its reply has no end.

    A reply that came in one piece was waited for until its end.
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


def _rows(shown: Sequence[Typical]) -> Rows:
    return Rows(
        names=[each.target for each in shown],
        figures=[
            Figures("in all", tuple(seconds(each.whole_s) for each in shown)),
            Figures("n", tuple(f"{each.n:,}" for each in shown)),
        ],
        heights=[ROW] * len(shown),
        top=TOP,
    )


def _draw_queues(shown: Sequence[Typical], rows: Rows, zero: float) -> str:
    """Write the queues, each in a broken outline of one length, for it is not to the bars' scale."""
    wide = zero - rows.left - 4
    middle_x = rows.left + wide / 2
    outline = {"fill": "none", "stroke": "currentColor", "stroke_opacity": SOFT, "stroke_dasharray": "2 2"}
    drawn = []
    for each, middle in zip(shown, rows.middles, strict=True):
        if each.queue:
            box = element("rect", x=rows.left, y=middle - BAR / 2, width=wide, height=BAR, stroke_width=0.7, **outline)
            drawn += [box, write(middle_x, middle + SMALL / 3, each.queue, size=SMALL, anchor="middle")]
    if drawn:
        drawn.append(write(middle_x, TOP - 8, "queue", size=SMALL, anchor="middle", soft=True))
    return "".join(drawn)


def _draw_bar(prefix: str, typical: Typical, middle: float, scale: Scale) -> str:
    """Draw the phases one after another, with their times in figures where they have room."""
    drawn, reached_s = [], 0.0
    for name, spent_s in typical.phases_s.items():
        start, end = scale(reached_s), scale(reached_s + spent_s)
        drawn.append(_draw_phase(prefix, name, start, middle - BAR / 2, end - start))
        text = seconds(spent_s)
        if name != CONNECT and width(text, SMALL) + 6 <= end - start:
            drawn.append(write((start + end) / 2, middle + SMALL / 3, text, size=SMALL, anchor="middle"))
        reached_s += spent_s
    return "".join(drawn)


def _draw_phase(prefix: str, name: str, x: float, y: float, wide: float) -> str:
    """Draw a stretch of a bar; phases differ in how dark they are and in texture, not in colour alone."""
    looks = {
        CONNECT: {"fill_opacity": "0.75"},
        FIRST: {"fill_opacity": "0.12"},
        THINKING: {"fill": f"url(#{prefix}-hatch)"},
        ANSWER: {"fill": BLUE, "fill_opacity": "0.5"},
    }
    return element("rect", x=x, y=y, width=wide, height=BAR, stroke="currentColor", stroke_width=0.6, **looks[name])


def _hatch(name: str) -> str:
    """Return the texture of thinking: stripes of the colour of the answer."""
    ground = element("rect", width=6, height=6, fill=BLUE, fill_opacity="0.15")
    stripe = element("path", d="M0 6L6 0", stroke=BLUE, stroke_opacity="0.6")
    return element("pattern", ground, stripe, id=name, width=6, height=6, patternUnits="userSpaceOnUse")


def _draw_key(prefix: str, shown: Sequence[Typical]) -> str:
    """Draw a sample of each phase that took place, with its name."""
    drawn, x = [], 0.5
    for name in (CONNECT, FIRST, THINKING, ANSWER):
        if any(name in each.phases_s for each in shown):
            drawn += [_draw_phase(prefix, name, x, 0.5, 22), write(x + 28, 12.5, name, size=SMALL)]
            x += 28 + width(name, SMALL) + GUTTER
    return "".join(drawn)


def _caption(run: Run, shown: Sequence[Typical]) -> str:
    asked, counts = len(run.measured), [each.n for each in shown]
    return caption(
        [
            "A bar is one real request, so that its phases add up, as medians of phases would not.",
            f"It is the one whose time without the queue is the median of its target's timed ones, {sizes(counts)}.",
            "The queue, our own wait for a free slot, is not to scale." if any(each.queue for each in shown) else None,
            "Waits between attempts are not drawn.",
            left_out(asked - sum(counts), asked, "requests", "counted", "they failed"),
        ],
        simulated=run.simulated,
    )
