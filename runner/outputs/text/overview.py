"""The summary in words and figures, once for every output that a person looks at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runner.analysis.run import Run
from runner.analysis.summary import ConnectionSummary, Failure, Statistic, TargetSummary
from runner.core.hints import hint_for
from runner.core.percentiles import PERCENTILES, name_extreme, name_percentile, smallest_sample
from runner.outputs.text.costs import describe_costs
from runner.outputs.text.figures import MISSING, count, milliseconds, rate, seconds, with_interval, with_sample
from runner.outputs.text.words import describe_flag, describe_outcome
from runner.outputs.text.workers import describe_spread, describe_workers

_CAPTION = (
    "In brackets is the 95 % interval, where the sample is large enough for one. Figures rest on the timed requests, "
    "which ended ok or at the length limit; one that rests on fewer names its own n."
)


@dataclass(frozen=True, slots=True)
class SummaryTable:
    """Headings and rows of text; the columns in `wordy` hold words, all others figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wordy: frozenset[int]


_Column = tuple[str, Callable[[TargetSummary], str]]

_TARGET: _Column = ("target", lambda each: str(each.target) + (" (simulated)" if each.simulated else ""))
_N: _Column = ("n", lambda each: str(each.n))
_OK: _Column = ("ok", lambda each: str(each.ok))
_FAILED: _Column = ("failed", lambda each: str(each.failed))
_OTHER_OUTCOMES: _Column = ("other outcomes", lambda each: _name_outcomes(each.other_outcomes))
_TIMED: _Column = ("timed", lambda each: str(each.timed))
_TTFT: _Column = ("TTFT p50", lambda each: _seconds(each.ttft_p50, each))
_FIRST_ANSWER: _Column = ("first answer p50", lambda each: _seconds(each.ttfa_p50, each))
_TOTAL: _Column = ("total p50", lambda each: _seconds(each.total_p50, each))
_TOKENS: _Column = ("tokens/s p50", lambda each: _rate(each.output_tps_p50, each))
_CHARACTERS: _Column = ("characters/s p50", lambda each: _rate(each.output_cps_p50, each))
_Tail = tuple[str, Callable[[TargetSummary], Sequence[Statistic]]]
"""What percentiles are of, and where a target keeps them."""

_TTFT_TAIL: _Tail = ("TTFT", lambda each: each.ttft_percentiles)
_TOTAL_TAIL: _Tail = ("total", lambda each: each.total_percentiles)
_TOTAL_BRIEFLY: _Column = ("total p50", lambda each: _seconds(each.total_p50, each, wide=False))
_TOKENS_BRIEFLY: _Column = ("tok/s p50", lambda each: _rate(each.output_tps_p50, each, wide=False))


def caption(percents: Sequence[float] = PERCENTILES) -> str:
    """Say what the columns of a summary with these percentiles are."""
    needs = [f"{name_percentile(percent)} needs {smallest_sample(percent):,} requests" for percent in percents]
    extremes = {"max": "maximum", "min": "minimum"}
    instead = " or ".join(dict.fromkeys(extremes[name_extreme(percent)] for percent in percents))
    others = (
        f" All others are by nearest rank: {', '.join(needs)}; below that the {instead} stands in." if needs else ""
    )
    return f"p50 is the median.{others} {_CAPTION}"


def tabulate_summary(summaries: Sequence[TargetSummary], percents: Sequence[float] = PERCENTILES) -> SummaryTable:
    """Lay out a row for each target with all there is to say."""
    counts = (_TARGET, _N, _OK, _OTHER_OUTCOMES, _TIMED)
    ttft = (_TTFT, *_tail_columns(_TTFT_TAIL, summaries, percents, wide=True))
    total = (_TOTAL, *_tail_columns(_TOTAL_TAIL, summaries, percents, wide=True))
    return _tabulate(summaries, (*counts, *ttft, _FIRST_ANSWER, *total, _TOKENS, _CHARACTERS))


def tabulate_briefly(summaries: Sequence[TargetSummary], percents: Sequence[float] = PERCENTILES) -> SummaryTable:
    """Lay out a row for each target with what fits a terminal of 80 columns: one interval, that of TTFT.

    Several percentiles have no room there, see `tabulate_percentiles`.
    """
    tails = _tail_columns(_TTFT_TAIL, summaries, percents, wide=False) if len(percents) == 1 else []
    return _tabulate(summaries, (_TARGET, _N, _OK, _FAILED, _TTFT, *tails, _TOTAL_BRIEFLY, _TOKENS_BRIEFLY))


def tabulate_percentiles(
    summaries: Sequence[TargetSummary], percents: Sequence[float], places: Sequence[int]
) -> SummaryTable:
    """Lay out some of several percentiles, those at `places`: two rows for each target, TTFT and total."""
    lines = [(each, of_what, read(each)) for each in summaries for of_what, read in (_TTFT_TAIL, _TOTAL_TAIL)]
    names = [_names(percents[at], [found[at] for _, _, found in lines if found]) for at in places]
    rows = [
        (
            _TARGET[1](each) if of_what == _TTFT_TAIL[0] else "",
            of_what,
            str(each.timed),
            *(_tail(found, at, each, named=len(named) > 1) for at, named in zip(places, names, strict=True)),
        )
        for each, of_what, found in lines
    ]
    headings = (_title(percents[at], named) for at, named in zip(places, names, strict=True))
    return SummaryTable(("target", "of", "timed", *headings), tuple(rows), frozenset({0, 1}))


def _tabulate(summaries: Sequence[TargetSummary], columns: Sequence[_Column]) -> SummaryTable:
    return SummaryTable(
        headings=tuple(heading for heading, _ in columns),
        rows=tuple(tuple(show(each) for _, show in columns) for each in summaries),
        wordy=frozenset(at for at, column in enumerate(columns) if column in (_TARGET, _OTHER_OUTCOMES)),
    )


def _tail_columns(
    tail: _Tail, summaries: Sequence[TargetSummary], percents: Sequence[float], *, wide: bool
) -> list[_Column]:
    """Return a column for each percentile that was asked for; a wide one has room for intervals."""
    return [_tail_column(tail, summaries, percents, at, wide=wide) for at in range(len(percents))]


def _tail_column(
    tail: _Tail, summaries: Sequence[TargetSummary], percents: Sequence[float], at: int, *, wide: bool
) -> _Column:
    """Head the column with what all its figures are; where they differ, each says it itself."""
    of_what, read = tail
    names = _names(percents[at], [read(each)[at] for each in summaries if read(each)])
    title = names[0] if len(percents) == 1 and len(names) == 1 else _title(percents[at], names)
    return f"{of_what} {title}", lambda each: _tail(read(each), at, each, named=len(names) > 1, wide=wide)


def _title(percent: float, names: Sequence[str]) -> str:
    """Head one of several percentiles: `p90`, `p90 or max`; `p99: max` where there was nothing but the extreme."""
    is_extreme = [*names] == [name_extreme(percent)]
    return f"{name_percentile(percent)}: {names[0]}" if is_extreme else " or ".join(names)


def _names(percent: float, found: Sequence[Statistic]) -> list[str]:
    """Return what the figures of one percentile are: its own name, that of the extreme, or both."""
    return sorted({each.name for each in found}, reverse=True) or [name_percentile(percent)]


def _tail(found: Sequence[Statistic], at: int, summary: TargetSummary, *, named: bool, wide: bool = False) -> str:
    if not found:
        return MISSING
    figure = _seconds(found[at], summary, wide=wide)
    return f"{found[at].name} {figure}" if named else figure


def _name_outcomes(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items()) or "none"


def _seconds(statistic: Statistic | None, summary: TargetSummary, *, wide: bool = True) -> str:
    return _figure(statistic, summary, seconds, wide=wide)


def _rate(statistic: Statistic | None, summary: TargetSummary, *, wide: bool = True) -> str:
    return _figure(statistic, summary, rate, wide=wide)


def _figure(
    statistic: Statistic | None, summary: TargetSummary, write: Callable[[float | None], str], *, wide: bool
) -> str:
    if statistic is None:
        return MISSING
    figure = write(statistic.value)
    known = with_interval(figure, statistic.interval, write) if wide else figure
    return with_sample(known, statistic, summary.timed)


def banner(run: Run) -> str | None:
    """Say which targets are simulated, to follow that very word; None if all are real."""
    if not run.simulated:
        return None
    if run.header.replay_of is not None:
        return f"replies recorded in {run.header.replay_of} were played back; no provider was asked."
    real = sorted(str(each.target) for each in run.summary if each.n and not each.simulated)
    subject = f"every target but {', '.join(real)} is" if real else "every target is"
    return f"{subject} the built-in simulator; its figures say nothing about any provider."


def partial(run: Run) -> str | None:
    """Say how much of a run is here, to follow that very word; None if it came to its end."""
    if run.ended:
        return None
    return f"the run is unfinished: {count(len(run.measured), 'request')} of {run.header.planned} planned"


def remarks(run: Run) -> list[str]:
    """Give what to know before trusting the figures, a sentence each."""
    said = []
    if run.stop_reason:
        said.append(f"stopped: {run.stop_reason}")
    warmups = sum(each.warmups for each in run.summary)
    if warmups:
        said.append(f"{count(warmups, 'warm-up request')} left out of every figure")
    said += map(_describe_connections, run.connections)
    said += _describe_clock(run)
    said += describe_workers(run.cluster)
    said += describe_costs(run)
    said += [
        f"{each.target}: ~{rate(each.output_tps)} tokens/s, estimated from characters, n {each.n}; none were counted"
        for each in run.estimates
    ]
    for each in run.summary:
        if each.timed > each.ok:
            said.append(f"{each.target}: {each.timed - each.ok} × cut at the length limit, timed like the others")
        said.extend(f"{each.target}: {n} × {describe_flag(flag)}" for flag, n in each.flags.items())
        said += _describe_adjusted(each)
    return said


def _describe_adjusted(summary: TargetSummary) -> list[str]:
    """Say what is left of the speed when a failure counts as never answered."""
    ranks = summary.ttft_adjusted
    if not ranks:
        return []
    figures = [f"{each.name} {'never' if each.value is None else seconds(each.value)}" for each in ranks]
    said = "counting failures as never answered, TTFT"
    return [f"{summary.target}: {said} {', '.join(figures)}, n {ranks[0].n}"]


def _describe_connections(connections: ConnectionSummary) -> str:
    phases = ", ".join(f"{phase} {milliseconds(seconds)}" for phase, seconds in connections.phases_s.items())
    opened = f"{connections.provider}: {count(connections.n, 'connection')} opened before the first request"
    return f"{opened} ({phases}, medians)" if phases else opened


def _describe_clock(run: Run) -> list[str]:
    """Say how far this machine's stamps could be trusted when it was last calibrated, if it ever was."""
    error = run.clock_error
    if error is None:
        return []
    ttft = f"TTFT off by {describe_spread(error)}"
    sample = f"n {error.n}, {error.concurrency} at a time"
    return [f"this machine's clock error: {ttft}, {sample}, calibrated on {error.calibrated_at[:10]}"]


def describe_failure(failure: Failure) -> str:
    """Say who failed, how often and how; the provider's own words are left to the caller to make safe."""
    words = describe_outcome(failure.outcome, failure.error_type, failure.http_status)
    return f"{failure.target}: {failure.count} × {words}"


def advise_on(failure: Failure) -> str | None:
    """Say what to do about a failure; None where nothing can be done."""
    return hint_for(failure.target.provider, failure.outcome, failure.error_type, attempts=failure.attempts)
