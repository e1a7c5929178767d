"""Slow requests: those that took more than twice the median of their question.

The median is over all requests of a question that are analysed together: those of both sides of a comparison, or of all
targets of a run. A few slow requests in a hundred affect neither a median nor, hardly, a mean of logarithms, so this
module counts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.autocorrelation import IN_INTERVALS, autocorrelation, variance_inflation, with_margin
from runner.analysis.intervals import MIN_UNITS, Interval
from runner.analysis.proportions import (
    CountsByRound,
    Proportion,
    are_clustered,
    count_by_round,
    design_effect,
    wilson_interval,
)
from runner.analysis.student_t import chi_squared_quantile

QUESTION = ["case", "turn"]

SLOW = 2.0
"""Ratio to the median of its question above which a request is slow."""

TIMES = ("ttft_s", "total_s")
"""Columns by either of which a request may be slow."""

ROUNDS_DIFFER = 0.98
"""Quantile of chi-squared above which rounds differ by more than their requests explain."""

Floats = NDArray[np.float64]


def mark_slow(timed: pd.DataFrame, by: list[str], least_s: float = 0.0) -> "pd.Series[bool]":
    """Return a mask of the rows that are slow.

    Args:
        timed: all rows that enter timing statistics and are analysed together.
        by: columns that identify a question.
        least_s: minimum excess over the median in seconds, to allow for clock errors.

    """
    times = timed[[*TIMES]].astype(float)
    usual = times.groupby(_number_questions(timed, by)).transform("median")
    slow: pd.Series[bool] = ((times > SLOW * usual) & (times - usual > least_s)).any(axis=1)
    return slow


def _number_questions(timed: pd.DataFrame, by: list[str]) -> NDArray[np.intp]:
    """Return a number for each row's question. With pyarrow, pandas cannot group by names with lone surrogates."""
    numbers: dict[tuple[object, ...], int] = {}
    keys = zip(*(timed[name] for name in by), strict=True)
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), dtype=np.intp, count=len(timed))


def mean_log_times(timed: pd.DataFrame) -> "pd.Series[float]":
    """Return the mean logarithm of each row's times, NaN without any. It shows whether rounds differ."""
    times = timed[[*TIMES]].astype(float)
    logs = np.log(times.where(times > 0))
    means: pd.Series[float] = logs.mean(axis=1)
    return means


@dataclass(frozen=True, slots=True)
class SlowRounds:
    """Counts of slow requests and rank sums of all times, by round in the order of time, for one side.

    `ranks` are sums over a round's requests of their ranks among all rounds of their question, minus the mean rank;
    `variances` are the variances of these sums if rounds do not differ. Both have shape (rounds,).
    """

    counts: CountsByRound
    ranks: Floats
    variances: Floats

    @property
    def share(self) -> Proportion:
        """The share of slow requests."""
        return Proportion.of(self.counts)


def slow_rounds(rows: pd.DataFrame, by: list[str]) -> SlowRounds:
    """Return the rounds of one side.

    Args:
        rows: a row per request with `slow` (1 or 0), `time` (in any unit, NaN if unknown), `block`, and its question.
        by: columns that identify a question.

    """
    _, round_of_row = np.unique(rows["block"].to_numpy(dtype=np.int64), return_inverse=True)
    times = rows["time"].to_numpy(dtype=np.float64)
    known = ~np.isnan(times)
    question, of_round = _number_questions(rows, by)[known], round_of_row[known]
    ranks = rank_within(question, times[known])
    off: Floats = ranks - _means(question, ranks)
    rounds = int(round_of_row.max(initial=-1)) + 1
    slow, size, ranks_of_round, variances = (
        np.bincount(of, weights, rounds).astype(np.float64)
        for of, weights in (
            (round_of_row, rows["slow"].to_numpy(dtype=np.float64)),
            (round_of_row, None),
            (of_round, off),
            (of_round, _means(question, np.square(off))),
        )
    )
    return SlowRounds((slow, size), ranks_of_round, variances)


def rank_within(groups: NDArray[np.intp], values: Floats) -> Floats:
    """Return the rank of each value in its group, from 1, with the mean rank for equal ones; shape (values,)."""
    return np.asarray(pd.Series(values).groupby(groups).rank(), dtype=np.float64)


def _means(groups: NDArray[np.intp], values: Floats) -> Floats:
    """Return the mean of each value's group; shape (values,)."""
    return np.asarray(pd.Series(values).groupby(groups).transform("mean"), dtype=np.float64)


def design_effect_of_slow(*sides: SlowRounds) -> float:
    """Return the variance of a difference of shares of slow requests relative to that of independent requests.

    It is 1 unless rounds differ: in clustered slow requests, or in the times of all requests, which show a spell far
    better than the few slow ones. Otherwise it is the design effect of the counts multiplied by that of spells.
    """
    counts = [side.counts for side in sides]
    if not are_clustered(*counts) and not rounds_differ(sides):
        return 1.0
    return design_effect(*counts) * max(map(_inflation, sides))


def rounds_differ(sides: Sequence[SlowRounds]) -> bool:
    """Return whether the times of rounds differ by more than chance explains."""
    squares, degrees = map(sum, zip(*map(friedman, sides), strict=True))
    return degrees > 0 and squares > chi_squared_quantile(ROUNDS_DIFFER, degrees)


def friedman(side: SlowRounds) -> tuple[float, int]:
    """Return Friedman's chi-squared of the rounds of one side, and its degrees of freedom.

    A question that was not timed in a round adds nothing to that round's sum or variance. M. Friedman, "The Use of
    Ranks to Avoid the Assumption of Normality Implicit in the Analysis of Variance", JASA 32, 1937.
    """
    known = side.variances > 0
    rounds = int(known.sum())
    if rounds < 2:
        return 0.0, 0
    return float((side.ranks[known] ** 2 / side.variances[known]).sum()) * (rounds - 1) / rounds, rounds - 1


def _inflation(side: SlowRounds) -> float:
    """Return the variance inflation of a share by spells, from the larger autocorrelation of shares and times."""
    slow, tried = side.counts
    means = np.divide(side.ranks, side.variances, out=np.zeros_like(side.ranks), where=side.variances > 0)
    found = max(float(autocorrelation(each[None, :])[0]) for each in (slow / tried, means))
    rounds = len(slow)
    return float(variance_inflation(with_margin(np.array([found]), rounds, IN_INTERVALS), rounds)[0])


def share_of_slow(slow: "pd.Series[bool]", rounds: "pd.Series[int]") -> tuple[Proportion, Interval | None]:
    """Return the share of slow requests, and its 95 % interval; the interval is None for fewer than six rounds.

    It is Wilson's interval for the effective number of independent requests. At least one request is required.
    """
    counts = count_by_round(slow.to_numpy(), rounds.to_numpy())
    share = Proportion.of(counts)
    if len(counts[0]) < MIN_UNITS:
        return share, None
    return share, Interval(*wilson_interval(share.divided(design_effect(counts))))
