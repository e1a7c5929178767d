"""The difference of two pass rates over the same cases: an exact test, its interval, and the sample that would decide.

Had both arms been alike on a case, each could as well have had the other's repeats of it. So the signs of the cases'
differences are exchanged, all of a case's repeats together: with one repeat that is McNemar's exact test (Q. McNemar,
"Note on the Sampling Error of the Difference Between Correlated Proportions", Psychometrika 12, 1947). The null
distribution is added up case by case, so that p is exact whatever their number.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from runner.analysis.autocorrelation import ALIKE
from runner.analysis.check_results import CheckedCell, CheckedRepeat
from runner.analysis.intervals import Interval
from runner.analysis.pass_rate import CaseCounts, pass_interval
from runner.analysis.permutation import IndependentResult, PermutationResult
from runner.analysis.proportions import CountsByRound, Proportion, count_by_round, design_effect, requests_needed
from runner.checks.check_finding import CheckVerdict

Whole = NDArray[np.int64]

FINEST = 2520
"""Differences of a case's shares are multiples of one over the least common multiple of all counts, or rounded to this:
that of 1 to 10."""

MOST_STEPS = 500_000_000
"""Of so many cases that the sum would take more additions, differences are rounded to coarser shares."""

ENOUGH_FOR = 0.67
"""Of a pilot's 36 plausible pairs of pass rates, for how many a number of cases is to be enough: more than of requests,
since a suite has few cases, which show little of how alike the arms are."""

MOST_ROUNDS = 1_000
"""More repeats are never recommended."""

DECIDED = frozenset({CheckVerdict.PASSED, CheckVerdict.FAILED})


@dataclass(frozen=True, slots=True)
class PairedPasses:
    """The cases that both arms have decided repeats of, and how much rounds that fail as a whole inflate a variance."""

    base: CaseCounts
    new: CaseCounts
    effect: float = 1.0

    @property
    def shares(self) -> tuple[float, float]:
        """The pass rates of base and new, each case weighing the same."""
        return float(self.base.shares.mean()), float(self.new.shares.mean())

    @property
    def independent_variance(self) -> float:
        """The sum of the variances that a single repeat of each arm would have."""
        return sum(share * (1 - share) for share in self.shares)


def pair_passes(base: Sequence[CheckedCell], new: Sequence[CheckedCell], *, by_round: bool) -> PairedPasses | None:
    """Return the cases that both arms have decided repeats of; None if there are none.

    Args:
        base: the checked cases of the base.
        new: those of the new arm.
        by_round: leave out a repeat that the other arm has not decided in the same round.

    """
    theirs = {cell.case: cell for cell in new}
    sides: tuple[list[list[CheckedRepeat]], list[list[CheckedRepeat]]] = ([], [])
    for cell in base:
        pair = [_decided(each) for each in (cell, theirs.get(cell.case)) if each is not None]
        if by_round and len(pair) == 2:
            shared = {(each.repeat, each.block) for each in pair[0]} & {(each.repeat, each.block) for each in pair[1]}
            pair = [[each for each in repeats if (each.repeat, each.block) in shared] for repeats in pair]
        if len(pair) == 2 and all(pair):
            for side, repeats in zip(sides, pair, strict=True):
                side.append(repeats)
    if not sides[0]:
        return None
    old, now = (CaseCounts.of((sum(map(_has_passed, case)), len(case)) for case in side) for side in sides)
    rounds = (_count_failed(each for case in side for each in case) for side in sides)
    return PairedPasses(old, now, design_effect(*rounds))


def _decided(cell: CheckedCell) -> list[CheckedRepeat]:
    return [each for each in cell.repeats if each.verdict in DECIDED]


def _has_passed(repeat: CheckedRepeat) -> bool:
    return repeat.verdict is CheckVerdict.PASSED


def _count_failed(repeats: Iterable[CheckedRepeat]) -> CountsByRound:
    """Return how many repeats of each round failed, and how many there were, in the order of rounds."""
    marks, rounds = zip(*((float(not _has_passed(each)), each.block) for each in repeats), strict=True)
    return count_by_round(np.array(marks), np.array(rounds))


# The test


def compare_passes(passes: PairedPasses) -> PermutationResult:
    """Return the comparison of two pass rates, each case weighing the same; its units are cases.

    Where rounds fail as a whole, p and the interval allow for that by the design effect of rounds.
    """
    differences, effect = passes.new.shares - passes.base.shares, passes.effect
    cases = len(differences)
    p = flip_p(_whole_differences(passes))
    return PermutationResult(
        estimate=float(differences.mean()),
        p=_inflate(p, effect),
        smallest_p=min(1.0, 2.0 ** (1 - cases)),
        spread=math.sqrt(effect * float(differences.var(ddof=1))) if cases > 1 else 0.0,
        units=cases,
        interval=difference_interval(passes),
        autocorrelated=effect >= ALIKE,
        constant=not differences.any(),
        independent=IndependentResult(p, difference_interval(replace(passes, effect=1.0))) if effect > 1 else None,
    )


def _inflate(p: float, effect: float) -> float:
    """Return the p-value that the statistic has if its variance is larger by a factor."""
    if effect <= 1 or p >= 1:
        return p
    normal = NormalDist()
    return max(p, min(1.0, 2 * normal.cdf(normal.inv_cdf(max(p, 1e-300) / 2) / math.sqrt(effect))))


def _whole_differences(passes: PairedPasses) -> Whole:
    """Return the differences of the cases' shares as multiples of one small share; shape (cases,)."""
    counts = {int(each) for each in (*passes.base.decided, *passes.new.decided)}
    coarsest = max(1, MOST_STEPS // passes.base.cases**2)
    scale = min(math.lcm(*counts), FINEST, coarsest)
    return np.rint((passes.new.shares - passes.base.shares) * scale).astype(np.int64)


def flip_p(differences: Whole) -> float:
    """Return the two-sided p-value of the sum of differences under all exchanges of signs: twice the smaller tail.

    Args:
        differences: whole numbers; shape (cases,).

    """
    sizes = np.abs(differences[differences != 0])
    if not len(sizes):
        return 1.0
    sizes //= np.gcd.reduce(sizes)
    ways = np.ones(1)
    for size in np.sort(sizes).tolist():
        longer = np.zeros(len(ways) + size)
        longer[: len(ways)] = ways / 2
        longer[size:] += ways / 2
        ways = longer
    at = int(sizes[differences[differences != 0] > 0].sum())
    return min(1.0, 2 * min(float(ways[: at + 1].sum()), float(ways[at:].sum())))


def difference_interval(passes: PairedPasses) -> Interval:
    """Return the 95 % interval of new less base, by the two arms' own.

    R. Newcombe, "Improved Confidence Intervals for the Difference Between Binomial Proportions Based on Paired Data",
    Statistics in Medicine 17, 1998, method 10, with Z. Yang, X. Sun and J. Hardin, "Confidence Intervals for the
    Difference of Marginal Probabilities in Clustered Matched-Pair Binary Data", Pharmaceutical Statistics 11, 2012.
    """
    arms, (before, after) = (passes.base, passes.new), passes.shares
    old, now = (pass_interval(*arm, passes.effect) for arm in zip(arms, passes.shares, strict=True))
    between, change = correlation(passes), after - before
    low = change - _join_errors(after - now.low, old.high - before, between)
    high = change + _join_errors(now.high - after, before - old.low, between)
    return Interval(low, high)


def _join_errors(one: float, other: float, between: float) -> float:
    """Return the error of a difference of which the parts have these errors, and this correlation."""
    return math.sqrt(max(one**2 - 2 * between * one * other + other**2, 0.0))


def correlation(passes: PairedPasses) -> float:
    """Return how much the cases' shares of both arms go together, from 0 to 1.

    It is taken with one more case that only the one arm passed, and one that only the other did: that no case tells the
    arms apart so far does not show that none will.
    """
    base, new = np.append(passes.base.shares, [0.0, 1.0]), np.append(passes.new.shares, [1.0, 0.0])
    return max(0.0, float(np.corrcoef(base, new)[0, 1]))


# The sample that would decide


def cases_needed(passes: PairedPasses, least: float, level: float) -> float:
    """Return how many cases like these, with as many repeats each, should be enough to decide; may be infinite.

    Args:
        passes: those at hand.
        least: the minimum effect.
        level: of the test.

    """
    cases = passes.base.cases
    base, new = (Proportion(share * cases, cases) for share in passes.shares)
    return requests_needed(base, new, _case_effect(passes), least, level, enough_for=ENOUGH_FOR)


def _case_effect(passes: PairedPasses) -> float:
    """Return the variance of a case's difference as a multiple of that of one independent repeat of each arm."""
    if not passes.independent_variance:
        return 1.0
    arms = zip((passes.base, passes.new), passes.shares, strict=True)
    old, now = (share * (1 - share) / arm.effective for arm, share in arms)
    variance = old + now - 2 * correlation(passes) * math.sqrt(old * now)
    return passes.effect * passes.base.cases * variance / passes.independent_variance


def rounds_needed(passes: PairedPasses, least: float, level: float) -> float | None:
    """Return how many rounds of the same cases should be enough; infinite if more repeats would not decide.

    The variance of a case's difference has a part that further repeats divide, and one that they leave: how much more
    the arms differ on some cases than on others. None where a case has one repeat, which does not tell the two apart.
    """
    base, new = passes.base, passes.new
    if min(base.decided.min(), new.decided.min()) < 2:
        return None
    within = sum(float((arm.shares * (1 - arm.shares) / (arm.decided - 1)).mean()) for arm in (base, new))
    between = float((new.shares - base.shares).var(ddof=1)) - within if base.cases > 1 else 0.0
    independent_cases = cases_needed(passes, least, level) / _case_effect(passes)
    room = passes.independent_variance * base.cases / independent_cases - max(between, 0.0)
    rounds = (base.n + new.n) / (2 * base.cases)
    if room <= 0 or not within:
        return math.inf
    needed = max(math.ceil(passes.effect * within * rounds / room), math.floor(rounds) + 1)
    return needed if needed <= MOST_ROUNDS else math.inf
