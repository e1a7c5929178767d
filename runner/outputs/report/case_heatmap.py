"""The grid at a glance: a heat table of cases and targets, with a figure for each of several metrics in each cell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from runner.analysis.dataframe import NO_ROWS, plain_cells, positions_by_target
from runner.analysis.pass_rate import measure_pass_rate
from runner.analysis.target_figures import CaseFigures, RowFigures
from runner.outputs.report.reply_grid import GridTurn, TargetColumn
from runner.outputs.text.number_format import MISSING, amount, ends_below, percent, seconds
from runner.outputs.text.translation import _

MAX_CELLS = 3_000
"""Of more cells, the cases that the grid of replies shows are in the table."""

LEVELS = (1.1, 1.5, 2.0, 3.0, 5.0)
"""Up to how many times the best figure of its row a cell has the first level of heat, the second, and so on."""


@dataclass(frozen=True, slots=True)
class HeatmapMetric:
    """A figure that the table can show: its key and name, how to read and to write it."""

    key: str
    name: str
    read: Callable[[CaseFigures], float | None]
    write: Callable[[CaseFigures], str]


@dataclass(frozen=True, slots=True)
class HeatmapFigure:
    """One metric of one cell: the figure, and its heat from 0 to 5; None where there is nothing to compare."""

    metric: str
    figure: str
    heat: int | None
    below: str | None = None


@dataclass(frozen=True, slots=True)
class HeatmapCell:
    """One target's figures for the cases of a row, a figure for each metric; `reply` is its place in the grid."""

    figures: tuple[HeatmapFigure, ...]
    failed: int
    reply: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class HeatmapRow:
    """A case, a tag, or all cases, with a cell for each target."""

    label: str
    cells: tuple[HeatmapCell, ...]


@dataclass(frozen=True, slots=True)
class HeatmapGroup:
    """Rows under a heading; the row of all cases has none."""

    heading: str | None
    rows: tuple[HeatmapRow, ...]


@dataclass(frozen=True, slots=True)
class CaseHeatmap:
    """The table, and the metrics that any of its cells has."""

    metrics: tuple[HeatmapMetric, ...]
    groups: tuple[HeatmapGroup, ...]
    left_out: str | None


def _metrics() -> tuple[HeatmapMetric, ...]:
    return (
        HeatmapMetric("ttft", _("TTFT"), lambda each: each.ttft_s, lambda each: seconds(each.ttft_s)),
        HeatmapMetric("total", _("total"), lambda each: each.total_s, lambda each: seconds(each.total_s)),
        HeatmapMetric("tokens", _("output tokens"), lambda each: each.output_tokens, _format_tokens),
        HeatmapMetric("cost", _("cost"), lambda each: each.cost, _format_cost),
        HeatmapMetric("checks", _("checks"), lambda each: each.passed.share if each.passed else None, _format_passed),
    )


def _format_tokens(figures: CaseFigures) -> str:
    return MISSING if figures.output_tokens is None else f"{figures.output_tokens:,.0f}"


def _format_cost(figures: CaseFigures) -> str:
    if figures.cost is None:
        return MISSING
    return f"{amount(figures.cost)} {figures.currency}"


def _format_passed(figures: CaseFigures) -> str:
    passed = figures.passed
    if passed is None:
        return MISSING
    icon = "✓" if passed.passed == passed.n else "✗"
    return f"{icon} {passed.passed:,}/{passed.n:,}"


def compose_heatmap(
    columns: Sequence[TargetColumn], turns: Sequence[GridTurn], shown: Sequence[GridTurn]
) -> CaseHeatmap:
    """Return the table of all turns, or of those that the grid shows if all are too many."""
    fits = len(turns) * len(columns) <= MAX_CELLS
    taken = turns if fits else shown[: MAX_CELLS // max(len(columns), 1)]
    tables = [_Figures(column) for column in columns]
    places = {(turn.label, turn.prompt): at for at, turn in enumerate(shown)}
    found = [(turn, [table.of_turn(turn.case, turn.turn, turn.prompt) for table in tables]) for turn in taken]
    metrics = tuple(
        metric for metric in _metrics() if any(metric.read(figures) is not None for _, row in found for figures in row)
    )
    cases = tuple(
        _row(turn.label, row, metrics, places.get((turn.label, turn.prompt)))
        for turn, row in found
        if _tells_any(row, metrics)
    )
    whole = _row_of_cases(_("all cases"), tables, metrics, None)
    tags = tuple(
        _row_of_cases(tag, tables, metrics, cases_of_tag) for tag, cases_of_tag in _cases_by_tag(columns).items()
    )
    groups = (
        HeatmapGroup(None, (whole,)),
        *([HeatmapGroup(_("by tag"), tags)] if tags else []),
        HeatmapGroup(_("by case"), cases),
    )
    left_out = None if fits else _("{n} of {all} turns are in this table.", n=len(taken), all=f"{len(turns):,}")
    return CaseHeatmap(metrics, groups if len(cases) > 1 else groups[-1:], left_out)


def _tells_any(row: Sequence[CaseFigures], metrics: Sequence[HeatmapMetric]) -> bool:
    """Return whether a target has a figure or a failure; what a cache probe sends again has neither."""
    return any(each.failed or any(metric.read(each) is not None for metric in metrics) for each in row)


def _cases_by_tag(columns: Sequence[TargetColumn]) -> dict[str, frozenset[str]]:
    pairs = {(tag, case) for column in columns for case, tags in column.run.header.tags.items() for tag in tags}
    by_tag = groupby(sorted(pairs), lambda pair: pair[0])
    return {tag: frozenset(case for _, case in of_tag) for tag, of_tag in by_tag}


class _Figures:
    """One target's rows, to be summarized by turn, by tag and as a whole."""

    def __init__(self, column: TargetColumn) -> None:
        table = column.run.measured
        self._figures = RowFigures(table)
        rows = positions_by_target(table).get(column.target, NO_ROWS).tolist()
        # Not `groupby`, whose index refuses the lone surrogates that a name may hold.
        places: dict[tuple[str, int, str], list[int]] = {}
        columns = (plain_cells(table[name].take(rows)) for name in ("case", "turn", "prompt"))
        for at, case, turn, prompt in zip(rows, *columns, strict=True):
            places.setdefault((str(case), int(turn or 0), str(prompt or "")), []).append(at)
        self._checked = [cell for cell in column.run.checked if cell.target == column.target]
        self._by_turn = {key: self._of_one_case(key[0], own) for key, own in places.items()}
        self._places = places

    def _of_one_case(self, case: str, rows: Sequence[int]) -> CaseFigures:
        return self._figures.of(rows, measure_pass_rate([cell for cell in self._checked if cell.case == case]))

    def of_turn(self, case: str, turn: int, prompt: str) -> CaseFigures:
        """Return the figures of one turn of a case; checks are those of the whole case."""
        found = self._by_turn.get((case, turn, prompt))
        return self._of_one_case(case, ()) if found is None else found

    def of_cases(self, cases: frozenset[str] | None) -> CaseFigures:
        """Return the figures over some cases, or over all."""
        rows = [at for (case, *_), own in self._places.items() if cases is None or case in cases for at in own]
        checked = [cell for cell in self._checked if cases is None or cell.case in cases]
        return self._figures.of(rows, measure_pass_rate(checked))

    def turns_in(self, cases: frozenset[str] | None) -> list[CaseFigures]:
        """Return the figures of each turn of some cases, or of all."""
        return [figures for (case, *_), figures in self._by_turn.items() if cases is None or case in cases]


def _row(label: str, row: Sequence[CaseFigures], metrics: Sequence[HeatmapMetric], place: int | None) -> HeatmapRow:
    """Return the row of one turn of a case, whose place in the grid of replies is given if it is shown there."""
    return HeatmapRow(
        label,
        tuple(
            HeatmapCell(figures, each.failed, (place, at) if place is not None and each.requests else None)
            for at, (each, figures) in enumerate(zip(row, _row_figures(row, metrics), strict=True))
        ),
    )


def _row_of_cases(
    label: str, tables: Sequence["_Figures"], metrics: Sequence[HeatmapMetric], cases: frozenset[str] | None
) -> HeatmapRow:
    """Return the row of some cases, or of all, with the range that each figure hides; of checks with the interval."""
    row = [table.of_cases(cases) for table in tables]
    cells = []
    for each, table, figures in zip(row, tables, _row_figures(row, metrics), strict=True):
        turns = table.turns_in(cases)
        ranges = [_pass_interval(each) if metric.key == "checks" else _range(metric, turns) for metric in metrics]
        with_ranges = [replace(figure, below=below) for figure, below in zip(figures, ranges, strict=True)]
        cells.append(HeatmapCell(tuple(with_ranges), each.failed, None))
    return HeatmapRow(label, tuple(cells))


def _pass_interval(figures: CaseFigures) -> str | None:
    """Return the ends of a pass rate's interval, and the repeats that are in no share."""
    passed = figures.passed
    if passed is None:
        return None
    undecided = _(", {n} undecided", n=f"{passed.undecided:,}") if passed.undecided else ""
    return (ends_below(percent(passed.share), passed.interval, percent) or MISSING) + undecided


def _row_figures(row: Sequence[CaseFigures], metrics: Sequence[HeatmapMetric]) -> list[tuple[HeatmapFigure, ...]]:
    """Return the figures of a row's cells, each compared with the best of the row."""
    best = [_best(metric, row) for metric in metrics]
    return [
        tuple(
            HeatmapFigure(metric.key, metric.write(each), _heat(metric, each, of_metric))
            for metric, of_metric in zip(metrics, best, strict=True)
        )
        for each in row
    ]


def _best(metric: HeatmapMetric, row: Sequence[CaseFigures]) -> float | None:
    """Return the lowest value of a row; None where costs are in different currencies, so that none is the best."""
    values = [value for figures in row if (value := metric.read(figures)) is not None]
    return None if metric.key == "cost" and _has_several_currencies(row) else min(values, default=None)


def _has_several_currencies(figures: Sequence[CaseFigures]) -> bool:
    return len({each.currency for each in figures if each.cost is not None}) > 1


def _heat(metric: HeatmapMetric, figures: CaseFigures, best: float | None) -> int | None:
    """Return how far a figure is from the best of its row: 0 beside the best, 5 beyond five times as much."""
    value = metric.read(figures)
    if value is None or best is None:
        return None
    if metric.key == "checks":
        return 0 if value == 1 else 5 if value < 0.5 else 3
    if best <= 0:
        return 0 if value <= 0 else len(LEVELS)
    return sum(value / best > level for level in LEVELS)


def _range(metric: HeatmapMetric, turns: Sequence[CaseFigures]) -> str | None:
    """Return the range that a figure over several cases hides."""
    known = [each for each in turns if metric.read(each) is not None]
    if len(known) < 2 or (metric.key == "cost" and _has_several_currencies(known)):
        return None
    low, high = (pick(known, key=lambda each: metric.read(each) or 0.0) for pick in (min, max))
    return f"{metric.write(low)} – {metric.write(high)}"
