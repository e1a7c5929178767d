"""The share of requests within a time: the empirical distribution function (ECDF) of each target, from n 20."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.run_results import Run, cache_latest
from runner.outputs.charts.axis import Axis, Quantity, Scale, time_quantity
from runner.outputs.charts.chart import (
    Canvas,
    Chart,
    describe_chart,
    describe_left_out,
    format_sample_sizes,
    join_sentences,
)
from runner.outputs.charts.chart_data import ChartDuration, max_points, thin, timed_samples
from runner.outputs.charts.layouts import (
    CONTEXT_SENTENCE,
    PANEL_HEIGHT,
    Panel,
    PanelLayout,
    draw_panels,
    panel_grid,
)
from runner.outputs.charts.svg import element, steps
from runner.outputs.text.number_format import seconds, whole_percent
from runner.outputs.text.translation import _, translate

MIN_VALUES = 20
"""The steps of fewer values would be mistaken for structure."""

SHARE = Quantity("share of requests", "%", 100.0)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One target's values, ascending."""

    target: str
    place: int
    values: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """Return the quantile by nearest rank: the smallest value that this share of the values does not exceed."""
        return self.values[max(-int(-share * len(self.values) // 1), 1) - 1]

    @property
    def description(self) -> str:
        """The target's median, 95th percentile and n, in words."""
        half, most = seconds(self.quantile(0.5)), seconds(self.quantile(0.95))
        return _(
            "{target}: half within {half}, 95 % within {most}, n {n}",
            target=translate(self.target),
            half=half,
            most=most,
            n=f"{len(self.values):,}",
        )


@cache_latest
def _read_distributions(run: Run, over: ChartDuration) -> list[Distribution]:
    samples = timed_samples(run, over.column)
    return [Distribution(each.target, each.place, tuple(sorted(each.numbers(over.column)))) for each in samples]


def draw_ecdf(run: Run, over: ChartDuration, canvas: Canvas) -> Chart | None:
    """Draw the share of requests against the time they took; None where no target has 20 values."""
    shown = [each for each in _read_distributions(run, over) if len(each.values) >= MIN_VALUES]
    if not shown:
        return None
    layout = _layout(shown, over, canvas)
    most = max_points(len(shown))
    panels = [
        Panel(
            each.target,
            format_sample_sizes([len(each.values)]),
            canvas.colour_index(each.place),
            _draw_staircase(each, layout, most, canvas),
        )
        for each in shown
    ]
    english = f"Share of requests within a {over.title}, by target"
    title = _(english)
    description = describe_chart(title, (each.description for each in shown))
    content, caption = draw_panels(layout, panels), _ecdf_caption(run, shown, over)
    return canvas.chart(title, description, layout.grid.height, content, caption=caption)


def _layout(shown: Sequence[Distribution], over: ChartDuration, canvas: Canvas) -> PanelLayout:
    y_axis = Axis(Scale(0.0, 1.0, PANEL_HEIGHT, 0.0, ticks=(0.0, 0.5, 1.0)), SHARE)
    grid = panel_grid(len(shown), y_axis, canvas.width)
    x_scale = canvas.fit("x", [value for each in shown for value in each.values], 0.0, grid.panel_width, ticks=5)
    return PanelLayout(canvas.prefix, grid, Axis(x_scale, time_quantity(over.name, x_scale.high)), y_axis)


def _draw_staircase(distribution: Distribution, layout: PanelLayout, most: int, canvas: Canvas) -> str:
    """Draw the steps, from the smallest value up to the largest."""
    values, x_scale, y_scale = distribution.values, layout.x_axis.scale, layout.y_axis.scale
    shares = thin([(value, rank / len(values)) for rank, value in enumerate(values, start=1)], most)
    texts = (_("{share} within {time}", share=whole_percent(share), time=seconds(value)) for value, share in shares)
    series = canvas.read(str(canvas.colour_index(distribution.place)), texts)
    data = steps([(x_scale(value), y_scale(share)) for value, share in [(values[0], 0.0), *shares]])
    return element("path", d=data, fill="none", stroke_width=1.8, data_series=series)


def _ecdf_caption(run: Run, shown: Sequence[Distribution], over: ChartDuration) -> str:
    counts, targets, most = [len(each.values) for each in shown], len(run.summary), max_points(len(shown))
    return join_sentences(
        [
            _(
                "The line is the share of a target's timed requests whose {title} was no longer, {sizes}.",
                title=_(over.title),
                sizes=format_sample_sizes(counts),
            ),
            _(CONTEXT_SENTENCE) if len(shown) > 1 else None,
            describe_left_out(targets - len(shown), targets, "targets", _("below n {n}", n=MIN_VALUES)),
            _("Of more than {most} steps, {most} are drawn.", most=most) if max(counts) > most else None,
        ],
        simulated=run.simulated,
    )
