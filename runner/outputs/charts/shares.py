"""The share of requests that took no longer than a time: an ECDF of each target, from n 20."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.run import Run
from runner.outputs.charts.axis import Axis, Quantity, of_time
from runner.outputs.charts.chart import Chart, caption, left_out, sizes
from runner.outputs.charts.durations import ChartDuration
from runner.outputs.charts.panels import BEHIND, TALL, Panel, Sheet, draw_panels, lay_out
from runner.outputs.charts.sample import most_of_each, thin, timed_samples
from runner.outputs.charts.scale import Scale, fit
from runner.outputs.charts.svg import Point, element, figure, steps
from runner.outputs.text.figures import seconds

FEWEST = 20
"""Fewer values make a staircase whose steps are mistaken for structure."""

SHARE = Quantity("share of requests", "%", 100.0)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One target's values, ascending."""

    target: str
    place: int
    values: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """Return the smallest value that so large a share does not exceed: nearest rank."""
        return self.values[max(-int(-share * len(self.values) // 1), 1) - 1]

    @property
    def words(self) -> str:
        """What the picture shows of this target."""
        half, most = seconds(self.quantile(0.5)), seconds(self.quantile(0.95))
        return f"{self.target}: half within {half}, 95 % within {most}, n {len(self.values):,}"


def draw_shares(run: Run, over: ChartDuration, prefix: str = "shares") -> Chart | None:
    """Draw the share of requests against the time they took; None where no target has 20 values."""
    samples = timed_samples(run, over.column)
    found = [Distribution(each.target, each.place, tuple(sorted(each.numbers(over.column)))) for each in samples]
    shown = [each for each in found if len(each.values) >= FEWEST]
    if not shown:
        return None
    up = Axis(Scale(0.0, 1.0, TALL, 0.0, ticks=(0.0, 0.5, 1.0)), SHARE)
    grid = lay_out(len(shown), up)
    across = fit([value for each in shown for value in each.values], 0.0, grid.wide, ticks=5)
    sheet = Sheet(prefix, grid, Axis(across, of_time(over.name, across.high)), up)
    most = most_of_each(len(shown))
    panels = [Panel(each.target, sizes([len(each.values)]), each.place, _draw(each, sheet, most)) for each in shown]
    title = f"Share of requests within a {over.title}, by target"
    words = "; ".join(each.words for each in shown)
    svg = figure(prefix, title, f"{title}. {words}.", grid.height, draw_panels(sheet, panels))
    return Chart(title, svg, _caption(run, shown, over))


def _draw(distribution: Distribution, sheet: Sheet, most: int) -> str:
    """Draw the staircase, from the smallest value up to the largest."""
    across, up = sheet.across.scale, sheet.up.scale
    return element("path", d=steps(_climb(distribution, across, up, most)), fill="none", stroke_width=1.8)


def _climb(distribution: Distribution, across: Scale, up: Scale, most: int) -> list[Point]:
    n = len(distribution.values)
    reached = [(across(value), up(rank / n)) for rank, value in enumerate(distribution.values, start=1)]
    return [(reached[0][0], up(0.0)), *thin(reached, most)]


def _caption(run: Run, shown: Sequence[Distribution], over: ChartDuration) -> str:
    counts, asked, most = [len(each.values) for each in shown], len(run.summary), most_of_each(len(shown))
    return caption(
        [
            f"The line is the share of a target's timed requests whose {over.title} was no longer, {sizes(counts)}.",
            BEHIND if len(shown) > 1 else None,
            left_out(asked - len(shown), asked, "targets", "drawn", f"below n {FEWEST}"),
            f"Of more than {most} steps, {most} are drawn." if max(counts) > most else None,
        ],
        simulated=run.simulated,
    )
