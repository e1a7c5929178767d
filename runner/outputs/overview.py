"""The summary in words and figures, once for every output that a person looks at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runner.analysis.calibration import ClockError
from runner.analysis.connections import Setup
from runner.analysis.failures import Failure
from runner.analysis.run import Run
from runner.analysis.summary import Statistic, TargetSummary
from runner.outputs.figures import count, milliseconds, rate, seconds, with_sample
from runner.outputs.words import describe_flag, describe_outcome
from runner.remedy import advise

CAPTION = (
    "p50 is the median; p95 is by nearest rank and needs 20 requests, below that it is the maximum. Figures rest on "
    "the timed requests, which ended ok or at the length limit; one that rests on fewer names its own n."
)


@dataclass(frozen=True, slots=True)
class SummaryTable:
    """Headings and rows of text; the columns in `wordy` hold words, all others figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wordy: frozenset[int]


_Column = tuple[str, Callable[[TargetSummary], str]]

_TARGET: _Column = ("target", lambda each: each.target + (" (simulated)" if each.simulated else ""))
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


def tabulate_summary(summaries: Sequence[TargetSummary]) -> SummaryTable:
    """Lay out a row for each target with all there is to say."""
    tail = _tail_column(summaries)
    counts = (_TARGET, _N, _OK, _OTHER_OUTCOMES, _TIMED)
    return _tabulate(summaries, (*counts, _TTFT, tail, _FIRST_ANSWER, _TOTAL, _TOKENS, _CHARACTERS))


def tabulate_briefly(summaries: Sequence[TargetSummary]) -> SummaryTable:
    """Lay out a row for each target with what fits a terminal of 80 columns."""
    speed = ("tok/s p50", _TOKENS[1])
    return _tabulate(summaries, (_TARGET, _N, _OK, _FAILED, _TTFT, _tail_column(summaries), _TOTAL, speed))


def _tabulate(summaries: Sequence[TargetSummary], columns: Sequence[_Column]) -> SummaryTable:
    return SummaryTable(
        headings=tuple(heading for heading, _ in columns),
        rows=tuple(tuple(show(each) for _, show in columns) for each in summaries),
        wordy=frozenset(at for at, column in enumerate(columns) if column in (_TARGET, _OTHER_OUTCOMES)),
    )


def _tail_column(summaries: Sequence[TargetSummary]) -> _Column:
    """Head the column with what all its figures are; where they differ, each says it itself."""
    names = {each.ttft_p95.name for each in summaries if each.ttft_p95} or {"p95"}
    heading = "TTFT " + " or ".join(sorted(names, reverse=True))
    return heading, lambda each: _tail(each, named=len(names) > 1)


def _name_outcomes(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items()) or "none"


def _seconds(statistic: Statistic | None, summary: TargetSummary) -> str:
    return with_sample(seconds(statistic.value if statistic else None), statistic, summary.timed)


def _rate(statistic: Statistic | None, summary: TargetSummary) -> str:
    return with_sample(rate(statistic.value if statistic else None), statistic, summary.timed)


def _tail(summary: TargetSummary, *, named: bool) -> str:
    figure = _seconds(summary.ttft_p95, summary)
    return f"{summary.ttft_p95.name} {figure}" if named and summary.ttft_p95 else figure


def banner(run: Run) -> str | None:
    """Say which targets are simulated, to follow that very word; None if all are real."""
    if not run.simulated:
        return None
    real = sorted(each.target for each in run.summary if each.n and not each.simulated)
    subject = f"every target but {', '.join(real)} is" if real else "every target is"
    return f"{subject} the built-in simulator; its figures say nothing about any provider."


def remarks(run: Run) -> list[str]:
    """Give what to know before trusting the figures, a sentence each."""
    said = []
    if not run.ended:
        said.append(f"unfinished: {count(len(run.measured), 'request')} of {run.header.planned_requests:,} planned")
    warmups = sum(each.warmups for each in run.summary)
    if warmups:
        said.append(f"{count(warmups, 'warm-up request')} left out of every figure")
    said += map(_describe_setup, run.setups)
    said += _describe_clock(run)
    said += [
        f"{each.target}: ~{rate(each.output_tps)} tokens/s, estimated from characters, n {each.n}; none were counted"
        for each in run.estimates
    ]
    for each in run.summary:
        if each.timed > each.ok:
            said.append(f"{each.target}: {each.timed - each.ok} × cut at the length limit, timed like the others")
        said.extend(f"{each.target}: {n} × {describe_flag(flag)}" for flag, n in each.flags.items())
    return said


def _describe_setup(setup: Setup) -> str:
    phases = ", ".join(f"{phase} {milliseconds(seconds)}" for phase, seconds in setup.phases_s.items())
    opened = f"{setup.provider}: {count(setup.n, 'connection')} opened before the first request"
    return f"{opened} ({phases}, medians)" if phases else opened


def _describe_clock(run: Run) -> list[str]:
    """Say how far this machine's stamps could be trusted when it was last calibrated, if it ever was."""
    error = ClockError.of(run.header.calibration or {})
    if error is None:
        return []
    ttft = f"TTFT off by {milliseconds(error.ttft_p50_s)} (p50) to {milliseconds(error.ttft_p99_s)} (p99)"
    sample = f"n {error.n}, {error.concurrency} at a time"
    return [f"this machine's clock error: {ttft}, {sample}, calibrated on {error.calibrated_at[:10]}"]


def describe_failure(failure: Failure) -> str:
    """Say who failed, how often and how; the provider's own words are left to the caller to make safe."""
    words = describe_outcome(failure.outcome, failure.error_type, failure.http_status)
    return f"{failure.target}: {failure.count} × {words}"


def advise_on(failure: Failure) -> str | None:
    """Say what to do about a failure; None where nothing can be done."""
    return advise(failure.provider, failure.outcome, failure.error_type, attempts=failure.attempts)
