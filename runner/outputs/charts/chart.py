"""A chart with its caption, the canvas it is drawn on, the sentences of captions, and its drawings for a page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.outputs.charts.axis import Scale, can_be_logarithmic, fit_scale
from runner.outputs.charts.svg import WIDE, figure
from runner.outputs.text.translation import _, clauses, other_of, plural
from runner.outputs.text.translation import sentences as sentences_of


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole `<svg>` element and its caption in plain text: what is drawn, of how many requests, and what is not."""

    title: str
    svg: str
    caption: str
    readings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Series of marks -> the text of each mark, in the order of the path with that `data-series`."""


def describe_chart(title: str, descriptions: Iterable[str]) -> str:
    """Return what a chart shows, in words: its title, then each target's figures."""
    return _("{title}. {descriptions}.", title=title, descriptions=clauses(descriptions))


def join_sentences(sentences: Iterable[str | None], *, simulated: bool) -> str:
    """Return a caption of the sentences that are not None, with a warning at its end if figures are simulated."""
    warned = [*sentences, _("Simulated: this says nothing about any provider.") if simulated else None]
    return sentences_of(sentence for sentence in warned if sentence)


def format_sample_sizes(counts: Sequence[int]) -> str:
    """Format the sizes of several samples: `n 12 each`, `n 8 to 12`."""
    fewest, most = min(counts), max(counts)
    if len(counts) == 1:
        return f"n {most:,}"
    if fewest == most:
        return _("n {n} each", n=f"{most:,}")
    return _("n {fewest} to {most}", fewest=f"{fewest:,}", most=f"{most:,}")


def describe_left_out(number: int, of: int, what: str, why: str) -> str | None:
    """Return a sentence on how many of a thing are not drawn, and why; None if all are."""
    if number == 0:
        return None
    return plural(
        number,
        "{n} of {of} {what} is not drawn: {why}.",
        "{n} of {of} {what} are not drawn: {why}.",
        of=f"{of:,}",
        what=_(what),
        why=why,
    )


NARROW = 336
"""The width for a phone: text keeps its size there, where a wide chart would be scaled down to half."""

STACKED_BELOW = 480
"""On a canvas that is narrower, names stand above their rows, and panels below one another."""


@dataclass(slots=True)
class Canvas:
    """The width and the scale settings that a chart is drawn with, and what the drawing reports back.

    `prefix` begins every id of the chart. `logarithmic` forces the scales that may be either; None leaves it to the
    values. `shared` are the lowest and the highest value of an axis over several runs. `first_colour` is the place of
    the run's first target among those of all runs. A chart records on it what its scales held, whether they could be
    of the other kind, and its readings: for each series of marks the text of each mark, in the order of its path.
    """

    prefix: str = "chart"
    width: float = WIDE
    logarithmic: bool | None = None
    shared: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    first_colour: int = 0
    is_switchable: bool = False
    """Whether the page can show the other kind of scale, so that the caption does not say which it is."""
    keeps_readings: bool = True
    """Whether readings are wanted; those of a chart's further drawings are the same."""
    reach: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)
    can_switch: bool = field(default=False, init=False)
    is_logarithmic: bool = field(default=False, init=False)
    readings: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    @property
    def stacked(self) -> bool:
        """Whether the canvas is too narrow for names beside rows."""
        return self.width < STACKED_BELOW

    @property
    def ticks(self) -> int:
        """How many ticks an axis across the canvas may have."""
        return 5 if self.stacked else 10

    def colour_index(self, place: int) -> int:
        """Return the colour index of a target of this run, counted over the targets of all runs."""
        return self.first_colour + place

    def fit(
        self, axis: str, values: Iterable[float], start: float, end: float, *, ticks: int, linear: bool = False
    ) -> Scale:
        """Return a scale that holds these values, and those that other runs have on this axis."""
        listed = [*values, *self.shared.get(axis, ())] or [1.0]
        self.reach[axis] = (min(listed), max(listed))
        if linear or not can_be_logarithmic(listed):
            return fit_scale(listed, start, end, ticks=ticks, linear=True)
        scale = fit_scale(listed, start, end, ticks=ticks, logarithmic=self.logarithmic)
        self.can_switch = True
        self.is_logarithmic |= scale.logarithmic
        return scale

    def read(self, series: str, texts: Iterable[str]) -> str:
        """Store the texts shown for a series of marks, if they are wanted; return the series' name."""
        if self.keeps_readings:
            self.readings[series] = tuple(texts)
        return series

    def describe_scale(self, scale: Scale) -> str | None:
        """Return a sentence on a logarithmic scale, unless the page can switch it."""
        return _("The scale is logarithmic.") if scale.logarithmic and not self.is_switchable else None

    def chart(self, title: str, description: str, height: float, *content: str, caption: str) -> Chart:
        """Return what was drawn on this canvas as a chart of this height."""
        svg = figure(self.prefix, title, description, *content, width=self.width, height=height)
        return Chart(title, svg, caption, self.readings)


@dataclass(frozen=True, slots=True)
class ChartVariant:
    """One drawing of a chart: for a wide or a narrow window, with a logarithmic scale or without."""

    narrow: bool
    logarithmic: bool
    svg: str


@dataclass(frozen=True, slots=True)
class PageChart:
    """A chart in all of its drawings.

    `logarithmic` says whether the scale shown first is, and `can_switch` whether the other scale was drawn, too.
    `readings` are those of its marks, by series, the same for all drawings.
    """

    title: str
    caption: str
    variants: tuple[ChartVariant, ...]
    readings: dict[str, list[str]]
    logarithmic: bool
    can_switch: bool
    run: int | None = None
    """The number of its run on a page of several runs."""

    @property
    def other_readings(self) -> dict[str, list[str]]:
        """The readings in the page's other language."""
        return {series: list(map(other_of, texts)) for series, texts in self.readings.items()}


def draw_for_page(draw: Callable[[Canvas], Chart | None], canvas: Canvas) -> PageChart | None:
    """Draw a chart for both widths, and with the other kind of scale if its values can have it."""
    first = replace(canvas, prefix=f"{canvas.prefix}-wide", is_switchable=True)
    chart = draw(first)
    if chart is None:
        return None
    variants = [ChartVariant(narrow=False, logarithmic=first.is_logarithmic, svg=chart.svg)]
    kinds = [first.is_logarithmic, *([not first.is_logarithmic] if first.can_switch else [])]
    further = [(width, kind) for width in (WIDE, NARROW) for kind in kinds][1:]
    for width, kind in further:
        prefix = f"{canvas.prefix}-{'wide' if width == WIDE else 'narrow'}-{'log' if kind else 'linear'}"
        logarithmic = kind if first.can_switch else None
        drawn = draw(replace(canvas, prefix=prefix, width=width, logarithmic=logarithmic, keeps_readings=False))
        assert drawn is not None
        variants.append(ChartVariant(narrow=width == NARROW, logarithmic=kind, svg=drawn.svg))
    readings = {series: list(texts) for series, texts in chart.readings.items()}
    return PageChart(chart.title, chart.caption, tuple(variants), readings, first.is_logarithmic, first.can_switch)
