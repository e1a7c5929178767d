"""The lead of one target of a run over another in pairs of requests, reported as "ahead in k of n"."""

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.dataframe import NO_ROWS, has_none_of, is_in_latencies, plain_cells, positions_by_target
from runner.analysis.diff import Difference, diff_within
from runner.analysis.diff_verdict import MIN_EFFECT, Rule
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.run_results import Run

_PAIR = ["case", "turn", "block"]

_TESTED: WeakKeyDictionary[Run, dict[tuple[str, str, int], Difference]] = WeakKeyDictionary()
"""Cached comparisons of each run, since its tables, its page and the terminal need the same ones."""


@dataclass(frozen=True, slots=True)
class PairedLead:
    """Lead of a first target over another in `pairs` of requests of the same case, turn and round.

    Within one place, both requests of a pair are also from the same node. `ratio` is the geometric mean of the other
    target's time divided by the first one's. `ahead` is the number of pairs in which the first target was faster.
    """

    ratio: float
    ahead: int
    pairs: int

    @property
    def matters(self) -> bool:
        """Whether the first led by the minimum effect and in most pairs, which may still be due to chance."""
        return self.ratio >= 1 + MIN_EFFECT and 2 * self.ahead > self.pairs


def paired_lead(table: pd.DataFrame, first: MeasuredTarget, other: MeasuredTarget, column: str) -> PairedLead | None:
    """Return the lead of one target over another in a column of seconds; None if no pair has both values."""
    counted = is_in_latencies(table) & has_none_of(table, "warmup")
    of_target = positions_by_target(table)
    # Different places have no node in common.
    pair = [*_PAIR, "node"] if first.place == other.place else _PAIR
    rows = (of_target.get(target, NO_ROWS) for target in (first, other))
    ours, theirs = (_seconds(table, of_one[counted[of_one]], column, pair) for of_one in rows)
    ratios = [theirs[place] / ours[place] for place in ours if place in theirs]
    if not ratios:
        return None
    ratio = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
    return PairedLead(ratio, sum(each > 1 for each in ratios), len(ratios))


def diff_to_fastest(run: Run, fastest: str, other: str, ranked: int) -> Difference:
    """Return the difference in time between a target and the fastest of `ranked` targets.

    The fastest target was selected by the data, so the significance level is divided by the number of all pairs.

    Raises:
        CompareError: as for `diff_within`.

    """
    tested = _TESTED.setdefault(run, {})
    if (fastest, other, ranked) not in tested:
        rule = Rule(alpha=Rule().alpha / max(ranked * (ranked - 1) // 2, 1), measures=("ttft_s", "total_s"))
        tested[fastest, other, ranked] = diff_within(run, fastest, other, rule, with_replies=False)
    return tested[fastest, other, ranked]


def _seconds(
    table: pd.DataFrame, rows: NDArray[np.intp], column: str, pair: list[str]
) -> dict[tuple[object, ...], float]:
    """Return a column's positive values by the place of their requests in the plan; the mean for repeated places.

    It does not use `groupby`, whose index rejects the lone surrogates that a name may contain.
    """
    seconds = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
    known = rows[seconds[rows] > 0]
    places = zip(*(plain_cells(table[name].take(known)) for name in pair), strict=True)
    values: dict[tuple[object, ...], list[float]] = {}
    for place, value in zip(places, seconds[known].tolist(), strict=True):
        values.setdefault(place, []).append(value)
    return {place: math.fsum(of_place) / len(of_place) for place, of_place in values.items()}
