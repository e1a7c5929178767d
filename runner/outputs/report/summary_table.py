"""The page's summary: a row for each target, the column of a figure only where a target has it, intervals below."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from runner.analysis.diff import Difference
from runner.analysis.goodput import Goodput
from runner.analysis.intervals import Statistic
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.pass_rate import PassRate
from runner.analysis.target_figures import TargetFigures
from runner.analysis.variants import keep_together, models_of
from runner.core.percentiles import name_extreme, name_percentile, smallest_sample
from runner.core.slo import Slo
from runner.outputs.report.diff_section import FigureDelta, deltas_of
from runner.outputs.report.reply_grid import TargetColumn
from runner.outputs.text.labels import name_in_words
from runner.outputs.text.number_format import MISSING, ends_below, percent, rate, seconds
from runner.outputs.text.ranking import answers_late, rank_of
from runner.outputs.text.translation import _, comma_list, plural
from runner.outputs.text.variants import describe_settings
from runner.pricing.money import format_amount


@dataclass(frozen=True, slots=True)
class SummaryCell:
    """A figure, and the notes on it that stand below, a line each."""

    figure: str
    below: tuple[str, ...] = ()
    delta: FigureDelta | None = None
    """The change against the baseline."""


EMPTY = SummaryCell(MISSING)

NO_BREAK_SPACE = "\u00a0"
"""Between a figure and its unit, in a line that may be broken."""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One target's cells, under the table's headings."""

    label: str
    place: int
    simulated: bool
    cells: tuple[SummaryCell, ...]
    model: str | None = None
    """The model of several variants whose first row this is; None for all other rows."""
    settings: str | None = None
    """The parameters that a variant sets."""


@dataclass(frozen=True, slots=True)
class PageSummary:
    """Headings and rows, the fastest target first, those without a figure last; variants of a model are together."""

    headings: tuple[str, ...]
    rows: tuple[SummaryRow, ...]


_Reader = Callable[[TargetFigures], SummaryCell]


def tabulate_targets(
    columns: Sequence[TargetColumn], percents: Sequence[float], difference: Difference | None = None
) -> PageSummary:
    """Return the summary of the targets of all runs, with the changes of a comparison beside their figures."""
    deltas = {} if difference is None else deltas_of(difference)
    read_all = [
        (heading, [replace(read(each.figures), delta=deltas.get((each.label, measure or ""))) for each in columns])
        for heading, measure, read in _readers(columns, percents)
    ]
    found = [(heading, cells) for heading, cells in read_all if any(cell != EMPTY for cell in cells)]
    rows = [
        SummaryRow(columns[at].name, at, columns[at].summary.simulated, tuple(cells[at] for _, cells in found), *more)
        for at, *more in _in_order(columns)
    ]
    return PageSummary(tuple(heading for heading, _ in found), tuple(rows))


def _in_order(columns: Sequence[TargetColumn]) -> Iterator[tuple[int, str | None, str | None]]:
    """Yield the place of each row, the heading above it, and the settings below its name.

    The variants of a model stand in the suite's order, where its fastest would stand.
    """
    models, ranks = [_model_of(column) for column in columns], [rank_of(column.summary) for column in columns]
    headed = set[MeasuredTarget | None]()
    for at in keep_together(models, ranks):
        model, settings = models[at], columns[at].run.header.variants.get(columns[at].target.name)
        heading = None if model is None or model in headed else name_in_words(model)
        headed.add(model)
        yield at, heading, None if settings is None else describe_settings(settings)


def _model_of(column: TargetColumn) -> MeasuredTarget | None:
    """Return the model of which a column has one of several variants; None for any other column."""
    targets = column.run.targets
    model = dict(zip(targets, models_of(targets, column.run.header.variants), strict=True)).get(column.target)
    return None if model is None else replace(model, run=column.summary.target.run)


def describe_columns(percents: Sequence[float], slos: Sequence[Slo] = ()) -> str:
    """Return the sentences that explain the summary's columns."""
    needs = comma_list(
        _("{name} needs {n} requests", name=name_percentile(each), n=f"{smallest_sample(each):,}") for each in percents
    )
    tails = _(" Others are by nearest rank: {needs}; below that the extreme stands in, by name.", needs=needs)
    return (
        _("p50 is the median.")
        + (tails if needs else "")
        + _(
            " Slow is the share of requests that took more than twice the median of their question, over all targets."
            " Below a figure: its 95 % interval, where the rounds allow one; the range of the cases' own medians, where"
            " one median hides it; n, where not all timed requests have the figure."
        )
        + _describe_goodput(slos)
    )


def _describe_goodput(slos: Sequence[Slo]) -> str:
    if not slos:
        return ""
    sentences: str = _(
        " SLO met is the share of requests that kept within {slo}; failed ones did not. Goodput is how many of those"
        " that did, and of their output tokens, came per second.",
        slo=" / ".join(dict.fromkeys(map(str, slos))),
    )
    return sentences


def _readers(columns: Sequence[TargetColumn], percents: Sequence[float]) -> Iterator[tuple[str, str | None, _Reader]]:
    """Yield each column: its heading, the measure whose change stands in it, and how it is read."""
    yield _("requests"), "failures", _read_count
    yield _("TTFT p50"), "ttft_s", lambda each: _median(each.summary.ttft_p50, each, "ttft_s")
    for wanted in percents:
        read = partial(_tail, lambda each: each.summary.ttft_percentiles, wanted)
        yield f"TTFT {name_percentile(wanted)}", None, read
    if any(answers_late(each.summary) for each in columns):
        yield _("first answer p50"), "ttfa_s", lambda each: _median(each.summary.ttfa_p50, each, "ttfa_s")
    yield _("first tool call p50"), "tool_call_s", lambda each: _median(each.summary.tool_call_p50, each, "tool_call_s")
    yield _("total p50"), "total_s", lambda each: _median(each.summary.total_p50, each, "total_s")
    for wanted in percents:
        read = partial(_tail, lambda each: each.summary.total_percentiles, wanted)
        yield _("total {name}", name=name_percentile(wanted)), None, read
    yield _("slow"), "slow", lambda each: _statistic(each.summary.slow, each, percent)
    yield _("SLO met"), "slo", _read_met
    yield _("goodput requests/s"), None, partial(_read_goodput, lambda goodput: goodput.requests_per_s)
    yield _("goodput tokens/s"), None, partial(_read_goodput, lambda goodput: goodput.output_tps)
    yield _("tokens/s p50"), None, lambda each: _statistic(each.summary.output_tps_p50, each, rate)
    yield _("output tokens"), None, _read_tokens
    yield _("cost"), "cost", _read_cost
    yield _("cost per 1,000"), None, _read_cost_per_thousand
    yield _("pass rate"), "passes", _read_passed


def _read_count(figures: TargetFigures) -> SummaryCell:
    summary = figures.summary
    below = [_("{n} failed", n=f"{summary.failed:,}")] if summary.failed else []
    cut = summary.timed - summary.ok
    below += [_("{n} cut at the limit", n=f"{cut:,}")] if cut else []
    return SummaryCell(f"{summary.n:,}", tuple(below))


def _median(statistic: Statistic | None, figures: TargetFigures, column: str) -> SummaryCell:
    """Return a median, its interval, and the range over cases that it hides, if that is wide."""
    cell = _statistic(statistic, figures, seconds)
    hidden = figures.range_of_cases(column)
    if hidden is None:
        return cell
    low, high = (seconds(end).replace(" ", NO_BREAK_SPACE) for end in hidden)
    return SummaryCell(cell.figure, (*cell.below, _("cases {low} to {high}", low=low, high=high)))


def _tail(read: Callable[[TargetFigures], Sequence[Statistic]], wanted: float, figures: TargetFigures) -> SummaryCell:
    """Return a percentile, or by name the extreme where the sample is too small for it."""
    name = name_percentile(wanted)
    extreme = name_extreme(wanted)
    statistics = read(figures)
    found = next((each for each in statistics if each.name == name), None)
    if found is not None:
        return _statistic(found, figures, seconds)
    stand_in = next((each for each in statistics if each.name == extreme), None)
    if stand_in is None:
        return EMPTY
    cell = _statistic(stand_in, figures, seconds)
    return SummaryCell(cell.figure, (*cell.below, _("the maximum") if extreme == "max" else _("the minimum")))


def _statistic(
    statistic: Statistic | None, figures: TargetFigures, write: Callable[[float | None], str]
) -> SummaryCell:
    if statistic is None:
        return EMPTY
    figure = write(statistic.value)
    ends = ends_below(figure, statistic.interval, write)
    below = [ends] if ends else []
    below += [] if statistic.n == figures.summary.timed else [f"n {statistic.n:,}"]
    return SummaryCell(figure, tuple(below))


def _read_met(figures: TargetFigures) -> SummaryCell:
    goodput = figures.summary.goodput
    if goodput is None:
        return EMPTY
    share = percent(goodput.share)
    ends = ends_below(share, goodput.interval, percent)
    return SummaryCell(share, (*([ends] if ends else []), f"n {goodput.n:,}"))


def _read_goodput(read: Callable[[Goodput], float | None], figures: TargetFigures) -> SummaryCell:
    value = None if figures.summary.goodput is None else read(figures.summary.goodput)
    return EMPTY if value is None else SummaryCell(rate(value))


def _read_tokens(figures: TargetFigures) -> SummaryCell:
    tokens = figures.output_tokens_p50
    return EMPTY if tokens is None else SummaryCell(f"{tokens:,.0f}")


def _read_cost(figures: TargetFigures) -> SummaryCell:
    return _join_costs([(format_amount(each.spent.amount), each.spent.currency, each.n) for each in figures.costs])


def _read_cost_per_thousand(figures: TargetFigures) -> SummaryCell:
    return _join_costs([(format_amount(each.of_1000.amount), each.spent.currency, None) for each in figures.costs])


def _join_costs(costs: Sequence[tuple[str, str, int | None]]) -> SummaryCell:
    if not costs:
        return EMPTY
    (amount, currency, n), *others = costs
    below = [currency] if n is None else [f"{currency}, n {n:,}"]
    return SummaryCell(amount, (*below, *(f"{amount} {currency}" for amount, currency, _ in others)))


def _read_passed(figures: TargetFigures) -> SummaryCell:
    return EMPTY if figures.passed is None else write_passed(figures.passed)


def write_passed(passed: PassRate) -> SummaryCell:
    """Return a pass rate with lines below it: its interval, how many passed, cases, and what is undecided."""
    k_of_n = _("{k} of {n}", k=f"{passed.passed:,}", n=f"{passed.n:,}")
    share = percent(passed.share)
    ends = ends_below(share, passed.interval, percent) or MISSING
    below = [ends, k_of_n, plural(passed.cases, "{n} case", "{n} cases")]
    below += [_("{n} undecided", n=f"{passed.undecided:,}")] if passed.undecided else []
    return SummaryCell(share, tuple(below))
