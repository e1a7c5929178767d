"""What a target did in a run: how many requests, how they ended, how fast the good ones were.

The unit is one request. Only `ok` and `length` enter timing statistics; all else is counted beside them.
Nothing is trimmed, and a percentile that its sample cannot support gives way to the extreme, by name. Each figure
has a 95 % interval where its sample is large enough for one.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median as median_of

import pandas as pd

from runner.analysis.frame import measured, targets_of
from runner.analysis.intervals import Interval, median_interval, percentile_interval
from runner.core.events import TIMED, Outcome
from runner.core.percentiles import MEDIAN, PERCENTILES, name_extreme, name_percentile, nearest_rank, smallest_sample

_READ = ["block", "simulated", "outcome", "flags", "ttft_s", "ttfa_s", "total_s", "output_tps", "output_cps"]

UNTRIED = frozenset({Outcome.CANCELLED, Outcome.SKIPPED})
"""Outcomes that are no failures of the target: we stopped it, or an earlier turn failed, which counts already."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure under the name it deserves (`p50`, `p95`, `max`) with the number of requests behind it."""

    name: str
    value: float
    n: int
    interval: Interval | None = None
    """Where 95 of 100 such runs would have it; None where the sample is too small to say."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A percentile in which a failed request counts as never answered. The value is None where it is one of those."""

    name: str
    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """One target's row. A statistic is None where no request can speak for it."""

    target: str
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
    """Those that were asked for, in their order; empty where no request can speak for them, or only for p50."""
    total_percentiles: tuple[Statistic, ...] = ()
    ttft_adjusted: tuple[Adjusted, ...] = ()
    """The median and those that were asked for, over all requests that could have been answered."""

    @property
    def ok(self) -> int:
        """Requests that ended as they should."""
        return self.outcomes.get(Outcome.OK, 0)

    @property
    def timed(self) -> int:
        """Requests whose times count: ok, or cut at the length limit."""
        return sum(self.outcomes.get(outcome, 0) for outcome in TIMED)

    @property
    def failed(self) -> int:
        """Requests whose times do not count."""
        return self.n - self.timed

    @property
    def other_outcomes(self) -> dict[str, int]:
        """Every other way in which requests ended, with how often."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != Outcome.OK}


def summarize(
    table: pd.DataFrame, targets: Sequence[str] = (), percents: Sequence[float] = PERCENTILES
) -> tuple[TargetSummary, ...]:
    """Summarize each target: those named first, in their order and even without a row, then the others."""
    of_row = targets_of(table)
    others = sorted(set(of_row) - set(targets))
    every = (*targets, *others)
    return tuple(_summarize_target(target, table.loc[of_row == target, _READ], percents) for target in every)


def _summarize_target(target: str, table: pd.DataFrame, percents: Sequence[float]) -> TargetSummary:
    counted = measured(table)
    timed = counted[counted["outcome"].isin([outcome.value for outcome in TIMED])]
    return TargetSummary(
        target=target,
        simulated=bool(table["simulated"].any()),
        n=len(counted),
        warmups=len(table) - len(counted),
        outcomes=_count_outcomes(counted),
        flags=_count_flags(counted),
        ttft_p50=_median(timed, "ttft_s"),
        ttft_p95=percentile(_present(timed["ttft_s"]), 95),
        ttfa_p50=_median(timed, "ttfa_s"),
        total_p50=_median(timed, "total_s"),
        output_tps_p50=_median(timed, "output_tps"),
        output_cps_p50=_median(timed, "output_cps"),
        ttft_percentiles=_percentiles(_present(timed["ttft_s"]), percents),
        total_percentiles=_percentiles(_present(timed["total_s"]), percents),
        ttft_adjusted=_adjust(counted, _present(timed["ttft_s"]), percents),
    )


def _present(column: "pd.Series[float]") -> list[float]:
    values: list[float] = column.dropna().tolist()
    return values


def _median(timed: pd.DataFrame, column: str) -> Statistic | None:
    known = timed.loc[timed[column].notna(), [column, "block"]]
    return median(known[column].tolist(), known["block"].tolist())


def _percentiles(values: Sequence[float], percents: Sequence[float]) -> tuple[Statistic, ...]:
    """Return the percentiles asked for, in their order; none of no values."""
    found = [percentile(values, percent) for percent in percents]
    return tuple(each for each in found if each is not None)


def _adjust(counted: pd.DataFrame, answered: Sequence[float], percents: Sequence[float]) -> tuple[Adjusted, ...]:
    """Return percentiles by nearest rank in which whatever failed comes last; none where nothing failed."""
    tried = counted[~counted["outcome"].isin([outcome.value for outcome in UNTRIED])]
    failed = len(tried) - int(tried["outcome"].isin([outcome.value for outcome in TIMED]).sum())
    values = [*answered, *[math.inf] * failed]
    if not failed:
        return ()
    return tuple(dict.fromkeys(_adjusted(values, percent) for percent in (MEDIAN, *percents)))


def _adjusted(values: Sequence[float], percent: float) -> Adjusted:
    name, value = _nearest_rank(values, percent)
    return Adjusted(name, value if math.isfinite(value) else None, len(values))


def _count_outcomes(table: pd.DataFrame) -> dict[str, int]:
    counts = Counter(table["outcome"])
    return {outcome.value: counts[outcome.value] for outcome in Outcome if counts[outcome.value]}


def _count_flags(table: pd.DataFrame) -> dict[str, int]:
    counts = Counter(word for words in table["flags"].dropna() for word in words.split(";"))
    return dict(sorted(counts.items()))


def median(values: Sequence[float], blocks: Sequence[int] | None = None) -> Statistic | None:
    """Return the ordinary median: the mean of the middle two where their number is even."""
    if not values:
        return None
    return Statistic("p50", median_of(values), len(values), median_interval(values, blocks))


def percentile(values: Sequence[float], percent: float) -> Statistic | None:
    """Return a percentile by nearest rank, an observed value; the maximum or minimum, so named, of a small sample."""
    if not values:
        return None
    name, value = _nearest_rank(values, percent)
    supported = len(values) >= smallest_sample(percent)
    return Statistic(name, value, len(values), percentile_interval(values, percent) if supported else None)


def _nearest_rank(values: Sequence[float], percent: float) -> tuple[str, float]:
    n = len(values)
    if n < smallest_sample(percent):
        return name_extreme(percent), max(values) if percent >= MEDIAN else min(values)
    return name_percentile(percent), sorted(values)[nearest_rank(percent, n) - 1]
