"""Tables of a run's figures as text: summary of targets, percentiles, costs, goodput and pass rates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from runner.analysis.cost import TargetCost
from runner.analysis.goodput import Goodput
from runner.analysis.intervals import Statistic
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.pass_rate import PassRate
from runner.analysis.run_results import Run
from runner.analysis.speed_under_load import LoadPoint, OpenLoopPoint
from runner.analysis.summary import TargetSummary
from runner.core.percentiles import PERCENTILES, name_extreme, name_percentile, smallest_sample
from runner.core.slo import Slo
from runner.errors import counted
from runner.outputs.text.number_format import MISSING, percent, rate, seconds, with_interval, with_n
from runner.outputs.text.ranking import answers_late, rank_of
from runner.outputs.text.table import TextTable, tabulate_items
from runner.outputs.text.translation import _
from runner.pricing.money import Money, add_up

_SUMMARY_CAPTION = (
    "slow is the share of requests that took more than twice the median of their question, over all targets. "
    "In brackets is the 95 % interval, where the sample is large enough for one. Figures rest on the timed requests, "
    "which ended ok or at the length limit; one that rests on fewer names its own n."
)
_GOODPUT_CAPTION = (
    "SLO met is the share of requests that kept within {slo}, with its 95 % interval; failed ones did not. Goodput is "
    "how many of those that did, and of their output tokens, came per second."
)
CHECKS_CAPTION = (
    "The pass rate is the share of the n decided repeats that passed all their checks, with its 95 % interval, which "
    "takes the repeats of a case as one cluster: the cases are the sample."
)

# The summary: a row for each target

_Column = tuple[str, Callable[[TargetSummary], str]]


def _statistic_column(
    heading: str,
    read: Callable[[TargetSummary], Statistic | None],
    write: Callable[[float | None], str] = seconds,
    *,
    wide: bool = True,
) -> _Column:
    """Return a column of a statistic, with intervals if `wide`."""
    return heading, lambda each: _figure(read(each), each, write, wide=wide)


_TARGET: _Column = ("target", lambda each: str(each.target) + (" (simulated)" if each.simulated else ""))
_BARE_TARGET: _Column = ("target", lambda each: str(each.target))
_N: _Column = ("n", lambda each: str(each.n))
_OK: _Column = ("ok", lambda each: str(each.ok))
_FAILED: _Column = ("failed", lambda each: str(each.failed))
_OTHER_OUTCOMES: _Column = ("other outcomes", lambda each: _list_outcomes(each.other_outcomes))
_TTFT = _statistic_column("TTFT p50", lambda each: each.ttft_p50)
_FIRST_ANSWER = _statistic_column("first answer p50", lambda each: each.ttfa_p50)
_FIRST_CALL = _statistic_column("first tool call p50", lambda each: each.tool_call_p50)
_TOTAL = _statistic_column("total p50", lambda each: each.total_p50)
_TOKENS = _statistic_column("tokens/s p50", lambda each: each.output_tps_p50, rate)
_SLOW = _statistic_column("slow", lambda each: each.slow, percent)
_FIRST_ANSWER_BRIEFLY = _statistic_column("first answer p50", lambda each: each.ttfa_p50, wide=False)
_TOTAL_BRIEFLY = _statistic_column("total p50", lambda each: each.total_p50, wide=False)
_TOKENS_BRIEFLY = _statistic_column("tok/s p50", lambda each: each.output_tps_p50, rate, wide=False)


_Judged = TypeVar("_Judged", TargetSummary, LoadPoint, OpenLoopPoint)


def goodput_columns(judged: Sequence[_Judged]) -> Sequence[tuple[str, Callable[[_Judged], str]]]:
    """Return the columns of goodput; empty if no item was judged by an SLO."""
    if all(each.goodput is None for each in judged):
        return ()
    return (
        (_("SLO met"), lambda each: format_met(each.goodput)),
        (_("goodput requests/s"), lambda each: rate(each.goodput.requests_per_s if each.goodput else None)),
        (_("goodput tokens/s"), lambda each: rate(each.goodput.output_tps if each.goodput else None)),
    )


def format_met(goodput: Goodput | None) -> str:
    """Format the share of requests that met the SLO, with its interval and sample size: `98.0 % (n 50)`."""
    if goodput is None:
        return MISSING
    return with_n(with_interval(percent(goodput.share), goodput.interval, percent), goodput.n)


class _Duration(NamedTuple):
    """A duration whose percentiles are shown, with a function that returns them."""

    name: str
    percentiles: Callable[[TargetSummary], Sequence[Statistic]]


_TTFT_DURATION = _Duration("TTFT", lambda each: each.ttft_percentiles)
_TOTAL_DURATION = _Duration("total", lambda each: each.total_percentiles)


def tabulate_summary(summaries: Sequence[TargetSummary], percents: Sequence[float] = PERCENTILES) -> TextTable:
    """Return a row with all figures of each target; there is a column of other outcomes if any target has one."""
    has_others = any(each.other_outcomes for each in summaries)
    counts = (_TARGET, _N, _OK, *([_OTHER_OUTCOMES] if has_others else []))
    ttft = (_TTFT, *_percentile_columns(_TTFT_DURATION, summaries, percents, wide=True))
    total = (_TOTAL, *_percentile_columns(_TOTAL_DURATION, summaries, percents, wide=True))
    first = (_FIRST_ANSWER, *([_FIRST_CALL] if any(each.tool_call_p50 for each in summaries) else []))
    columns = (*counts, *ttft, *first, *total, _SLOW, _TOKENS, *goodput_columns(summaries))
    return tabulate_items(summaries, columns, frozenset({0, 3} if has_others else {0}))


def tabulate_briefly(summaries: Sequence[TargetSummary], percents: Sequence[float] = PERCENTILES) -> TextTable:
    """Return a row for each target with the figures that fit a terminal of 80 columns; only TTFT has an interval.

    A single percentile has a column. Several do not fit; `tabulate_percentiles` shows them. The first answer has one if
    a target thinks before it.
    """
    tails = _percentile_columns(_TTFT_DURATION, summaries, percents, wide=False) if len(percents) == 1 else []
    target = _name_column(summaries)
    answer = [_FIRST_ANSWER_BRIEFLY] if any(map(answers_late, summaries)) else []
    columns = (target, _N, _OK, _FAILED, _TTFT, *answer, *tails, _TOTAL_BRIEFLY, _TOKENS_BRIEFLY)
    return tabulate_items(summaries, columns)


def _name_column(summaries: Sequence[TargetSummary]) -> _Column:
    """Return the column of names, with marks of simulated targets unless a notice says that all are simulated."""
    return _BARE_TARGET if all(each.simulated for each in summaries if each.n) else _TARGET


def describe_in_a_line(run: Run) -> str:
    """Return the number of answered requests, median TTFTs, the fastest first, costs and a simulated mark in a line."""
    found = run.summary
    timed, n = sum(each.timed for each in found), sum(each.n for each in found)
    ranked = sorted(found, key=rank_of)
    times = [f"{_BARE_TARGET[1](each)} {_figure(each.ttft_p50, each, seconds, wide=False)}" for each in ranked]
    of_judges = [money for each in run.judge_costs for money in each.spent]
    spent = [*(cost.spent for cost in run.costs), *of_judges]
    sums = _sums(add_up(spent)) if spent else ""
    ttft = f"TTFT p50 {', '.join(times)}" if timed else ""
    mark = "simulated" if any(each.simulated for each in found) else ""
    return "; ".join(filter(None, (f"{timed} of {n} answered", ttft, sums, mark)))


def tabulate_costs_and_checks(run: Run, summaries: Sequence[TargetSummary]) -> TextTable:
    """Return a row for each target with its cost, the cost of 1,000 requests, its pass rate and its goodput.

    A column is left out if the run has no such figures.
    """
    of_target: dict[MeasuredTarget, list[TargetCost]] = {each.target: [] for each in summaries}
    for each in run.costs:
        of_target.setdefault(each.target, []).append(each)
    cost: _Column = ("cost", lambda each: _sums(one.spent for one in of_target[each.target]))
    of_1000: _Column = ("per 1,000", lambda each: _sums(one.of_1000 for one in of_target[each.target] if one.n))
    passed: _Column = ("pass rate", lambda each: format_pass_rate(run.pass_rate(each.target)))
    shown = [*((cost, of_1000) if run.costs else ()), *((passed,) if run.checked else ()), *goodput_columns(summaries)]
    return tabulate_items(summaries, (_name_column(summaries), *shown))


def _sums(sums: Iterable[Money]) -> str:
    return " + ".join(map(str, sums)) or MISSING


def format_pass_rate(rate: PassRate | None) -> str:
    """Format a pass rate with its interval and sample: `80.0 % [54.8, 93.0] (n 20 in 10 cases)`."""
    if rate is None:
        return MISSING
    sample = f"n {rate.n:,} in {counted(rate.cases, 'case')}"
    undecided = f", {rate.undecided:,} undecided" if rate.undecided else ""
    return f"{with_interval(percent(rate.share), rate.interval, percent)} ({sample}{undecided})"


def tabulate_pass_rates(run: Run) -> TextTable | None:
    """Return a row for each target that has a pass rate; None if no target has."""
    rates = [(each, rate) for each in run.summary if (rate := run.pass_rate(each.target)) is not None]
    columns: tuple[tuple[str, Callable[[tuple[TargetSummary, PassRate]], str]], ...] = (
        ("target", lambda each: _TARGET[1](each[0])),
        ("pass rate", lambda each: with_interval(percent(each[1].share), each[1].interval, percent)),
        ("passed", lambda each: f"{each[1].passed:,}"),
        ("n", lambda each: f"{each[1].n:,}"),
        ("cases", lambda each: f"{each[1].cases:,}"),
        ("undecided", lambda each: f"{each[1].undecided:,}"),
    )
    return tabulate_items(rates, columns) if rates else None


def tabulate_percentiles(
    summaries: Sequence[TargetSummary], percents: Sequence[float], places: Sequence[int]
) -> TextTable:
    """Return rows of TTFT and total time for each target, with the percentiles whose indices are `places`."""
    lines = [
        (each, duration, duration.percentiles(each))
        for each in summaries
        for duration in (_TTFT_DURATION, _TOTAL_DURATION)
    ]
    names = [_names(percents[at], [found[at] for _, _, found in lines if found]) for at in places]
    rows = [
        (
            _name_column(summaries)[1](each) if duration is _TTFT_DURATION else "",
            duration.name,
            str(each.timed),
            *(_percentile(found, at, each, named=len(named) > 1) for at, named in zip(places, names, strict=True)),
        )
        for each, duration, found in lines
    ]
    headings = (_percentile_heading(percents[at], named) for at, named in zip(places, names, strict=True))
    return TextTable(("target", "of", "timed", *headings), tuple(rows), frozenset({0, 1}))


def _percentile_columns(
    duration: _Duration, summaries: Sequence[TargetSummary], percents: Sequence[float], *, wide: bool
) -> list[_Column]:
    """Return a column for each percentile, with intervals if `wide`."""
    return [_percentile_column(duration, summaries, percents, at, wide=wide) for at in range(len(percents))]


def _percentile_column(
    duration: _Duration, summaries: Sequence[TargetSummary], percents: Sequence[float], at: int, *, wide: bool
) -> _Column:
    """Return one percentile's column; each figure is named if some targets have the extreme in its place."""
    names = _names(percents[at], [found[at] for each in summaries if (found := duration.percentiles(each))])
    title = names[0] if len(percents) == 1 and len(names) == 1 else _percentile_heading(percents[at], names)
    return (
        f"{duration.name} {title}",
        lambda each: _percentile(duration.percentiles(each), at, each, named=len(names) > 1, wide=wide),
    )


def _percentile_heading(percent: float, names: Sequence[str]) -> str:
    """Return the heading of one of several percentiles: `p90`, `p90 or max`, or `p99: max` if all have the extreme."""
    is_extreme = [*names] == [name_extreme(percent)]
    return f"{name_percentile(percent)}: {names[0]}" if is_extreme else " or ".join(names)


def _names(percent: float, found: Sequence[Statistic]) -> list[str]:
    """Return the distinct names of one percentile's figures: the percentile's, the extreme's, or both."""
    return sorted({each.name for each in found}, reverse=True) or [name_percentile(percent)]


def _percentile(found: Sequence[Statistic], at: int, summary: TargetSummary, *, named: bool, wide: bool = False) -> str:
    if not found:
        return MISSING
    figure = _figure(found[at], summary, seconds, wide=wide)
    return f"{found[at].name} {figure}" if named else figure


def _list_outcomes(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items()) or MISSING


def _figure(
    statistic: Statistic | None, summary: TargetSummary, write: Callable[[float | None], str], *, wide: bool
) -> str:
    if statistic is None:
        return MISSING
    figure = write(statistic.value)
    estimate = with_interval(figure, statistic.interval, write) if wide else figure
    return with_n(estimate, statistic.n, summary.timed)


def goodput_caption(slo: Slo) -> str:
    """Return the sentences that explain the columns of goodput."""
    return _GOODPUT_CAPTION.format(slo=slo)


def summary_caption(percents: Sequence[float] = PERCENTILES, slo: Slo | None = None) -> str:
    """Return the sentences that explain a summary's columns, with these percentiles and an SLO if there is one."""
    needs = [f"{name_percentile(percent)} needs {smallest_sample(percent):,} requests" for percent in percents]
    extremes = {"max": "maximum", "min": "minimum"}
    instead = " or ".join(dict.fromkeys(extremes[name_extreme(percent)] for percent in percents))
    others = (
        f" All others are by nearest rank: {', '.join(needs)}; below that the {instead} stands in." if needs else ""
    )
    goodput = "" if slo is None else f" {goodput_caption(slo)}"
    return f"p50 is the median.{others} {_SUMMARY_CAPTION}{goodput}"
