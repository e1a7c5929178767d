"""The summary of a run: counts, outcomes and speed of each target; failures; connections; estimated token rates.

The unit is one request. Only `ok` and `length` enter timing statistics; all other outcomes are counted separately.
Nothing is trimmed. If a sample is too small for a percentile, the extreme is shown instead, under its own name. Each
statistic has a 95 % interval if its sample is large enough.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median as median_of
from typing import Any

import numpy as np
import pandas as pd

from runner.analysis.dataframe import PLACE, is_failed, is_timed, plain_cells, steady_rows, targets_of, without_warmups
from runner.analysis.goodput import SLO_COLUMNS, Goodput, measure_goodput
from runner.analysis.intervals import Statistic, median, percentile, percentile_or_extreme
from runner.analysis.measured_targets import MeasuredTarget, TargetSplit
from runner.analysis.slow_requests import QUESTION, TIMES, mark_slow, share_of_slow
from runner.core.events import TIMED, UNTRIED, Outcome
from runner.core.percentiles import MEDIAN, PERCENTILES
from runner.core.record import Record
from runner.core.slo import Slo
from runner.core.token_estimate import likely_tokens

_SUMMARY_COLUMNS = [
    *("block", "simulated", "outcome", "flags", "ttft_s", "ttfa_s", "tool_call_s", "total_s", "output_tps"),
    "output_cps",
]
_GOODPUT_COLUMNS = [*SLO_COLUMNS, "block", "case", "turn", "flags", "output_tokens"]


@dataclass(frozen=True, slots=True)
class ErrorAdjustedPercentile:
    """A percentile that ranks failed requests as infinitely slow; `value` is None if it is that of a failed request."""

    name: str
    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """Summary of one target. A statistic is None if no request has a value."""

    target: MeasuredTarget
    simulated: bool
    n: int
    warmups: int
    outcomes: Mapping[str, int]
    flags: Mapping[str, int]
    ttft_p50: Statistic | None
    ttft_p95: Statistic | None
    ttfa_p50: Statistic | None
    total_p50: Statistic | None
    output_tps_p50: Statistic | None
    output_cps_p50: Statistic | None
    ttft_percentiles: tuple[Statistic, ...] = ()
    """Requested percentiles of TTFT, in their order; empty if no request has a TTFT, or only p50 was requested."""
    total_percentiles: tuple[Statistic, ...] = ()
    """Requested percentiles of the total time, in their order; empty under the same conditions."""
    ttft_adjusted: tuple[ErrorAdjustedPercentile, ...] = ()
    """Median and requested percentiles of TTFT over all successes and failures; empty if nothing failed."""
    slow: Statistic | None = None
    """Share of timed requests that took more than twice the median of their question over all targets."""
    goodput: Goodput | None = None
    """Requests that met the SLO; None without one."""
    tool_call_p50: Statistic | None = None
    """Median time until the first tool call was complete; None if no request has one."""
    left_out: int = 0
    """Number of timed requests outside the steady state, or repeated by a cache probe, which enter no latency."""

    @property
    def ok(self) -> int:
        """The number of requests that ended `ok`."""
        return self.outcomes.get(Outcome.OK, 0)

    @property
    def timed(self) -> int:
        """The number of requests that ended `ok` or were cut at the length limit."""
        return sum(self.outcomes.get(outcome, 0) for outcome in TIMED)

    @property
    def failed(self) -> int:
        """The number of requests that the target failed: neither timed, nor stopped by the run or an earlier turn."""
        return sum(self.failures.values())

    @property
    def failures(self) -> dict[str, int]:
        """The number of requests with each outcome that is a failure of the target."""
        known = TIMED | UNTRIED
        return {outcome: count for outcome, count in self.outcomes.items() if outcome not in known}

    @property
    def other_outcomes(self) -> dict[str, int]:
        """The number of requests with each outcome except `ok`."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != Outcome.OK}


def summarize(
    table: pd.DataFrame, targets: Sequence[MeasuredTarget] = (), percents: Sequence[float] = PERCENTILES
) -> tuple[TargetSummary, ...]:
    """Return the summary of each target: first those given, in their order and even without rows, then the others."""
    of_row = targets_of(table)
    others = sorted(set(of_row.unique()) - set(targets), key=str)
    every = (*targets, *others)
    slow = _mark_slow(table)
    return tuple(
        _summarize_target(target, table.loc[of_row == target, _SUMMARY_COLUMNS], percents, slow) for target in every
    )


def with_goodput(
    summaries: Iterable[TargetSummary], table: pd.DataFrame, slo: Slo, *, with_rates: bool
) -> tuple[TargetSummary, ...]:
    """Return the summaries with the goodput of each target; use `with_rates` only if all rows have the same load."""
    measured = without_warmups(table)
    of_row, rows = targets_of(measured), measured[_GOODPUT_COLUMNS]
    return tuple(
        replace(each, goodput=measure_goodput(rows[of_row == each.target], slo, with_rates=with_rates))
        for each in summaries
    )


def _mark_slow(table: pd.DataFrame) -> "pd.Series[bool]":
    """Return a mask of the slow rows among the timed ones of all targets, by place if the table is split by it."""
    by = [*QUESTION, *([PLACE] if PLACE in table else [])]
    return mark_slow(_timed(steady_rows(without_warmups(table[[*by, "outcome", "flags", *TIMES]]))), by)


def _timed(table: pd.DataFrame) -> pd.DataFrame:
    return table[is_timed(table)]


def _summarize_target(
    target: MeasuredTarget, table: pd.DataFrame, percents: Sequence[float], slow: "pd.Series[bool]"
) -> TargetSummary:
    measured = without_warmups(table)
    under_load = steady_rows(measured)
    timed = _timed(under_load)
    return TargetSummary(
        target=target,
        simulated=bool(table["simulated"].any()),
        n=len(measured),
        warmups=len(table) - len(measured),
        left_out=len(_timed(measured)) - len(timed),
        outcomes=_count_outcomes(measured),
        flags=_count_flags(measured),
        ttft_p50=median_of_column(timed, "ttft_s"),
        ttft_p95=_percentile_of_column(timed, "ttft_s", 95),
        ttfa_p50=median_of_column(timed, "ttfa_s"),
        total_p50=median_of_column(timed, "total_s"),
        output_tps_p50=median_of_column(timed, "output_tps"),
        output_cps_p50=median_of_column(timed, "output_cps"),
        ttft_percentiles=_percentiles(timed, "ttft_s", percents),
        total_percentiles=_percentiles(timed, "total_s", percents),
        ttft_adjusted=_error_adjusted(under_load, _known(timed, "ttft_s")[0], percents),
        slow=_share_of_slow(timed, slow),
        tool_call_p50=median_of_column(timed, "tool_call_s"),
    )


def _share_of_slow(timed: pd.DataFrame, slow: "pd.Series[bool]") -> Statistic | None:
    known = timed[timed[[*TIMES]].notna().any(axis=1)]
    if known.empty:
        return None
    share, interval = share_of_slow(slow[known.index], known["block"])
    return Statistic("slow", share.value, len(known), interval)


def median_of_column(timed: pd.DataFrame, column: str) -> Statistic | None:
    """Return the median of a column over the rows that have a value; None if there are none."""
    return median(*_known(timed, column))


def _percentile_of_column(timed: pd.DataFrame, column: str, percent: float) -> Statistic | None:
    values, rounds = _known(timed, column)
    return percentile(values, percent, rounds)


def _known(timed: pd.DataFrame, column: str) -> tuple[list[float], list[int]]:
    """Return the known values of a column, and the round of each."""
    values = timed[column].to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(values)
    return values[known].tolist(), timed["block"].to_numpy(dtype=object)[known].tolist()


def _percentiles(timed: pd.DataFrame, column: str, percents: Sequence[float]) -> tuple[Statistic, ...]:
    found = [_percentile_of_column(timed, column, percent) for percent in percents]
    return tuple(each for each in found if each is not None)


def _error_adjusted(
    rows: pd.DataFrame, answered: Sequence[float], percents: Sequence[float]
) -> tuple[ErrorAdjustedPercentile, ...]:
    """Return nearest-rank percentiles in which failures rank last; empty if nothing failed."""
    failed = int(is_failed(rows).sum())
    values = [*answered, *[math.inf] * failed]
    if not failed:
        return ()
    return tuple(dict.fromkeys(_error_adjusted_percentile(values, percent) for percent in (MEDIAN, *percents)))


def _error_adjusted_percentile(values: Sequence[float], percent: float) -> ErrorAdjustedPercentile:
    name, value = percentile_or_extreme(values, percent)
    return ErrorAdjustedPercentile(name, value if math.isfinite(value) else None, len(values))


def _count_outcomes(table: pd.DataFrame) -> dict[str, int]:
    counts = Counter(table["outcome"])
    return {outcome.value: counts[outcome.value] for outcome in Outcome if counts[outcome.value]}


def _count_flags(table: pd.DataFrame) -> dict[str, int]:
    counts = Counter(word for words in table["flags"].dropna() for word in words.split(";"))
    return dict(sorted(counts.items()))


# Failures

_FAILURE_COLUMNS = ("outcome", "error_type", "http_status", "error", "attempts")
"""Columns of the fields of `Failure` after `count`, in their order."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Equal failures of a target, which occurred `count` times, with the provider's message if there was one."""

    target: MeasuredTarget
    count: int
    outcome: str
    error_type: str | None
    http_status: int | None
    error: str | None
    attempts: int
    """Number of times that each of the requests was sent."""


def summarize_failures(table: pd.DataFrame) -> tuple[Failure, ...]:
    """Return the failed requests, with equal ones counted together; the most frequent of each target first."""
    measured = without_warmups(table)
    failed = measured[~is_timed(measured)]
    cells: list[list[Any]] = [plain_cells(failed[name]) for name in _FAILURE_COLUMNS]
    counts = Counter(zip(targets_of(failed), *cells, strict=True))
    return tuple(sorted((Failure(target, count, *row) for (target, *row), count in counts.items()), key=_rank))


def _rank(failure: Failure) -> tuple[str, int, str, str, int, str, int]:
    return (
        str(failure.target),
        -failure.count,
        failure.outcome,
        failure.error_type or "",
        failure.http_status or 0,
        failure.error or "",
        failure.attempts,
    )


# Connections

CONNECTION_PHASES = {"dns": ("dns_start", "dns_end"), "TCP": ("tcp_start", "tcp_end"), "TLS": ("tcp_end", "tls_end")}
"""Phases of connection set-up, each with the names of the timestamps at its start and end."""


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """Number of connections opened to a provider before the first request, and the median seconds of each phase.

    A phase is absent if no connection had it.
    """

    provider: str
    n: int
    phases_s: Mapping[str, float]


def summarize_connections(lines: Iterable[Mapping[str, Any]]) -> tuple[ConnectionSummary, ...]:
    """Return a summary of a journal's `connection` lines for each provider, in order of appearance."""
    by_provider: dict[str, list[Mapping[str, int]]] = defaultdict(list)
    for line in lines:
        by_provider[line["provider"]].append(line["marks"])
    return tuple(
        ConnectionSummary(provider, len(timestamps), _median_phases_s(timestamps))
        for provider, timestamps in by_provider.items()
    )


def _median_phases_s(timestamps: Sequence[Mapping[str, int]]) -> dict[str, float]:
    medians = {}
    for phase, (start, end) in CONNECTION_PHASES.items():
        spans_s = [(each[end] - each[start]) / 1e9 for each in timestamps if start in each and end in each]
        if spans_s:
            medians[phase] = median_of(spans_s)
    return medians


# Token rates of replies without usage, by a rule of thumb that may be wrong by a third; remarks show them with `~`.


@dataclass(frozen=True, slots=True)
class EstimatedRate:
    """A target's median tokens per second, estimated from the characters of `n` replies without usage."""

    target: MeasuredTarget
    output_tps: float
    n: int


def estimate_rates(records: Iterable[Record], split: TargetSplit) -> tuple[EstimatedRate, ...]:
    """Return an estimate for each target that has timed replies without counted tokens."""
    rates: dict[MeasuredTarget, list[float]] = defaultdict(list)
    for record in records:
        reply, cps = record.reply, record.output_cps
        if record.timed and record.output_tokens is None and cps is not None and reply:
            rates[split.target_of(record)].append(cps * likely_tokens(reply) / len(reply))
    return tuple(EstimatedRate(target, median_of(values), len(values)) for target, values in rates.items())
