"""The difference between two pass rates over the same cases: an exact test, an interval, and the sample size needed.

Under the null hypothesis the arms could exchange their repeats of a case. The test therefore flips the signs of the
cases' differences, keeping the repeats of a case together. With one repeat it is McNemar's exact test (Q. McNemar,
"Note on the Sampling Error of the Difference Between Correlated Proportions", Psychometrika 12, 1947). The null
distribution is summed case by case, so the p-value is exact for any number of cases.
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
from runner.analysis.proportions import CountsByRound, Proportion, count_by_round, design_effect, requests_needed
from runner.analysis.significance_tests import IndependentResult, PermutationResult
from runner.checks.check_finding import CheckVerdict

Whole = NDArray[np.int64]

FINEST = 2520
"""Largest denominator of the differences of a case's shares, the least common multiple of 1 to 10. The denominator is
the least common multiple of all counts; above this limit, differences are rounded."""

MAX_STEPS = 500_000_000
"""Maximum number of additions for the null distribution; with more cases, differences are rounded to coarser shares."""

ENOUGH_FOR = 0.67
"""Share of the 36 plausible pairs of pass rates for which a number of cases must be enough. It is higher than for
requests, because the few cases of a suite show little of how similar the arms are."""

MAX_ROUNDS = 1_000
"""Maximum number of rounds to recommend."""

DECIDED = frozenset({CheckVerdict.PASSED, CheckVerdict.FAILED})


@dataclass(frozen=True, slots=True)
class PairedPasses:
    """Cases with decided repeats in both arms; `effect` is the variance inflation by rounds that fail as a whole."""

    base: CaseCounts
    new: CaseCounts
    effect: float = 1.0

    @property
    def shares(self) -> tuple[float, float]:
        """The pass rates of base and new, with equal weight for each case."""
        return float(self.base.shares.mean()), float(self.new.shares.mean())

    @property
    def independent_variance(self) -> float:
        """The sum over both arms of the variance of a single repeat."""
        return sum(share * (1 - share) for share in self.shares)


def pair_passes(base: Sequence[CheckedCell], new: Sequence[CheckedCell], *, by_round: bool) -> PairedPasses | None:
    """Return the cases with decided repeats in both arms; None if there are none.

    Args:
        base: checked cases of the base.
        new: checked cases of the new arm.
        by_round: whether to leave out repeats that are not decided in the other arm in the same round.

    """
    decided_of_new = {cell.case: _decided(cell) for cell in new}
    pairs = []
    for cell in base:
        pair = [_decided(cell), decided_of_new.get(cell.case, [])]
        if by_round:
            shared = set.intersection(*({(each.repeat, each.block) for each in repeats} for repeats in pair))
            pair = [[each for each in repeats if (each.repeat, each.block) in shared] for repeats in pair]
        if all(pair):
            pairs.append(pair)
    if not pairs:
        return None
    sides = [*zip(*pairs, strict=True)]
    old, now = (CaseCounts.of((sum(map(_has_passed, case)), len(case)) for case in side) for side in sides)
    rounds = (_count_failed(each for case in side for each in case) for side in sides)
    return PairedPasses(old, now, design_effect(*rounds))


def _decided(cell: CheckedCell) -> list[CheckedRepeat]:
    return [each for each in cell.repeats if each.verdict in DECIDED]


def _has_passed(repeat: CheckedRepeat) -> bool:
    return repeat.verdict is CheckVerdict.PASSED


def _count_failed(repeats: Iterable[CheckedRepeat]) -> CountsByRound:
    """Return the numbers of failed and of all repeats of each round, in the order of rounds."""
    marks, rounds = zip(*((float(not _has_passed(each)), each.block) for each in repeats), strict=True)
    return count_by_round(np.array(marks), np.array(rounds))


# The test


def compare_passes(passes: PairedPasses) -> PermutationResult:
    """Return the comparison of two pass rates, with equal weight for each case; its units are cases.

    If rounds fail as a whole, the p-value and the interval allow for it by the design effect of rounds.
    """
    differences, effect = passes.new.shares - passes.base.shares, passes.effect
    cases = len(differences)
    p = sign_flip_p(_integer_differences(passes))
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
    """Return the p-value of the same statistic if its variance is larger by the factor `effect`."""
    if effect <= 1 or p >= 1:
        return p
    normal = NormalDist()
    return max(p, min(1.0, 2 * normal.cdf(normal.inv_cdf(max(p, 1e-300) / 2) / math.sqrt(effect))))


def _integer_differences(passes: PairedPasses) -> Whole:
    """Return the differences of the cases' shares, new minus base, as multiples of a common unit; shape (cases,)."""
    counts = {int(each) for each in (*passes.base.decided, *passes.new.decided)}
    coarsest = max(1, MAX_STEPS // passes.base.cases**2)
    scale = min(math.lcm(*counts), FINEST, coarsest)
    return np.rint((passes.new.shares - passes.base.shares) * scale).astype(np.int64)


def sign_flip_p(differences: Whole) -> float:
    """Return the two-sided p-value of the sum of differences under all sign flips: twice the smaller tail, at most 1.

    Args:
        differences: integers; shape (cases,).

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
    """Return the 95 % interval of new minus base, combined from the intervals of both arms.

    R. Newcombe, "Improved Confidence Intervals for the Difference Between Binomial Proportions Based on Paired Data",
    Statistics in Medicine 17, 1998, method 10, with Z. Yang, X. Sun and J. Hardin, "Confidence Intervals for the
    Difference of Marginal Probabilities in Clustered Matched-Pair Binary Data", Pharmaceutical Statistics 11, 2012.
    """
    arms, (before, after) = (passes.base, passes.new), passes.shares
    old, now = (pass_interval(*arm, passes.effect) for arm in zip(arms, passes.shares, strict=True))
    between, change = correlation(passes), after - before
    low = change - _combine_errors(after - now.low, old.high - before, between)
    high = change + _combine_errors(now.high - after, before - old.low, between)
    return Interval(low, high)


def _combine_errors(one: float, other: float, between: float) -> float:
    """Return the error of a difference of two values with these errors and this correlation."""
    return math.sqrt(max(one**2 - 2 * between * one * other + other**2, 0.0))


def correlation(passes: PairedPasses) -> float:
    """Return the correlation of the cases' shares in both arms, at least 0.

    It is calculated with two more cases, one that only the base passed and one that only the new arm passed, because
    cases without a difference so far do not show that there will be none.
    """
    base, new = np.append(passes.base.shares, [0.0, 1.0]), np.append(passes.new.shares, [1.0, 0.0])
    return max(0.0, float(np.corrcoef(base, new)[0, 1]))


# The sample size needed


def cases_needed(passes: PairedPasses, least: float, level: float) -> float:
    """Return the number of similar cases, with the same number of repeats, that should decide; may be infinite.

    Args:
        passes: the observed cases.
        least: the minimum effect.
        level: significance level of the test.

    """
    cases = passes.base.cases
    base, new = (Proportion(share * cases, cases) for share in passes.shares)
    return requests_needed(base, new, _case_effect(passes), least, level, enough_for=ENOUGH_FOR)


def _case_effect(passes: PairedPasses) -> float:
    """Return the variance of a case's difference relative to that of one independent repeat of each arm."""
    if not passes.independent_variance:
        return 1.0
    arms = zip((passes.base, passes.new), passes.shares, strict=True)
    old, now = (share * (1 - share) / arm.effective for arm, share in arms)
    variance = old + now - 2 * correlation(passes) * math.sqrt(old * now)
    return passes.effect * passes.base.cases * variance / passes.independent_variance


def rounds_needed(passes: PairedPasses, least: float, level: float) -> float | None:
    """Return the number of rounds of the same cases that should decide; infinite if more repeats would not.

    The variance of a case's difference has two parts. Repeats reduce the variance within cases, but not that between
    cases. None if a case has only one repeat, which does not separate the two.
    """
    base, new = passes.base, passes.new
    if min(base.decided.min(), new.decided.min()) < 2:
        return None
    within = sum(float((arm.shares * (1 - arm.shares) / (arm.decided - 1)).mean()) for arm in (base, new))
    between = float((new.shares - base.shares).var(ddof=1)) - within if base.cases > 1 else 0.0
    independent_cases = cases_needed(passes, least, level) / _case_effect(passes)
    allowed = passes.independent_variance * base.cases / independent_cases - max(between, 0.0)
    rounds = (base.n + new.n) / (2 * base.cases)
    if allowed <= 0 or not within:
        return math.inf
    needed = max(math.ceil(passes.effect * within * rounds / allowed), math.floor(rounds) + 1)
    return needed if needed <= MAX_ROUNDS else math.inf
