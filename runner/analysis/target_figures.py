"""All figures of a target that tables of a run show: speed, tails, equal length, cost and checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median as median_of

import pandas as pd

from runner.analysis.cost import TargetCost
from runner.analysis.dataframe import is_timed, measured, steady, targets_of
from runner.analysis.measured_target import MeasuredTarget
from runner.analysis.pass_rate import PassRate
from runner.analysis.run_results import Run
from runner.analysis.summary import Statistic, TargetSummary, median
from runner.analysis.time_to_tokens import COLUMN
from runner.core.events import TIMED, UNTRIED

WIDE_RANGE = 3.0
"""From this ratio of the slowest case's median to the fastest's on, a median over all cases hides something."""


@dataclass(frozen=True)
class TargetFigures:
    """One target's figures; those that no request has are None."""

    summary: TargetSummary
    costs: tuple[TargetCost, ...]
    """One for each currency."""
    passed: PassRate | None
    rows: pd.DataFrame
    """Its timed requests."""

    @property
    def target(self) -> MeasuredTarget:
        """The target."""
        return self.summary.target

    @cached_property
    def equal_length_p50(self) -> Statistic | None:
        """The median time to the first 100 tokens, of the replies that have as many."""
        known = self.rows[self.rows[COLUMN].notna()]
        return median(known[COLUMN].tolist(), known["block"].tolist())

    def range_of_cases(self, column: str) -> tuple[float, float] | None:
        """Return the fastest and the slowest case's median, where these are so far apart that one median hides it."""
        # Not `groupby`, whose index refuses the lone surrogates that a name may hold.
        values: dict[tuple[object, object], list[float]] = {}
        for case, turn, value in zip(*(self.rows[name].tolist() for name in ("case", "turn", column)), strict=True):
            if value == value:  # noqa: PLR0124 -- not NaN
                values.setdefault((case, turn), []).append(float(value))
        by_case = [median_of(of_case) for of_case in values.values()]
        low, high = min(by_case, default=0.0), max(by_case, default=0.0)
        return (low, high) if low > 0 and high / low >= WIDE_RANGE else None

    @property
    def output_tokens_p50(self) -> float | None:
        """The median number of output tokens."""
        counts = self.rows["output_tokens"].dropna().tolist()
        return float(median_of(counts)) if counts else None


def target_figures(run: Run) -> tuple[TargetFigures, ...]:
    """Return the figures of each target of a run, in the suite's order."""
    table = steady(measured(run.table_with_tokens))
    timed = table[is_timed(table)]
    of_row = targets_of(timed)
    return tuple(
        TargetFigures(
            summary=each,
            costs=tuple(cost for cost in run.costs if cost.target == each.target),
            passed=run.pass_rate(each.target),
            rows=timed[of_row == each.target],
        )
        for each in run.summary
    )


# Figures by case, and by tag


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """The medians of one target's timed requests to one turn of a case, or to all cases of a tag.

    `requests` counts all of them, `n` those behind the medians, `failed` those that the target failed.
    """

    requests: int
    n: int
    failed: int
    ttft_s: float | None
    total_s: float | None
    output_tokens: float | None
    cost: float | None
    currency: str | None
    passed: PassRate | None


def figures_of_rows(rows: pd.DataFrame, passed: PassRate | None) -> CaseFigures:
    """Return the figures of some rows of a target; warm-ups are to be left out.

    As in the summary, medians are of the steady state.
    """
    timed = steady(rows[is_timed(rows)])
    currencies = timed["currency"].dropna().unique().tolist()
    is_one = len(currencies) == 1
    return CaseFigures(
        requests=len(rows),
        n=len(timed),
        failed=int((~rows["outcome"].isin([outcome.value for outcome in TIMED | UNTRIED])).sum()),
        ttft_s=_median(timed, "ttft_s"),
        total_s=_median(timed, "total_s"),
        output_tokens=_median(timed, "output_tokens"),
        cost=_median(timed, "cost") if is_one else None,
        currency=str(currencies[0]) if is_one else None,
        passed=passed,
    )


def _median(rows: pd.DataFrame, column: str) -> float | None:
    values: Sequence[float] = rows[column].dropna().tolist()
    return float(median_of(values)) if values else None
