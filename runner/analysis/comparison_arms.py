"""The two arms of a comparison, and the means of their rounds, which are the units of the tests.

Values are compared as logarithms, so that a ratio and its inverse have equal weight and no single slow request
dominates a mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.check_results import CheckedCell
from runner.analysis.dataframe import (
    NO_ROWS,
    TEXT,
    has_none_of,
    is_in_latencies,
    is_timed_once,
    is_tried,
    plain_cells,
    positions_by_target,
    take_cells,
)
from runner.analysis.diff_measures import TIMED_MEASURES, take_logs
from runner.analysis.goodput import SLO_COLUMNS
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.slow_requests import QUESTION
from runner.analysis.timestamp_errors import ClockError
from runner.core.answered_by import ANSWERED_BY_COLUMNS

Floats = NDArray[np.float64]

STRATUM = [*QUESTION, "vantage"]
"""Columns of a stratum, within which rows are compared. `vantage` is the node or place that sent the request, or empty
if it is ignored."""
STRATUM_AND_ROUND = [*STRATUM, "block"]

_DESCRIPTIVE = ("prompt", "reply", "tool_calls", "outcome", "finish_reason", "flags", "simulated", "currency")
_COMPARED_COLUMNS = frozenset(
    {
        *QUESTION,
        "block",
        *_DESCRIPTIVE,
        *ANSWERED_BY_COLUMNS,
        *SLO_COLUMNS,
        "cached_tokens",
        "client_error_s",
        *(measure.name for measure in TIMED_MEASURES),
    }
)
"""Columns of an arm. A copy of the others would take more memory than anything else in a long run."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One side of a comparison: the rows of one target in one run, without warm-ups."""

    label: str
    rows: pd.DataFrame
    checked: tuple[CheckedCell, ...] = ()
    """Results of the checks of its cases."""
    with_unsteady: bool = False
    """Whether requests of a closed loop outside its steady state count; see `keep_steady`."""

    @property
    def tried(self) -> pd.DataFrame:
        """The rows that are a success or a failure of the target."""
        return self.rows[is_tried(self.rows)]

    @cached_property
    def timed(self) -> pd.DataFrame:
        """The rows of `are_timed`."""
        return self.rows[self.are_timed]

    @cached_property
    def are_timed(self) -> NDArray[np.bool_]:
        """The mask of the rows that enter timing statistics, for a closed loop its steady state; shape (rows,)."""
        return is_timed_once(self.rows) if self.with_unsteady else is_in_latencies(self.rows)

    @cached_property
    def strata_and_rounds(self) -> pd.MultiIndex:
        """The stratum and the round of each row."""
        return strata_and_rounds_of(self.rows)

    def only(self, kept: "pd.Series[bool]") -> "Arm":
        """Return the arm with the rows of a mask."""
        return replace(self, rows=self.rows[kept])


def arm_of(
    table: pd.DataFrame,
    target: MeasuredTarget,
    label: str,
    vantages: Mapping[str, str] | None = None,
    checked: Sequence[CheckedCell] = (),
) -> Arm:
    """Return a target's arm.

    Args:
        table: that of a run.
        target: the target whose rows form the arm.
        label: name of the arm in messages.
        vantages: name of the vantage of each node. Rows are compared only with rows of the same vantage.
        checked: checked cases of the run, for all targets.

    """
    own = positions_by_target(table).get(target, NO_ROWS)
    own = own[has_none_of(table, "warmup")[own]]
    rows = take_cells(table, own, [name for name in table.columns if name in _COMPARED_COLUMNS])
    names = vantages or {}
    vantage = [names.get(str(node or ""), "") for node in plain_cells(table["node"].take(own))]
    rows["vantage"] = pd.Series(vantage, rows.index, dtype=TEXT)
    return Arm(label, rows, tuple(cell for cell in checked if cell.target == target))


@dataclass(frozen=True, slots=True)
class RoundMeans:
    """Means of logarithms by round.

    For paired arms, `new` has the mean differences (new minus base), and `base` is None. Otherwise each run has its
    own means. `new` has shape (rounds,), and `base` (rounds of the base,). `n` has the numbers of values of base and
    new. The levels are means of the values. `pairs` are the differences of all pairs, over `questions` questions; None
    if the arms are not paired.
    """

    new: Floats
    base: Floats | None
    n: tuple[int, int]
    base_level: float
    new_level: float
    pairs: Floats | None = None
    questions: int = 0


def pair_rounds(base: "pd.Series[float]", new: "pd.Series[float]") -> RoundMeans | None:
    """Return the mean differences of paired values by round; None if there is no pair.

    The values are indexed by STRATUM_AND_ROUND, as `logs_of` returns them, and pair if their indexes are equal.
    """
    pairs = pd.concat({"base": base, "new": new}, axis=1).dropna()
    if pairs.empty:
        return None
    shifts = pairs["new"] - pairs["base"]
    differences = _round_means(shifts)
    levels = pairs.mean()
    n = (len(pairs), len(pairs))
    questions = len({*zip(*(pairs.index.get_level_values(name) for name in QUESTION), strict=True)})
    each = shifts.to_numpy(dtype=float)
    return RoundMeans(differences, None, n, float(levels["base"]), float(levels["new"]), each, questions)


def match_rounds(base: "pd.Series[float]", new: "pd.Series[float]") -> RoundMeans | None:
    """Return the means by run and round of the values minus the mean of their stratum, averaged over both runs.

    None if no stratum is in both runs. The values are indexed as for `pair_rounds`.
    """
    stratum_means = pd.concat({"base": _stratum_means(base), "new": _stratum_means(new)}, axis=1).dropna()
    if stratum_means.empty:
        return None
    middle = stratum_means.mean(axis=1)
    old, now = _residuals(base, middle), _residuals(new, middle)
    levels = stratum_means.mean()
    n = (len(old), len(now))
    return RoundMeans(_round_means(now), _round_means(old), n, float(levels["base"]), float(levels["new"]))


def logs_of(arm: Arm, column: str) -> "pd.Series[float]":
    """Return the natural logarithms of a column's timed values, by stratum and round; see `by_stratum_and_round`."""
    logs = take_logs(arm.rows[column].to_numpy(dtype=float, na_value=np.nan), column)
    known = arm.are_timed & ~np.isnan(logs)
    return by_stratum_and_round(arm.strata_and_rounds[known], logs[known])


def by_stratum_and_round(strata_and_rounds: pd.MultiIndex, values: Floats) -> "pd.Series[float]":
    """Return values indexed by stratum and round, with the mean of those that share both.

    Args:
        strata_and_rounds: stratum and round of each value, as `strata_and_rounds_of` returns them.
        values: in any unit; shape (values,).

    """
    found = pd.Series(values, index=strata_and_rounds, dtype=float)
    return found if strata_and_rounds.is_unique else found.groupby(level=STRATUM_AND_ROUND).mean()


def strata_and_rounds_of(rows: pd.DataFrame) -> pd.MultiIndex:
    """Return the stratum and the round of each row."""
    return pd.MultiIndex.from_arrays([rows[name].array for name in STRATUM_AND_ROUND], names=STRATUM_AND_ROUND)


def _stratum_means(logs: "pd.Series[float]") -> "pd.Series[float]":
    return logs.groupby(level=STRATUM).mean()


def _round_means(logs: "pd.Series[float]") -> Floats:
    return np.asarray(logs.groupby(level="block").mean(), dtype=np.float64)


def _residuals(logs: "pd.Series[float]", stratum_means: "pd.Series[float]") -> "pd.Series[float]":
    """Return each value minus the mean of its stratum, without strata that only one run has."""
    strata = pd.MultiIndex.from_arrays([logs.index.get_level_values(name) for name in STRATUM])
    return (logs - stratum_means.reindex(strata).to_numpy(dtype=float)).dropna()


MIN_CLOCK_ERROR_S = 0.001
"""Minimum clock error, assumed if a smaller one or none was measured."""

LATE_QUANTILE = 0.95
"""Quantile of the rows' client errors that represents an arm."""


def clock_error_s(base: Arm, new: Arm, of_base: Iterable[ClockError], of_new: Iterable[ClockError]) -> float:
    """Return the largest possible clock error of the difference of two arms, in seconds.

    Args:
        base: the base arm.
        new: the new arm.
        of_base: measured clock errors of the machines that sent the base arm.
        of_new: those of the machines that sent the new arm.

    """
    return _arm_clock_error_s(base.timed, of_base) + _arm_clock_error_s(new.timed, of_new)


def _arm_clock_error_s(rows: pd.DataFrame, measured_errors: Iterable[ClockError]) -> float:
    client_errors_s = rows["client_error_s"].dropna()
    known = [MIN_CLOCK_ERROR_S, *(error.ttft_p99_s for error in measured_errors)]
    if len(client_errors_s):
        known.append(float(client_errors_s.quantile(LATE_QUANTILE, interpolation="higher")))
    return max(known)
