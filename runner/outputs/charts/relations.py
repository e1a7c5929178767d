"""A duration against the size of what was read or written, every request a dot, in a panel for each target."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.columns import Row
from runner.analysis.run import Run
from runner.outputs.charts.axis import Axis, Quantity, of_time
from runner.outputs.charts.chart import Chart, caption, left_out, sizes
from runner.outputs.charts.durations import TOTAL, TTFT, ChartDuration
from runner.outputs.charts.panels import BEHIND, TALL, Panel, Sheet, draw_panels, lay_out
from runner.outputs.charts.sample import ChartSample, as_number, most_of_each, thin, timed_samples
from runner.outputs.charts.scale import fit
from runner.outputs.charts.svg import Point, dots, element, figure
from runner.outputs.text.figures import seconds

SPARSE, DENSE = 4.2, 2.6
"""The diameter of a dot, and of one among many."""

MANY = 100


@dataclass(frozen=True, slots=True)
class Size:
    """How large the prompts or the replies were: in tokens, or in characters where not all tokens were counted."""

    of: str
    column: str
    unit: str
    remark: str

    def read(self, row: Row) -> float | None:
        """Read a request's size; None where it is not known."""
        cell = row[self.column]
        return float(len(cell)) if isinstance(cell, str) else as_number(cell)


_COUNTED = "Tokens are those that each provider counted; they differ between models."
_UNCOUNTED = "Sizes are in characters, because not every reply came with a count of tokens."

PROMPT = (
    Size("prompt", "input_tokens", "tokens", _COUNTED),
    Size("prompt", "prompt", "characters", _UNCOUNTED),
)
REPLY = (
    Size("reply", "output_tokens", "tokens", _COUNTED),
    Size("reply", "chars", "characters", _UNCOUNTED),
)


@dataclass(frozen=True, slots=True)
class Cloud:
    """One target's requests as points of size and seconds, in the order in which they finished."""

    target: str
    place: int
    points: tuple[Point, ...]

    @property
    def words(self) -> str:
        """What the picture shows of this target."""
        large, long = zip(*self.points, strict=True)
        extent = f"sizes {min(large):,.0f} to {max(large):,.0f}, times {seconds(min(long))} to {seconds(max(long))}"
        return f"{self.target}: {extent}, n {len(self.points):,}"


def draw_ttft_against_prompt(run: Run, prefix: str = "prompt-size") -> Chart | None:
    """Draw TTFT against the prompt's size; None where all prompts are of one size."""
    return _draw(run, TTFT, PROMPT, prefix)


def draw_total_against_reply(run: Run, prefix: str = "reply-size") -> Chart | None:
    """Draw the total time against the reply's size; None where all replies are of one size."""
    return _draw(run, TOTAL, REPLY, prefix)


def _draw(run: Run, over: ChartDuration, choices: tuple[Size, Size], prefix: str) -> Chart | None:
    samples = timed_samples(run, over.column, *(choice.column for choice in choices))
    size = _choose_size(samples, choices)
    clouds = [cloud for sample in samples if (cloud := _cloud(sample, over, size)).points]
    points = [point for cloud in clouds for point in cloud.points]
    if len({x for x, _ in points}) < 2:
        return None
    sheet = _lay_out(prefix, len(clouds), points, over, size)
    panels = [Panel(each.target, sizes([len(each.points)]), each.place, _draw_cloud(each, sheet)) for each in clouds]
    title = f"{over.title} against the size of the {size.of}, by target".capitalize()
    words = "; ".join(cloud.words for cloud in clouds)
    description = f"{title}, in {size.unit}. {words}."
    svg = figure(prefix, title, description, sheet.grid.height, draw_panels(sheet, panels))
    return Chart(title, svg, _caption(run, clouds, over, size))


def _choose_size(samples: Sequence[ChartSample], choices: tuple[Size, Size]) -> Size:
    """Choose tokens where all were counted, else characters."""
    tokens, characters = choices
    counted = all(tokens.read(row) is not None for sample in samples for row in sample.rows)
    return tokens if counted else characters


def _cloud(sample: ChartSample, over: ChartDuration, size: Size) -> Cloud:
    pairs = [(size.read(row), as_number(row[over.column])) for row in sample.rows]
    points = tuple((large, long) for large, long in pairs if large is not None and long is not None)
    return Cloud(sample.target, sample.place, points)


def _lay_out(prefix: str, count: int, points: Sequence[Point], over: ChartDuration, size: Size) -> Sheet:
    up = fit([y for _, y in points], TALL, 0.0, ticks=5)
    upright = Axis(up, of_time(over.name, up.high))
    grid = lay_out(count, upright)
    across = fit([x for x, _ in points], 0.0, grid.wide, ticks=5)
    return Sheet(prefix, grid, Axis(across, Quantity(size.of, size.unit)), upright)


def _draw_cloud(cloud: Cloud, sheet: Sheet) -> str:
    points = thin(cloud.points, most_of_each(sheet.grid.count))
    data = dots((sheet.across.scale(x), sheet.up.scale(y)) for x, y in points)
    return element("path", d=data, stroke_width=SPARSE if len(points) < MANY else DENSE, stroke_linecap="round")


def _caption(run: Run, clouds: Sequence[Cloud], over: ChartDuration, size: Size) -> str:
    asked, counts, most = len(run.measured), [len(cloud.points) for cloud in clouds], most_of_each(len(clouds))
    return caption(
        [
            f"A dot is one timed request, {sizes(counts)}.",
            BEHIND if len(clouds) > 1 else None,
            size.remark,
            left_out(asked - sum(counts), asked, "requests", "drawn", f"they failed, or brought no {over.name}"),
            f"Of more than {most} a target, {most} are drawn, evenly spaced in time." if max(counts) > most else None,
        ],
        simulated=run.simulated,
    )
