"""Every request in time, from the start of the run: when it was sent, when its text began, and when it ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.analysis.run import Run
from runner.core.record import Record
from runner.outputs.charts.axis import Axis, of_time
from runner.outputs.charts.chart import Chart, caption, left_out
from runner.outputs.charts.colours import series
from runner.outputs.charts.legend import Mark, draw_key
from runner.outputs.charts.rows import Figures, Rows
from runner.outputs.charts.sample import Spaced, most_of_each
from runner.outputs.charts.scale import Scale, fit
from runner.outputs.charts.svg import element, figure, number
from runner.outputs.text.figures import seconds

TOP = 40.0
THINNEST, THICKEST, ROOM = 1.6, 8.0, 420.0
"""A lane is as high as the room allows, within bounds."""

ROW, BETWEEN = 20.0, 8.0
"""The least height of a target's row, which its name needs; and what lies between the lanes of two targets."""

WAITING: Mark = {"stroke_width": "0.9"}
FAILED: Mark = {"stroke_width": "1.3"}
KEY: tuple[tuple[str, Mark], ...] = (("waiting for text", WAITING), ("text arriving", {"stroke_width": "5"}))

SHORTEST, CROSS = 0.5, 2.4
"""The least length of text that can be seen; half the width of the cross at the end of a request that failed."""


@dataclass(frozen=True, slots=True)
class Span:
    """One request in seconds since the run's start; `text_s` is None where no text came."""

    start_s: float
    text_s: float | None
    end_s: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Band:
    """One target's requests, of `n` those that are drawn, in lanes."""

    target: str
    place: int
    n: int
    lanes: Sequence[Sequence[Span]]

    @property
    def spans(self) -> list[Span]:
        """The requests that are drawn, lane after lane."""
        return [span for lane in self.lanes for span in lane]

    @property
    def end_s(self) -> float:
        """When the last of them ended."""
        return max(span.end_s for span in self.spans)

    @property
    def words(self) -> str:
        """What the picture shows of this target."""
        start_s, failed = min(span.start_s for span in self.spans), sum(span.failed for span in self.spans)
        failures = f", {failed:,} failed" if failed else ""
        return f"{self.target}: from {seconds(start_s)} to {seconds(self.end_s)}{failures}, n {self.n:,}"


def draw_waterfall(run: Run, records: Iterable[Record], prefix: str = "waterfall") -> Chart | None:
    """Draw when each of these records' requests was under way, warm-ups left out; None where none was."""
    spans, never_sent = _gather(run, records)
    if not spans:
        return None
    order = [str(each.target) for each in run.summary]
    bands = [Band(target, order.index(target), found.seen, pack(found.items)) for target, found in spans.items()]
    pitch = min(max(ROOM / sum(len(band.lanes) for band in bands), THINNEST), THICKEST)
    rows = _rows(bands, pitch)
    scale = fit([band.end_s for band in bands], rows.left, rows.right - CROSS, ticks=10, linear=True)
    axis = rows.draw(Axis(scale, of_time("time since the run's start", scale.high)))
    drawn = [_draw_band(band, middle, pitch, scale) for band, middle in zip(bands, rows.middles, strict=True)]
    title = "Requests in time, by target"
    words = "; ".join(band.words for band in bands)
    svg = figure(prefix, title, f"{title}. {words}.", rows.height, draw_key(KEY), axis, *drawn)
    return Chart(title, svg, _caption(run, bands, never_sent))


def _gather(run: Run, records: Iterable[Record]) -> tuple[Mapping[str, Spaced[Span]], int]:
    """Read the requests to draw of each target that has any, in the suite's order; count those that were never sent."""
    spans = {str(each.target): Spaced[Span](most_of_each(len(run.summary))) for each in run.summary}
    never_sent = 0
    for record in records:
        if record.warmup:
            continue
        span = read_span(record)
        if span is None:
            never_sent += 1
        else:
            spans[str(run.target_of(record))].add(span)
    return {target: found for target, found in spans.items() if found.seen}, never_sent


def read_span(record: Record) -> Span | None:
    """Read off a record's marks when its request was under way; None if it never was.

    One that failed ends with the last sign of it: how long it was waited for afterwards is not on record.
    """
    marks = record.timestamps
    start_ns = marks.sent if marks.slot is None else marks.slot
    if start_ns is None:
        return None
    signs = (start_ns, marks.tcp_end, marks.tls_end, marks.sent, marks.headers, marks.last_event)
    end_ns = max(at for at in signs if at is not None)
    heard_us = record.text_events.at_us
    text_s = (marks.sent + heard_us[0] * 1000) / 1e9 if marks.sent is not None and heard_us else None
    return Span(start_ns / 1e9, text_s, end_ns / 1e9, not record.timed)


def pack(spans: Iterable[Span]) -> list[list[Span]]:
    """Put spans into lanes in which none overlap, by start, each into the first lane that is free."""
    lanes: list[list[Span]] = []
    for span in sorted(spans, key=lambda each: (each.start_s, each.end_s)):
        lane = next((lane for lane in lanes if lane[-1].end_s <= span.start_s), None)
        if lane is None:
            lanes.append([span])
        else:
            lane.append(span)
    return lanes


def _rows(bands: Sequence[Band], pitch: float) -> Rows:
    return Rows(
        names=[band.target for band in bands],
        figures=[Figures("n", tuple(f"{band.n:,}" for band in bands))],
        heights=[max(ROW, len(band.lanes) * pitch + BETWEEN) for band in bands],
        top=TOP,
    )


def _draw_band(band: Band, middle: float, pitch: float, scale: Scale) -> str:
    """Draw the lanes around the middle of the row: what waited, what had text, and what failed, a path each."""
    top = middle - (len(band.lanes) - 1) / 2 * pitch
    placed = [(span, top + at * pitch) for at, lane in enumerate(band.lanes) for span in lane]
    colour = series(band.place)
    layers = (
        ("".join(_draw_waiting(span, y, scale) for span, y in placed), {"stroke": colour, **WAITING}),
        (
            "".join(_draw_text(span, y, scale) for span, y in placed),
            {"stroke": colour, "stroke_width": f"{pitch * 0.7:.1f}"},
        ),
        ("".join(_draw_cross(span, y, scale) for span, y in placed), {"stroke": "currentColor", **FAILED}),
    )
    return "".join(element("path", d=data, **look) for data, look in layers if data)


def _draw_waiting(span: Span, y: float, scale: Scale) -> str:
    end_s = span.end_s if span.text_s is None else min(span.text_s, span.end_s)
    return f"M{number(scale(span.start_s))} {number(y)}H{number(scale(end_s))}"


def _draw_text(span: Span, y: float, scale: Scale) -> str:
    if span.text_s is None:
        return ""
    start = scale(min(span.text_s, span.end_s))
    return f"M{number(start)} {number(y)}H{number(max(scale(span.end_s), start + SHORTEST))}"


def _draw_cross(span: Span, y: float, scale: Scale) -> str:
    if not span.failed:
        return ""
    x, wide = scale(span.end_s) - CROSS, number(2 * CROSS)
    up, down = number(y - CROSS), number(y + CROSS)
    return f"M{number(x)} {up}l{wide} {wide}M{number(x)} {down}l{wide} -{wide}"


def _caption(run: Run, bands: Sequence[Band], never_sent: int) -> str:
    seen, drawn = sum(band.n for band in bands), sum(len(band.spans) for band in bands)
    failed = any(span.failed for band in bands for span in band.spans)
    return caption(
        [
            f"A bar is one request, n {seen:,}: thin while it connected and waited, thick while text arrived.",
            "Requests of a target that overlap lie in lanes of their own.",
            "A cross is the last sign of a request that failed." if failed else None,
            f"{drawn:,} of {seen:,} are drawn, evenly spaced; more ran at once than it seems."
            if drawn < seen
            else None,
            left_out(never_sent, seen + never_sent, "requests", "drawn", "they were never sent"),
        ],
        simulated=run.simulated,
    )
