"""Text as it arrived: characters heard so far against the time since the request was sent, a line for each reply."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from runner.analysis.run import Run
from runner.core.events import Channel
from runner.core.record import Record
from runner.outputs.charts.axis import Axis, Quantity, of_time
from runner.outputs.charts.chart import Chart, caption, sizes
from runner.outputs.charts.legend import Mark, draw_key
from runner.outputs.charts.panels import TALL, Panel, Sheet, draw_panels, lay_out
from runner.outputs.charts.sample import Spaced, thin
from runner.outputs.charts.scale import fit
from runner.outputs.charts.svg import Point, element, figure, steps
from runner.outputs.text.figures import seconds

MOST_LINES = 12
"""Of one target; more of them hide each other."""

MOST_STEPS = 30
"""Of one line's thinking, and of its answer; a panel is not wide enough to show more."""

CHARACTERS = Quantity("characters heard")
THINKING: Mark = {"stroke_width": "0.9", "stroke_dasharray": "2 2"}
ANSWER: Mark = {"stroke_width": "1.1"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """How one reply's text came: seconds since `sent` and characters so far; the answer goes on from thinking."""

    thinking: Sequence[Point]
    answer: Sequence[Point]

    @property
    def end(self) -> Point:
        """When the last text came, and how many characters there were by then."""
        return (self.answer or self.thinking)[-1]


def draw_arrivals(run: Run, records: Iterable[Record], prefix: str = "arrivals") -> Chart | None:
    """Draw how text arrived in the timed ones of these records; None where none of them heard any."""
    arrivals = _gather(run, records)
    if not arrivals:
        return None
    sheet = _lay_out(prefix, [each.end for found in arrivals.values() for each in found.items], len(arrivals))
    order = [str(each.target) for each in run.summary]
    panels = [
        Panel(target, sizes([found.seen]), order.index(target), _draw(found.items, sheet))
        for target, found in arrivals.items()
    ]
    thought = any(each.thinking for found in arrivals.values() for each in found.items)
    key = draw_key([("thinking", THINKING), ("answer", ANSWER)]) if thought else ""
    title = "Text arriving over time, by target"
    words = "; ".join(_words(target, found) for target, found in arrivals.items())
    svg = figure(prefix, title, f"{title}. {words}.", sheet.grid.height, draw_panels(sheet, panels, key))
    return Chart(title, svg, _caption(run, list(arrivals.values())))


def _gather(run: Run, records: Iterable[Record]) -> Mapping[str, Spaced[Arrival]]:
    """Read the replies to draw of each target that has any, in the suite's order."""
    arrivals = {str(each.target): Spaced[Arrival](MOST_LINES) for each in run.summary}
    for record in records:
        if record.timed and record.text_events.at_us:
            arrivals[str(run.target_of(record))].add(read_arrival(record))
    return {target: found for target, found in arrivals.items() if found.seen}


def read_arrival(record: Record) -> Arrival:
    """Follow a record's text events, one at least; what comes after the first of the answer counts as answer."""
    heard = record.text_events
    times_s = [at / 1e6 for at in heard.at_us]
    points = [(times_s[0], 0.0), *zip(times_s, map(float, accumulate(heard.lengths)), strict=True)]
    first = heard.channels.find(Channel.ANSWER)
    turn = len(points) if first < 0 else first
    return Arrival(thin(points[: turn + 1], MOST_STEPS) if turn else (), thin(points[turn:], MOST_STEPS))


def _lay_out(prefix: str, ends: Sequence[Point], count: int) -> Sheet:
    up = Axis(fit([y for _, y in ends], TALL, 0.0, ticks=5, linear=True), CHARACTERS)
    grid = lay_out(count, up)
    across = fit([x for x, _ in ends], 0.0, grid.wide, ticks=5, linear=True)
    return Sheet(prefix, grid, Axis(across, of_time("time since the request was sent", across.high)), up, context=False)


def _draw(arrivals: Sequence[Arrival], sheet: Sheet) -> str:
    thinking = _trace([each.thinking for each in arrivals], THINKING, sheet)
    return thinking + _trace([each.answer for each in arrivals], ANSWER, sheet)


def _trace(parts: Sequence[Sequence[Point]], mark: Mark, sheet: Sheet) -> str:
    across, up = sheet.across.scale, sheet.up.scale
    data = "".join(steps([(across(x), up(y)) for x, y in part]) for part in parts if part)
    return element("path", d=data, fill="none", **mark) if data else ""


def _words(target: str, arrivals: Spaced[Arrival]) -> str:
    times_s, characters = zip(*(each.end for each in arrivals.items), strict=True)
    extent = f"replies of {min(characters):,.0f} to {max(characters):,.0f} characters"
    return f"{target}: {extent}, whole after {seconds(min(times_s))} to {seconds(max(times_s))}, n {arrivals.seen:,}"


def _caption(run: Run, shown: Sequence[Spaced[Arrival]]) -> str:
    seen, drawn = sum(each.seen for each in shown), sum(len(each.items) for each in shown)
    return caption(
        [
            f"A line is one timed reply, {sizes([each.seen for each in shown])}, in at most {2 * MOST_STEPS} steps.",
            f"{drawn:,} of {seen:,} replies are drawn, evenly spaced in time." if drawn < seen else None,
        ],
        simulated=run.simulated,
    )
