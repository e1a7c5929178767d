"""Claims of one run by itself, where its rounds are too few for a verdict: on its questions, at its time and no other.

Pairs of requests are the unit in place of rounds. That is exact for this run if the targets of a case were sent
together: had they been alike, each pair could as well have come out the other way round.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from runner.analysis.intervals import Interval
from runner.analysis.permutation import PermutationResult, draws_for, holm_adjust, sign_flip_test
from runner.analysis.verdict import Rule

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A claim of the pairs of requests of one run on its questions, at its time and no other.

    `change`, its `interval` and `p` are those of a sign-flip test over all pairs of requests; p is adjusted for all
    rows that were tested so. `agreeing` of the `pairs` changed in this direction.
    """

    change: float
    interval: Interval | None
    p: float
    agreeing: int
    pairs: int
    questions: int


def claim_for_this_run(
    pairs: Mapping[Row, NDArray[np.float64]], questions: Mapping[Row, int], rule: Rule
) -> dict[Row, RunClaim]:
    """Return the claims that the pairs of some rows bear out, after Holm over all of these rows.

    Args:
        pairs: of each row the differences of logarithms, new less base.
        questions: of each row, how many questions the pairs are of.
        rule: the level, and the minimum effect of the estimate.

    """
    draws, least = draws_for(rule.alpha / max(1, len(pairs))), math.log1p(rule.min_effect)
    large = {row: each for row, each in pairs.items() if abs(float(each.mean())) >= least}
    results = {row: sign_flip_test(each, draws=draws) for row, each in large.items()}
    # A row too small to be claimed need not be tested, and counts as a test all the same.
    adjusted = holm_adjust([*(result.p for result in results.values()), *[1.0] * (len(pairs) - len(large))])
    return {
        row: _claim(result, p, large[row], questions[row])
        for (row, result), p in zip(results.items(), adjusted, strict=False)
        if p <= rule.alpha
    }


def _claim(result: PermutationResult, p: float, pairs: NDArray[np.float64], questions: int) -> RunClaim:
    interval = result.interval
    return RunClaim(
        change=math.exp(result.estimate),
        interval=None if interval is None else interval.exponential(),
        p=p,
        agreeing=int((pairs * result.estimate > 0).sum()),
        pairs=len(pairs),
        questions=questions,
    )
