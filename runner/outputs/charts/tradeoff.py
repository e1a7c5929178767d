"""Cost, quality and time of each target in one picture: points with intervals, and the line of the best trade-offs.

Across is the time of a whole reply, up the share of checks that passed; what 1,000 requests cost stands beside the
name. Without checks, cost goes up instead. A target that no other beats in everything at once is filled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.analysis.intervals import Interval
from runner.analysis.run_results import Run
from runner.analysis.target_figures import TargetFigures, target_figures
from runner.outputs.charts.axis import (
    Axis,
    Quantity,
    Scale,
    draw_axes,
    draw_vertical_rules,
    time_quantity,
)
from runner.outputs.charts.chart import Canvas, Chart, describe_left_out, format_sample_sizes, join_sentences
from runner.outputs.charts.svg import (
    SMALL,
    draw_dots,
    draw_label,
    element,
    elide,
    line,
    series_colour,
    widest,
)
from runner.outputs.text.number_format import amount, percent, seconds, with_interval
from runner.outputs.text.translation import _, clauses, comma_list, labelled, translate

TOP, HEIGHT, BELOW, OVERHANG = 28.0, 230.0, 40.0, 14.0
BOTTOM = TOP + HEIGHT
RADIUS = 5.0
FRONT = {"stroke": "currentColor", "stroke_opacity": "0.45", "stroke_dasharray": "5 4", "fill": "none"}
LINE_HEIGHT, SWATCH = 14.0, 11.0


@dataclass(frozen=True, slots=True)
class TradeoffPoint:
    """One target: its time, its share of passed checks, and its cost of 1,000 requests; what is unknown is None."""

    target: str
    place: int
    n: int
    total_s: float
    total_interval: Interval | None
    passed: float | None
    passed_interval: Interval | None
    cost: float | None
    currency: str | None

    def beats(self, other: "TradeoffPoint") -> bool:
        """Return whether this one is at least as good in everything that both have, and better in something.

        Costs in different currencies are not compared.
        """
        is_one_currency = self.currency == other.currency
        pairs = [
            (ours, theirs)
            for ours, theirs in (
                (self.total_s, other.total_s),
                (other.passed, self.passed),  # the other way round, since more is better
                *([(self.cost, other.cost)] if is_one_currency else []),
            )
            if ours is not None and theirs is not None
        ]
        return all(ours <= theirs for ours, theirs in pairs) and any(ours < theirs for ours, theirs in pairs)

    @property
    def description(self) -> str:
        """The target's name, and its figures in words."""
        return labelled(translate(self.target), self.figures)

    @property
    def figures(self) -> str:
        """The target's figures in words."""
        time = with_interval(seconds(self.total_s), self.total_interval, seconds)
        parts: list[str] = [_("whole reply {time}", time=time)]
        if self.passed is not None:
            share = with_interval(percent(self.passed), self.passed_interval, percent)
            parts.append(_("pass rate {share}", share=share))
        if self.cost is not None:
            parts.append(self.price)
        return comma_list([*parts, f"n {self.n:,}"])

    @property
    def price(self) -> str:
        """The cost of 1,000 requests; empty if it is not known."""
        if self.cost is None:
            return ""
        written = amount(self.cost)
        return _("{amount} {currency} per 1,000", amount=written, currency=self.currency)


@dataclass(frozen=True, slots=True)
class _Up:
    """The vertical axis: what it shows, and how a point has it."""

    name: str
    read: Callable[[TradeoffPoint], float | None]
    interval: Callable[[TradeoffPoint], Interval | None]
    is_more_better: bool


_QUALITY = _Up("pass rate", lambda point: point.passed, lambda point: point.passed_interval, True)
_COST = _Up("cost per 1,000 requests", lambda point: point.cost, lambda _: None, False)


def draw_tradeoff(run: Run, canvas: Canvas) -> Chart | None:
    """Draw the targets; None where fewer than two have a time, or neither cost nor checks are known."""
    points = [
        point for place, each in enumerate(target_figures(run)) if (point := _point(each, canvas.colour_index(place)))
    ]
    up = _QUALITY if any(point.passed is not None for point in points) else _COST
    shown = [point for point in points if up.read(point) is not None]
    if len(shown) < 2 or (up is _COST and len({point.currency for point in shown}) > 1):
        return None
    y_axis, x_axis = _axes(shown, up, canvas)
    frame = _Frame(up, x_axis.scale, y_axis.scale)
    front = [point for point in shown if not any(other.beats(point) for other in shown)]
    has_costs = any(point.cost is not None for point in shown)
    title = _("Cost, quality and time") if has_costs else _("Quality and time")
    title = _("Cost and time") if up is _COST else title
    content = (
        draw_axes(x_axis, y_axis, overhang=OVERHANG),
        draw_vertical_rules(x_axis.scale, TOP, BOTTOM),
        _draw_front(front, frame),
        *(_draw_point(point, frame, is_front=point in front, canvas=canvas) for point in shown),
        *_draw_names(shown, frame, canvas),
    )
    description = _(
        "{title} by target. {descriptions}.",
        title=title,
        descriptions=clauses(point.description for point in shown),
    )
    return canvas.chart(title, description, BOTTOM + BELOW, *content, caption=_tradeoff_caption(run, shown, up))


def _point(figures: TargetFigures, place: int) -> TradeoffPoint | None:
    total = figures.summary.total_p50
    if total is None:
        return None
    cost = figures.costs[0] if len(figures.costs) == 1 else None
    passed = figures.passed
    return TradeoffPoint(
        target=str(figures.target),
        place=place,
        n=total.n,
        total_s=total.value,
        total_interval=total.interval,
        passed=passed.share if passed else None,
        passed_interval=passed.interval if passed else None,
        cost=float(cost.of_1000.amount) if cost else None,
        currency=cost.spent.currency if cost else None,
    )


def _axes(shown: Sequence[TradeoffPoint], up: _Up, canvas: Canvas) -> tuple[Axis, Axis]:
    if up is _QUALITY:
        y_axis = Axis(Scale(0.0, 1.0, BOTTOM, TOP, (0.0, 0.25, 0.5, 0.75, 1.0)), Quantity(up.name, "%", 100.0))
    else:
        costs = [value for point in shown if (value := up.read(point)) is not None]
        y_axis = Axis(canvas.fit("y", costs, BOTTOM, TOP, ticks=5), Quantity(up.name, shown[0].currency or ""))
    left = y_axis.label_width + OVERHANG
    ends = [end for point in shown if (found := point.total_interval) for end in (found.low, found.high)]
    times = [*(point.total_s for point in shown), *ends]
    x_scale = canvas.fit("x", times, left, canvas.width - OVERHANG, ticks=canvas.ticks)
    return y_axis, Axis(x_scale, time_quantity("whole reply, median", x_scale.high))


def _draw_front(front: Sequence[TradeoffPoint], frame: "_Frame") -> str:
    """Draw the line through the points that none beats by time and height, from the fastest on."""
    up, best = frame.up, list[TradeoffPoint]()
    for point in sorted(front, key=lambda each: each.total_s):
        value, last = up.read(point) or 0.0, (up.read(best[-1]) or 0.0) if best else None
        if last is None or (value > last if up.is_more_better else value < last):
            best.append(point)
    if len(best) < 2:
        return ""
    return element("path", d=line([frame.at(point) for point in best]), **FRONT)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The scales of a chart, and what its vertical one shows."""

    up: _Up
    x: Scale
    y: Scale

    def at(self, point: TradeoffPoint) -> tuple[float, float]:
        """Return where a point lies."""
        return self.x(point.total_s), self.y(self.up.read(point) or 0.0)

    def bars(self, point: TradeoffPoint) -> list[tuple[float, float, float, float]]:
        """Return the ends of a point's intervals: from left and top to right and bottom."""
        (across, down), up = self.at(point), self.up.interval(point)
        ends = [(self.x(each.low), down, self.x(each.high), down) for each in [point.total_interval] if each]
        return [*ends, *([(across, self.y(up.high), across, self.y(up.low))] if up else [])]


def _draw_point(point: TradeoffPoint, frame: _Frame, *, is_front: bool, canvas: Canvas) -> str:
    """Draw a point on its intervals; one that another beats in everything is hollow."""
    place, colour = [frame.at(point)], series_colour(point.place)
    bars = [
        element("path", d=line([(left, top), (right, bottom)]), stroke=colour, stroke_width=1.4)
        for left, top, right, bottom in frame.bars(point)
    ]
    series = canvas.read(str(point.place), [point.figures])
    dot = draw_dots(place, 2 * RADIUS, stroke=colour, series=series)
    hollow = "" if is_front else draw_dots(place, RADIUS, stroke="var(--paper, #fff)")
    return element("g", *bars, dot, hollow, data_target=str(point.place))


def _draw_names(shown: Sequence[TradeoffPoint], frame: _Frame, canvas: Canvas) -> list[str]:
    """Draw the name of each target near its point where it covers nothing else; a pointer reads the others."""
    taken = [_around(*frame.at(point)) for point in shown]
    taken += [
        (left - 2, top - 2, right + 2, bottom + 2) for point in shown for left, top, right, bottom in frame.bars(point)
    ]
    drawn = []
    for point in sorted(shown, key=lambda each: each.total_s):
        lines = [elide(text, canvas.width / 2, SMALL) for text in (point.target, point.price) if text]
        wide, below = SWATCH + widest(lines, SMALL), LINE_HEIGHT * (len(lines) - 1)
        for left, baseline in _choices(point, frame, wide, below):
            box = (left, baseline - SMALL, left + wide, baseline + below + 3)
            if _is_inside(box, frame, canvas) and not any(_overlap(box, other) for other in taken):
                drawn.append(_draw_lines(left, baseline, lines, point))
                taken.append(box)
                break
    return drawn


def _draw_lines(left: float, baseline: float, lines: Sequence[str], point: TradeoffPoint) -> str:
    """Draw a target's name behind a dot in its colour, and below it what 1,000 requests cost."""
    name, *others = lines
    parts = [
        draw_dots([(left + 4, baseline - 4)], 6, stroke=series_colour(point.place)),
        draw_label(left + SWATCH, baseline, name, size=SMALL, title=point.target),
        *(draw_label(left + SWATCH, baseline + LINE_HEIGHT, text, size=SMALL, soft=True) for text in others),
    ]
    return element("g", *parts, data_target=str(point.place))


Box = tuple[float, float, float, float]


def _around(x: float, y: float) -> Box:
    return x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS


def _is_inside(box: Box, frame: _Frame, canvas: Canvas) -> bool:
    left, top, right, bottom = box
    return left >= frame.x.start and right <= canvas.width and top >= TOP - 14 and bottom <= BOTTOM


def _choices(point: TradeoffPoint, frame: _Frame, wide: float, below: float) -> list[tuple[float, float]]:
    """Return the left end and baseline of each place that a name may have: beside its point, then beyond its bars."""
    x, y = frame.at(point)
    tops, bottoms = zip(
        *[(y - RADIUS, y + RADIUS), *((top, bottom) for _x, top, _x2, bottom in frame.bars(point))], strict=True
    )
    middle, high, low = y + SMALL / 3 - below / 2, min(tops) - 4 - below, max(bottoms) + LINE_HEIGHT + 2
    lefts = (x + RADIUS + 5, x - RADIUS - 5 - wide, x - wide / 2)
    step = below + LINE_HEIGHT + 4
    beyond = [at for row in range(5) for at in (high - row * step, low + row * step)]
    return [*((left, middle) for left in lefts[:2]), *((left, at) for at in beyond for left in lefts)]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _tradeoff_caption(run: Run, shown: Sequence[TradeoffPoint], up: _Up) -> str:
    targets = len(run.summary)
    better = _("Better is to the left and up.") if up.is_more_better else _("Better is to the left and down.")
    counts = [point.n for point in shown]
    return join_sentences(
        [
            _(
                "A point is a target, {sizes}; bars are 95 % intervals. {better}",
                sizes=format_sample_sizes(counts),
                better=better,
            ),
            _(
                "A filled point is one that no other target beats in every figure; the dashed line joins the best "
                "trade-offs."
            ),
            describe_left_out(
                targets - len(shown), targets, "targets", _("they have no time or no {name}", name=_(up.name))
            ),
        ],
        simulated=run.simulated,
    )
