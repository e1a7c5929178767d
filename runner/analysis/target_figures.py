"""All figures of a target in the tables of a run: speed, tails, equal length, cost and checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median as median_of

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.cost import TargetCost
from runner.analysis.dataframe import (
    NO_ROWS,
    has_none_of,
    is_failed,
    is_in_latencies,
    plain_cells,
    positions_by_target,
    take_cells,
)
from runner.analysis.intervals import Statistic
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.pass_rate import PassRate
from runner.analysis.run_results import Run, cache_latest
from runner.analysis.summary import TargetSummary, median_of_column
from runner.analysis.time_to_tokens import COLUMN

WIDE_RANGE = 3.0
"""Ratio of the slowest case's median to the fastest's from which a median over all cases hides the difference."""


@dataclass(frozen=True)
class TargetFigures:
    """Figures of a target; a figure is None if no request has a value."""

    summary: TargetSummary
    costs: tuple[TargetCost, ...]
    """Costs, one for each currency."""
    passed: PassRate | None
    rows: pd.DataFrame
    """Timed requests of the steady state, with the columns that the figures below need."""

    @property
    def target(self) -> MeasuredTarget:
        """The target."""
        return self.summary.target

    @cached_property
    def equal_length_p50(self) -> Statistic | None:
        """The median time to the first 100 tokens, over the replies with at least 100."""
        return median_of_column(self.rows, COLUMN)

    def range_of_cases(self, column: str) -> tuple[float, float] | None:
        """Return the fastest and the slowest case's median if their ratio is at least WIDE_RANGE; else None."""
        # Not `groupby`, whose index rejects the lone surrogates that a name may contain.
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


_COLUMNS = ("case", "turn", "block", "ttft_s", "ttfa_s", "tool_call_s", "total_s", COLUMN, "output_tokens")


@cache_latest
def target_figures(run: Run) -> tuple[TargetFigures, ...]:
    """Return the figures of each target of a run, in the suite's order."""
    table = run.table_with_tokens
    counted = is_in_latencies(table) & has_none_of(table, "warmup")
    rows = {target: rows[counted[rows]] for target, rows in positions_by_target(table).items()}
    return tuple(
        TargetFigures(
            summary=each,
            costs=tuple(cost for cost in run.costs if cost.target == each.target),
            passed=run.pass_rate(each.target),
            rows=take_cells(table, rows.get(each.target, NO_ROWS), _COLUMNS),
        )
        for each in run.summary
    )


# Figures by case and by tag


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """Medians of one target's timed requests to one turn of a case, or to all cases of a tag.

    `requests` is the number of all requests, `n` that of the ones in the medians, and `failed` that of the failed ones.
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


class RowFigures:
    """Figures of any rows of a table without warm-ups. As in the summary, medians are those of the steady state."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._timed = is_in_latencies(table)
        self._failed = is_failed(table)
        self._currency = np.array(plain_cells(table["currency"]), dtype=object)
        self._values = {
            name: table[name].to_numpy(dtype=np.float64, na_value=np.nan)
            for name in ("ttft_s", "total_s", "output_tokens", "cost")
        }

    def of(self, positions: Sequence[int], passed: PassRate | None) -> CaseFigures:
        """Return the figures of the rows at these positions, with the given pass rate."""
        rows = np.array(positions, dtype=np.intp)
        timed = rows[self._timed[rows]]
        currencies = {*self._currency[timed]} - {None}
        is_one = len(currencies) == 1
        return CaseFigures(
            requests=len(rows),
            n=len(timed),
            failed=int(self._failed[rows].sum()),
            ttft_s=self._median(timed, "ttft_s"),
            total_s=self._median(timed, "total_s"),
            output_tokens=self._median(timed, "output_tokens"),
            cost=self._median(timed, "cost") if is_one else None,
            currency=str(currencies.pop()) if is_one else None,
            passed=passed,
        )

    def _median(self, rows: NDArray[np.intp], column: str) -> float | None:
        values = self._values[column][rows]
        known = values[~np.isnan(values)]
        return float(median_of(known.tolist())) if len(known) else None
