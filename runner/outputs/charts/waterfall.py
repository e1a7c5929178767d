"""Every request in time, from the start of the run: when it was sent, when its text began, and when it ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runner.analysis.run_results import Run
from runner.core.record import Record
from runner.core.record_fields import Timestamps
from runner.outputs.charts.axis import Axis, Scale, time_quantity
from runner.outputs.charts.chart import Canvas, Chart, describe_chart, describe_left_out, join_sentences
from runner.outputs.charts.chart_data import TargetSamples, max_points, target_places
from runner.outputs.charts.layouts import FigureColumn, RowLayout
from runner.outputs.charts.svg import LineStyle, dots, draw_key, element, number, series_colour
from runner.outputs.text.number_format import seconds
from runner.outputs.text.translation import _, translate

TOP = 40.0
MIN_TRACK_HEIGHT, MAX_TRACK_HEIGHT, TRACKS_HEIGHT = 1.6, 8.0, 420.0
"""Tracks share the height of all tracks, within bounds."""

MIN_ROW_HEIGHT, ROW_GAP = 20.0, 8.0
"""The least height of a target's row, which its name needs; and the gap between the tracks of two targets."""

WAITING: LineStyle = {"stroke_width": "0.9"}
FAILED: LineStyle = {"stroke_width": "1.3"}
KEY: tuple[tuple[str, LineStyle], ...] = (("waiting for text", WAITING), ("text arriving", {"stroke_width": "5"}))

MIN_TEXT_LENGTH, CROSS = 0.5, 2.4
"""The least visible length of a bar of text; half the width of the cross at the end of a failed request."""


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """One request in seconds since the run's start; `text_s` is None where no text came."""

    start_s: float
    text_s: float | None
    end_s: float
    failed: bool
    label: str = field(default="", compare=False)
    """The name of the request."""

    @property
    def reading(self) -> str:
        """The request, when it was sent, and how it went, in words."""
        lasted = seconds(self.end_s - self.start_s)
        took = _("failed after {time}", time=lasted) if self.failed else _("ended after {time}", time=lasted)
        values = {"request": self.label, "start": seconds(self.start_s), "took": took}
        if self.text_s is None:
            return _("{request}: at {start}, {took}", **values)
        waited = seconds(self.text_s - self.start_s)
        return _("{request}: at {start}, text after {waited}, {took}", waited=waited, **values)


@dataclass(frozen=True, slots=True)
class TargetSpans:
    """One target's requests: those that are drawn, of `n`, in tracks of requests that do not overlap."""

    target: str
    place: int
    n: int
    tracks: Sequence[Sequence[RequestSpan]]

    @property
    def spans(self) -> list[RequestSpan]:
        """The requests that are drawn, track after track."""
        return [span for track in self.tracks for span in track]

    @property
    def end_s(self) -> float:
        """The end of the last request, in seconds since the run's start."""
        return max(span.end_s for span in self.spans)

    @property
    def description(self) -> str:
        """The target's first start, last end, failures and n, in words."""
        start_s, failed = min(span.start_s for span in self.spans), sum(span.failed for span in self.spans)
        values = {
            "target": translate(self.target),
            "start": seconds(start_s),
            "end": seconds(self.end_s),
            "n": f"{self.n:,}",
        }
        if not failed:
            return _("{target}: from {start} to {end}, n {n}", **values)
        return _("{target}: from {start} to {end}, {failed} failed, n {n}", failed=f"{failed:,}", **values)


class SpanSamples(TargetSamples[RequestSpan]):
    """The requests to draw of each of a run's targets, without warm-ups; records are added one by one."""

    def __init__(self, run: Run) -> None:
        super().__init__(run, max_points(len(run.summary)))
        self.never_sent = 0

    def add(self, record: Record) -> None:
        """Add a record."""
        if record.warmup:
            return
        start_ns = in_flight_since_ns(record.timestamps)
        if start_ns is None:
            self.never_sent += 1
        else:
            self.keep(record, lambda label: read_span(record, start_ns, label))


def draw_waterfall(run: Run, spans: SpanSamples, canvas: Canvas) -> Chart | None:
    """Draw when each request was in flight; None where none was sent."""
    samples = spans.by_target
    if not samples:
        return None
    places = target_places(run)
    shown = [TargetSpans(target, places[target], sample.seen, pack(sample.items)) for target, sample in samples.items()]
    height = min(max(TRACKS_HEIGHT / sum(len(each.tracks) for each in shown), MIN_TRACK_HEIGHT), MAX_TRACK_HEIGHT)
    layout = _layout(shown, height, canvas)
    ends = [each.end_s for each in shown]
    scale = canvas.fit("x", ends, layout.left, layout.right - CROSS, ticks=canvas.ticks, linear=True)
    axis = layout.draw(Axis(scale, time_quantity("time since the run's start", scale.high)))
    drawn = [
        _draw_spans(each, middle, height, scale, canvas) for each, middle in zip(shown, layout.middles, strict=True)
    ]
    title = _("Requests in time, by target")
    description = describe_chart(title, (each.description for each in shown))
    content = draw_key(KEY, canvas.width), axis, *drawn
    caption = _waterfall_caption(run, shown, spans.never_sent)
    return canvas.chart(title, description, layout.height, *content, caption=caption)


def in_flight_since_ns(timestamps: Timestamps) -> int | None:
    """Return the time from which a request counted as in flight, in ns; None if it was never sent."""
    return timestamps.sent if timestamps.slot is None else timestamps.slot


def read_span(record: Record, start_ns: int, label: str) -> RequestSpan:
    """Return when a record's request, named by `label`, was in flight.

    One that failed ends with its last timestamp: how long it was waited for afterwards is not recorded.
    """
    timestamps = record.timestamps
    candidates = (
        start_ns,
        timestamps.tcp_end,
        timestamps.tls_end,
        timestamps.sent,
        timestamps.headers,
        timestamps.last_event,
    )
    end_ns = max(at for at in candidates if at is not None)
    text_us = record.text_events.at_us
    text_s = (timestamps.sent + text_us[0] * 1000) / 1e9 if timestamps.sent is not None and text_us else None
    return RequestSpan(start_ns / 1e9, text_s, end_ns / 1e9, not record.timed, label)


def pack(spans: Iterable[RequestSpan]) -> list[list[RequestSpan]]:
    """Return tracks in which no spans overlap: each span, by start, goes into the first track that is free."""
    tracks: list[list[RequestSpan]] = []
    for span in sorted(spans, key=lambda each: (each.start_s, each.end_s)):
        track = next((track for track in tracks if track[-1].end_s <= span.start_s), None)
        if track is None:
            tracks.append([span])
        else:
            track.append(span)
    return tracks


def _layout(shown: Sequence[TargetSpans], track_height: float, canvas: Canvas) -> RowLayout:
    return RowLayout(
        names=[each.target for each in shown],
        figures=[FigureColumn("n", tuple(f"{each.n:,}" for each in shown))],
        heights=[max(MIN_ROW_HEIGHT, len(each.tracks) * track_height + ROW_GAP) for each in shown],
        top=TOP,
        width=canvas.width,
    )


def _draw_spans(each: TargetSpans, middle: float, track_height: float, scale: Scale, canvas: Canvas) -> str:
    """Draw the tracks around the middle of the row, with one path for waits, one for text and one for failures."""
    top = middle - (len(each.tracks) - 1) / 2 * track_height
    placed = [(span, top + at * track_height) for at, track in enumerate(each.tracks) for span in track]
    place = canvas.colour_index(each.place)
    colour = series_colour(place)
    layers = (
        ("".join(_wait_data(span, y, scale) for span, y in placed), {"stroke": colour, **WAITING}),
        (
            "".join(_text_data(span, y, scale) for span, y in placed),
            {"stroke": colour, "stroke_width": f"{track_height * 0.7:.1f}"},
        ),
        ("".join(_cross_data(span, y, scale) for span, y in placed), {"stroke": "currentColor", **FAILED}),
    )
    drawn = [element("path", d=data, **style) for data, style in layers if data]
    series = canvas.read(str(place), (span.reading for span, _ in placed))
    # Not drawn: the middle of each request, at which a pointer reads it.
    middles = dots((scale((span.start_s + span.end_s) / 2), y) for span, y in placed)
    return element("g", *drawn, element("path", d=middles, data_series=series), data_target=str(place))


def _wait_data(span: RequestSpan, y: float, scale: Scale) -> str:
    end_s = span.end_s if span.text_s is None else min(span.text_s, span.end_s)
    return f"M{number(scale(span.start_s))} {number(y)}H{number(scale(end_s))}"


def _text_data(span: RequestSpan, y: float, scale: Scale) -> str:
    if span.text_s is None:
        return ""
    start = scale(min(span.text_s, span.end_s))
    return f"M{number(start)} {number(y)}H{number(max(scale(span.end_s), start + MIN_TEXT_LENGTH))}"


def _cross_data(span: RequestSpan, y: float, scale: Scale) -> str:
    if not span.failed:
        return ""
    x, width = scale(span.end_s) - CROSS, number(2 * CROSS)
    top, bottom = number(y - CROSS), number(y + CROSS)
    return f"M{number(x)} {top}l{width} {width}M{number(x)} {bottom}l{width} -{width}"


def _waterfall_caption(run: Run, shown: Sequence[TargetSpans], never_sent: int) -> str:
    seen, drawn = sum(each.n for each in shown), sum(len(each.spans) for each in shown)
    failed = any(span.failed for each in shown for span in each.spans)
    return join_sentences(
        [
            _(
                "A bar is one request, n {n}: thin while it connected and waited, thick while text arrived.",
                n=f"{seen:,}",
            ),
            _("Requests of a target that overlap are drawn below each other."),
            _("A cross is the last sign of a request that failed.") if failed else None,
            _(
                "{n} of {all} are drawn, evenly spaced; more were in flight together than are shown.",
                n=f"{drawn:,}",
                all=f"{seen:,}",
            )
            if drawn < seen
            else None,
            describe_left_out(never_sent, seen + never_sent, "requests", _("they were never sent")),
        ],
        simulated=run.simulated,
    )
