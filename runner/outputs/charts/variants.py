"""The variants of each model: a row for each variant, with columns for speed, tokens, cost and quality.

A column has a scale of its own. The line through a model's rows shows what more effort, or another setting, changes.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from runner.analysis.intervals import Interval, Statistic
from runner.analysis.run_results import Run
from runner.analysis.target_figures import TargetFigures, target_figures
from runner.analysis.variants import ModelVariants, group_variants
from runner.outputs.charts.axis import Axis, Quantity, draw_ticks_below, draw_vertical_rules, time_quantity
from runner.outputs.charts.chart import (
    Canvas,
    Chart,
    describe_chart,
    describe_left_out,
    format_sample_sizes,
    join_sentences,
)
from runner.outputs.charts.svg import (
    SMALL,
    Point,
    draw_dots,
    draw_label,
    draw_name,
    element,
    elide,
    line,
    series_colour,
    widest,
)
from runner.outputs.text.number_format import MISSING, percent, seconds, with_interval
from runner.outputs.text.translation import BilingualText, _, comma_list, labelled, translate

ROW, ABOVE_MODEL, TOP, BELOW, BETWEEN_BLOCKS = 19.0, 26.0, 20.0, 22.0, 14.0
GUTTER, NARROWEST, WIDEST_NAME = 18.0, 62.0, 150.0
"""The room between columns, the narrowest drawing area of a column, and the most room that a variant's name gets."""

DOT = 7.0


class MeasuredValue(NamedTuple):
    """A figure with its 95 % interval, if it has one."""

    value: float
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class SweptFigure:
    """A figure of a target: its name, and how it is read and written."""

    name: str
    read: Callable[[TargetFigures], MeasuredValue | None]
    write: Callable[[float | None], str]

    def quantity(self, highest: float) -> Quantity:
        """Return what the axis shows."""
        if self.write is seconds:
            return time_quantity(self.name, highest)
        return Quantity(self.name, "%", 100.0) if self.write is percent else Quantity(self.name)

    def describe(self, figures: TargetFigures) -> str:
        """Return the figure with its interval, if it has one: `TTFT 120 ms [110, 140]`."""
        found = self.read(figures)
        if found is None:
            return _("{name} {figures}", name=_(self.name), figures=MISSING)
        figure = with_interval(self.write(found.value), found.interval, self.write)
        return _("{name} {figures}", name=_(self.name), figures=figure)


def _median(statistic: Statistic | None) -> MeasuredValue | None:
    return None if statistic is None else MeasuredValue(statistic.value, statistic.interval)


def _tokens(figures: TargetFigures) -> MeasuredValue | None:
    tokens = figures.output_tokens_p50
    return None if tokens is None else MeasuredValue(tokens)


def _cost(figures: TargetFigures) -> MeasuredValue | None:
    cost = figures.costs[0] if len(figures.costs) == 1 else None
    return None if cost is None else MeasuredValue(float(cost.of_1000.amount))


def _passed(figures: TargetFigures) -> MeasuredValue | None:
    passed = figures.passed
    return None if passed is None else MeasuredValue(passed.share, passed.interval)


_OF_MEDIANS = frozenset({"TTFT", "total", "tokens"})
PER_1000 = "/1,000"
PASSED = "pass rate"


def _measures(shown: Sequence[TargetFigures]) -> list[SweptFigure]:
    """Return the figures that any of the targets has; a cost only where all of them are in one currency."""
    currencies = {cost.spent.currency for each in shown for cost in each.costs}
    measures = [
        SweptFigure("TTFT", lambda each: _median(each.summary.ttft_p50), seconds),
        SweptFigure("total", lambda each: _median(each.summary.total_p50), seconds),
        SweptFigure("tokens", _tokens, "{:,.0f}".format),
        *(SweptFigure(f"{each}{PER_1000}", _cost, "{:,.4g}".format) for each in currencies if len(currencies) == 1),
        SweptFigure(PASSED, _passed, percent),
    ]
    return [measure for measure in measures if any(map(measure.read, shown))]


@dataclass(frozen=True, slots=True)
class _Row:
    """One variant: its model's heading, if it is the first of it, its name, its figures, and the colours' places."""

    heading: str | None
    name: str
    figures: TargetFigures
    place: int


def _rows(run: Run, groups: Sequence[ModelVariants], canvas: Canvas) -> list[_Row]:
    figures = {each.target: (place, each) for place, each in enumerate(target_figures(run))}
    rows = []
    for group in groups:
        heading: str | None = str(group.model)
        for name, target in group.variants.items():
            place, found = figures[target]
            rows.append(_Row(heading, name, found, canvas.colour_index(place)))
            heading = None
    return rows


@dataclass(frozen=True)
class _Block:
    """Some columns side by side, with the rows' names left of them; narrow canvases have several blocks."""

    rows: Sequence[_Row]
    columns: Sequence[tuple[SweptFigure, Axis]]
    top: float
    names: float

    @property
    def middles(self) -> list[float]:
        """The vertical middle of each row."""
        middles, y = [], self.top + TOP
        for row in self.rows:
            y += ABOVE_MODEL if row.heading is not None else 0.0
            middles.append(y + ROW / 2)
            y += ROW
        return middles

    @property
    def bottom(self) -> float:
        """The lower end of the last row."""
        return self.middles[-1] + ROW / 2


def draw_variants(run: Run, canvas: Canvas) -> Chart | None:
    """Draw the variants of each model that has several; None where none has, or nothing was timed."""
    groups = group_variants(run.targets, run.header.variants)
    rows = _rows(run, groups, canvas)
    measures = _measures([row.figures for row in rows])
    if not measures:
        return None
    blocks = _blocks(rows, measures, canvas)
    title, content = _("Variants of each model"), "".join(_draw_block(block, canvas) for block in blocks)
    description = describe_chart(title, (_describe(row, measures) for row in rows))
    height, caption = blocks[-1].bottom + BELOW, _variants_caption(run, rows, measures)
    return canvas.chart(title, description, height, content, caption=caption)


def _describe(row: _Row, measures: Sequence[SweptFigure]) -> str:
    figures = [measure.describe(row.figures) for measure in measures]
    return labelled(translate(str(row.figures.target)), comma_list([*figures, f"n {row.figures.summary.timed:,}"]))


def _blocks(rows: Sequence[_Row], measures: Sequence[SweptFigure], canvas: Canvas) -> list[_Block]:
    names = min(widest((row.name for row in rows), SMALL) + 6, WIDEST_NAME)
    fitting = max(1, int((canvas.width - names) // (NARROWEST + GUTTER)))
    width = (canvas.width - names) / min(fitting, len(measures))
    blocks: list[_Block] = []
    for start in range(0, len(measures), fitting):
        top = blocks[-1].bottom + BELOW + BETWEEN_BLOCKS if blocks else 0.0
        columns = [
            (measure, _axis(measure, rows, names + at * width + GUTTER, names + (at + 1) * width - GUTTER / 2, canvas))
            for at, measure in enumerate(measures[start : start + fitting])
        ]
        blocks.append(_Block(rows, columns, top, names))
    return blocks


def _axis(measure: SweptFigure, rows: Sequence[_Row], start: float, end: float, canvas: Canvas) -> Axis:
    found = [value for row in rows if (value := measure.read(row.figures)) is not None]
    values = [each.interval.high if each.interval else each.value for each in found]
    if measure.write is percent:
        values.append(1.0)
    scale = canvas.fit(measure.name, values, start, end, ticks=3, linear=True)
    return Axis(scale, measure.quantity(max(values)))


def _draw_block(block: _Block, canvas: Canvas) -> str:
    placed = list(zip(block.rows, block.middles, strict=True))
    right = {"size": SMALL, "anchor": "end"}
    names = [
        draw_label(block.names, y + SMALL / 3, elide(row.name, block.names, SMALL), **right, title=row.name)  # type: ignore[arg-type]
        for row, y in placed
    ]
    headings = [
        draw_name(0, y - ROW / 2 - 7, row.heading, canvas.width) for row, y in placed if row.heading is not None
    ]
    columns = [_draw_column(block, measure, axis, canvas) for measure, axis in block.columns]
    return element("g", *headings, *names, *columns)


def _draw_column(block: _Block, measure: SweptFigure, axis: Axis, canvas: Canvas) -> str:
    scale, room = axis.scale, axis.scale.end - axis.scale.start + GUTTER - 4
    points = [
        None if (found := measure.read(row.figures)) is None else (scale(found.value), y)
        for row, y in zip(block.rows, block.middles, strict=True)
    ]
    marks = [
        _draw_mark(row, measure, axis, point, canvas)
        for row, point in zip(block.rows, points, strict=True)
        if point is not None
    ]
    return "".join(
        [
            draw_label(scale.start, block.top + SMALL, elide(axis.title, room, SMALL), size=SMALL, soft=True),
            draw_vertical_rules(scale, block.top + TOP, block.bottom),
            *_draw_line(block.rows, points),
            *marks,
            draw_ticks_below(axis, block.bottom + 14, overhang=GUTTER / 2),
        ]
    )


def _draw_line(rows: Sequence[_Row], points: Sequence[Point | None]) -> list[str]:
    """Draw a line through the points of each model."""
    models: list[list[Point]] = []
    for row, point in zip(rows, points, strict=True):
        if row.heading is not None:
            models.append([])
        if point is not None:
            models[-1].append(point)
    soft = partial(element, "path", fill="none", stroke="currentColor", stroke_opacity="0.35", stroke_width=1.4)
    return [soft(d=line(through)) for through in models if len(through) > 1]


def _draw_mark(row: _Row, measure: SweptFigure, axis: Axis, point: Point, canvas: Canvas) -> str:
    found, colour, bar = measure.read(row.figures), series_colour(row.place), ""
    if found is not None and found.interval is not None:
        ends = [(axis.scale(end), point[1]) for end in (found.interval.low, found.interval.high)]
        bar = element("path", d=line(ends), stroke=colour, stroke_width=1.4)
    series = canvas.read(f"{row.place} {measure.name}", [measure.describe(row.figures)])
    dot = draw_dots([point], DOT, stroke=colour, series=series)
    return element("g", bar, dot, data_target=str(row.place))


def _variants_caption(run: Run, rows: Sequence[_Row], measures: Sequence[SweptFigure]) -> str:
    counts = [row.figures.summary.timed for row in rows]
    targets = len(run.summary)
    return join_sentences(
        [
            _(
                "A row is a variant, {sizes}, in the suite's order; a line joins those of one model.",
                sizes=format_sample_sizes(counts),
            ),
            *_describe_measures({measure.name for measure in measures}),
            describe_left_out(targets - len(rows), targets, "targets", _("their model was asked in one way only")),
        ],
        simulated=run.simulated,
    )


def _describe_measures(names: AbstractSet[str]) -> Iterator[BilingualText]:
    """Yield a sentence on each kind of figure that is drawn."""
    if names & _OF_MEDIANS:
        yield _("Times and tokens are medians, times with their 95 % intervals.")
    if any(name.endswith(PER_1000) for name in names):
        yield _("The cost is that of 1,000 requests.")
    if PASSED in names:
        yield _(
            "The pass rate is the share of repeats whose checks passed, with its 95 % interval, which takes the "
            "repeats of a case as one cluster."
        )
