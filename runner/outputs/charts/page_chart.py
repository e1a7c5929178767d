"""A chart for a page, which is read on windows of all widths: in both widths, and with both kinds of scale."""

from collections.abc import Callable
from dataclasses import dataclass

from runner.outputs.charts.chart import LOGARITHMIC, NARROW, Canvas, Chart
from runner.outputs.charts.svg import WIDE
from runner.outputs.text.language import BilingualText, _, other_of


@dataclass(frozen=True, slots=True)
class ChartVariant:
    """One drawing of a chart: for a wide or a narrow window, with a logarithmic scale or without."""

    narrow: bool
    logarithmic: bool
    svg: str


@dataclass(frozen=True, slots=True)
class PageChart:
    """A chart in all its drawings; `logarithmic` says whether the first ones are, and `can_switch` if there are others.

    `readings` are those of its marks, by series, the same for all drawings.
    """

    title: str
    caption: str
    variants: tuple[ChartVariant, ...]
    readings: dict[str, list[str]]
    logarithmic: bool
    can_switch: bool

    @property
    def other_readings(self) -> dict[str, list[str]]:
        """The readings in the page's other language."""
        return {series: list(map(other_of, texts)) for series, texts in self.readings.items()}


def draw_for_page(
    draw: Callable[[str, Canvas], Chart | None], prefix: str, canvas: Callable[..., Canvas]
) -> PageChart | None:
    """Draw a chart for both widths, and with the other kind of scale if its values can have it."""
    first = canvas()
    chart = draw(f"{prefix}-wide", first)
    if chart is None:
        return None
    variants = [ChartVariant(narrow=False, logarithmic=first.is_logarithmic, svg=chart.svg)]
    kinds = [first.is_logarithmic, *([not first.is_logarithmic] if first.can_switch else [])]
    for width, of_width in ((WIDE, "wide"), (NARROW, "narrow")):
        for kind in kinds:
            if (width, kind) == (WIDE, first.is_logarithmic):
                continue
            own = canvas(width=width, logarithmic=kind if first.can_switch else None, keeps_readings=False)
            drawn = draw(f"{prefix}-{of_width}-{'log' if kind else 'linear'}", own)
            assert drawn is not None
            variants.append(ChartVariant(narrow=width == NARROW, logarithmic=kind, svg=drawn.svg))
    readings = {series: list(texts) for series, texts in chart.readings.items()}
    caption = _without_scale(chart.caption) if first.can_switch else chart.caption
    return PageChart(chart.title, caption, tuple(variants), readings, first.is_logarithmic, first.can_switch)


def _without_scale(caption: str) -> BilingualText:
    """Return a caption without the sentence on its scale, which the page can switch."""
    sentence = _(LOGARITHMIC)
    texts = ((str(caption), str(sentence)), (other_of(caption), sentence.other))
    return BilingualText(*(whole.replace(f" {part}", "").replace(part, "") for whole, part in texts))
