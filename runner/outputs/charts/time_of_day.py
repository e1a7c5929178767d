"""A run that was spread over hours: the median TTFT of each round over the time of day, in a panel for each target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from runner.analysis.run_results import Run
from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.outputs.charts.axis import Axis, time_axis, time_quantity
from runner.outputs.charts.chart import Canvas, Chart, format_sample_sizes, join_sentences
from runner.outputs.charts.chart_data import target_places
from runner.outputs.charts.layouts import (
    CONTEXT_SENTENCE,
    PANEL_HEIGHT,
    Panel,
    PanelLayout,
    draw_panels,
    panel_grid,
)
from runner.outputs.charts.svg import DOT, draw_dots, element, line
from runner.outputs.text.number_format import seconds
from runner.outputs.text.translation import _, labelled


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


def draw_rounds_by_time(run: Run, rounds: Mapping[str, Sequence[RoundPoint]], canvas: Canvas) -> Chart | None:
    """Draw TTFT by round over the time of day; None where the rounds were not spread, or fewer than two have times."""
    points = [point for found in rounds.values() for point in found]
    if len({point.at for point in points}) < 2:
        return None
    layout, places = _layout(len(rounds), points, canvas), target_places(run)
    panels = [
        Panel(name, format_sample_sizes([each.n for each in found]), place, _draw_rounds(found, layout, place, canvas))
        for name, found in rounds.items()
        for place in [canvas.colour_index(places[name])]
    ]
    title, caption = _("TTFT over the day, by target"), _day_caption(run, points, len(rounds))
    content = draw_panels(layout, panels)
    return canvas.chart(title, labelled(title, caption), layout.grid.height, content, caption=caption)


def _layout(count: int, points: Sequence[RoundPoint], canvas: Canvas) -> PanelLayout:
    ttfts_s = [point.ttft_s for point in points]
    y_axis = Axis(canvas.fit("y", ttfts_s, PANEL_HEIGHT, 0.0, ticks=5), time_quantity("TTFT", max(ttfts_s)))
    grid = panel_grid(count, y_axis, canvas.width)
    x_axis = time_axis("time of day", [point.at for point in points], 0.0, grid.panel_width, ticks=5)
    return PanelLayout(canvas.prefix, grid, x_axis, y_axis)


def _draw_rounds(found: Sequence[RoundPoint], layout: PanelLayout, place: int, canvas: Canvas) -> str:
    places = [(layout.x_axis.scale(each.at.timestamp()), layout.y_axis.scale(each.ttft_s)) for each in found]
    texts = [f"{each.at:%m-%d %H:%M}: {seconds(each.ttft_s)}, n {each.n}" for each in found]
    series = canvas.read(f"{place} rounds", texts)
    return element("path", d=line(places), fill="none", stroke_width="1.2") + draw_dots(places, DOT, series=series)


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
