"""Slow requests, the tail of a target: those that took more than twice as long as is usual for their question.

What is usual is the median of all requests of a question that are looked at together: of both sides of a comparison, or
of all targets of a run. A few requests in a hundred move no median and hardly a mean of logarithms; they are counted.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.intervals import FEWEST_UNITS, Interval
from runner.analysis.proportions import Proportion, design_effect, wilson_interval

QUESTION = ["case", "turn"]

SLOW = 2.0
"""How many times the median of its question a request takes that is slow."""

TIMES = ("ttft_s", "total_s")
"""A request is slow by either of these."""


def mark_slow(timed: pd.DataFrame, by: list[str], least_s: float = 0.0) -> "pd.Series[bool]":
    """Return which rows are slow.

    Args:
        timed: rows that enter timing statistics, of everything that is looked at together.
        by: the columns that name a question.
        least_s: by how much more than the median a row takes at least, for clocks that may be wrong.

    """
    times = timed[[*TIMES]].astype(float)
    usual = times.groupby(_number_questions(timed, by)).transform("median")
    slow: pd.Series[bool] = ((times > SLOW * usual) & (times - usual > least_s)).any(axis=1)
    return slow


def _number_questions(timed: pd.DataFrame, by: list[str]) -> NDArray[np.intp]:
    """Return a number for each row's question. With pyarrow, pandas could not group by names with half a character."""
    numbers: dict[tuple[object, ...], int] = {}
    keys = zip(*(timed[name] for name in by), strict=True)
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), dtype=np.intp, count=len(timed))


def mean_log_times(timed: pd.DataFrame) -> "pd.Series[float]":
    """Return the mean logarithm of each row's times, NaN where it has none: whether rounds are alike shows in it."""
    times = timed[[*TIMES]].astype(float)
    logs = np.log(times.where(times > 0))
    means: pd.Series[float] = logs.mean(axis=1)
    return means


def share_of_slow(slow: "pd.Series[bool]", rounds: "pd.Series[int]") -> tuple[Proportion, Interval | None]:
    """Return the share of slow requests, one at least given, with its 95 % interval; None for fewer than six rounds.

    Wilson's interval, of as many independent requests as say as much as these do in their rounds.
    """
    by_round = slow.groupby(rounds.to_numpy()).agg(["sum", "count"]).sort_index()
    counts = (by_round["sum"].to_numpy(dtype=float), by_round["count"].to_numpy(dtype=float))
    share = Proportion(float(counts[0].sum()), float(counts[1].sum()))
    if len(by_round) < FEWEST_UNITS:
        return share, None
    return share, Interval(*wilson_interval(share.divided(design_effect(counts))))
