"""What a target did in a run: how many requests, how they ended, how fast the good ones were.

The unit is one request. Only `ok` and `length` enter timing statistics; all else is counted beside them.
Nothing is trimmed, and a percentile that its sample cannot support gives way to the maximum, by name.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median as median_of

import pandas as pd

from runner.analysis.frame import measured, targets_of
from runner.events import TIMED, Outcome

SMALLEST_SAMPLE = {90: 10, 95: 20, 99: 100}
"""How many requests a percentile needs before it says more than the maximum does."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure under the name it deserves (`p50`, `p95`, `max`) with the number of requests behind it."""

    name: str
    value: float
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


def summarize(table: pd.DataFrame, targets: Sequence[str] = ()) -> tuple[TargetSummary, ...]:
    """Summarize each target: those named first, in their order and even without a row, then the others."""
    of_row = targets_of(table)
    others = sorted(set(of_row) - set(targets))
    return tuple(_summarize_target(target, table[of_row == target]) for target in (*targets, *others))


def _summarize_target(target: str, table: pd.DataFrame) -> TargetSummary:
    counted = measured(table)
    timed = counted[counted["outcome"].isin([outcome.value for outcome in TIMED])]
    return TargetSummary(
        target=target,
        simulated=bool(table["simulated"].any()),
        n=len(counted),
        warmups=len(table) - len(counted),
        outcomes=_count_outcomes(counted),
        flags=_count_flags(counted),
        ttft_p50=median(_present(timed["ttft_s"])),
        ttft_p95=percentile(_present(timed["ttft_s"]), 95),
        ttfa_p50=median(_present(timed["ttfa_s"])),
        total_p50=median(_present(timed["total_s"])),
        output_tps_p50=median(_present(timed["output_tps"])),
        output_cps_p50=median(_present(timed["output_cps"])),
    )


def _present(column: "pd.Series[float]") -> list[float]:
    values: list[float] = column.dropna().tolist()
    return values


def _count_outcomes(table: pd.DataFrame) -> dict[str, int]:
    counts = Counter(table["outcome"])
    return {outcome.value: counts[outcome.value] for outcome in Outcome if counts[outcome.value]}


def _count_flags(table: pd.DataFrame) -> dict[str, int]:
    counts = Counter(word for words in table["flags"].dropna() for word in words.split(";"))
    return dict(sorted(counts.items()))


def median(values: Sequence[float]) -> Statistic | None:
    """Return the ordinary median: the mean of the middle two where their number is even."""
    return Statistic("p50", median_of(values), len(values)) if values else None


def percentile(values: Sequence[float], percent: int) -> Statistic | None:
    """Return a high percentile by nearest rank, an observed value; the maximum, so named, of a small sample."""
    n = len(values)
    if n == 0:
        return None
    if n < SMALLEST_SAMPLE[percent]:
        return Statistic("max", max(values), n)
    rank = -(-percent * n // 100)
    return Statistic(f"p{percent}", sorted(values)[rank - 1], n)
