"""Worlds of pass rates, for gates and intervals: cases are easy or hard, and their repeats are correlated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.diff_measures import Better
from runner.analysis.diff_verdict import Criteria, Decision, Rule, decide
from runner.analysis.intervals import LEVEL
from runner.analysis.pass_rate import CaseCounts, pass_interval
from runner.analysis.pass_rate_diff import PairedPasses, cases_needed, compare_passes
from runner.analysis.proportions import design_effect
from runner.analysis.significance_tests import fewest_pairs

Floats = NDArray[np.float64]

Z = float(stats.norm.ppf((1 + LEVEL) / 2))


@dataclass(frozen=True, slots=True)
class PassWorld:
    """Cases whose own pass rates are beta-distributed around `share`; `alike` is the correlation of their repeats."""

    share: float
    alike: float

    def passed(self, rng: np.random.Generator, runs: int, cases: int, repeats: int) -> Floats:
        """Return the number of repeats that passed; shape (runs, cases)."""
        if self.alike in {0.0, 1.0}:
            rates = np.full((runs, cases), self.share) if not self.alike else rng.random((runs, cases)) < self.share
        else:
            size = 1 / self.alike - 1
            rates = rng.beta(self.share * size, (1 - self.share) * size, (runs, cases))
        return rng.binomial(repeats, rates).astype(float)


def coverage_of_intervals(rng: np.random.Generator, world: PassWorld, cases: int, repeats: int, runs: int) -> int:
    """Return the number of runs whose interval of the pass rate contains the true one."""
    decided = np.full(cases, float(repeats))
    passed = world.passed(rng, runs, cases, repeats)
    return sum(world.share in pass_interval(CaseCounts(each, decided), each.sum() / decided.sum()) for each in passed)


@dataclass(frozen=True, slots=True)
class PairWorld:
    """Two arms with these pass rates over the same cases, on the probit scale.

    `spread` is the standard deviation of the easiness of cases, 0 if all are equally easy; the share `common` of its
    variance is the same for both arms. In a share `outages` of rounds all repeats of the new arm fail.
    """

    name: str
    shares: tuple[float, float]
    spread: float = 1.0
    common: float = 0.9
    outages: float = 0.0

    def passed(self, rng: np.random.Generator, runs: int, cases: int, repeats: int) -> tuple[Floats, Floats]:
        """Return whether each repeat passed, for both arms; shape (runs, cases, repeats)."""
        ease = np.sqrt(self.common) * rng.standard_normal((runs, cases))
        arms = []
        for share in self.shares:
            own = np.sqrt(1 - self.common) * rng.standard_normal((runs, cases))
            middle = stats.norm.ppf(share) * np.hypot(1, self.spread)
            rates = stats.norm.cdf(middle + self.spread * (ease + own))[:, :, None]
            arms.append((rng.random((runs, cases, repeats)) < rates).astype(float))
        arms[1] *= rng.random((runs, 1, repeats)) >= self.outages
        return arms[0], arms[1]


def paired(base: Floats, new: Floats) -> PairedPasses:
    """Return the cases of one run in which each repeat was decided; shape (cases, repeats) for each arm."""
    cases, repeats = base.shape
    decided, of_round = np.full(cases, float(repeats)), np.full(repeats, float(cases))
    effect = design_effect(*((cases - arm.sum(axis=0), of_round) for arm in (base, new)))
    return PairedPasses(CaseCounts(base.sum(axis=1), decided), CaseCounts(new.sum(axis=1), decided), effect)


def judge_passes(base: Floats, new: Floats, *, is_pilot: bool = False) -> list[Decision]:
    """Return the decision on the pass rate of each gate; shape (gates, cases, repeats).

    Only the decisions of pilots have the needed number of cases.
    """
    return [_judge(paired(old, now), is_pilot=is_pilot) for old, now in zip(base, new, strict=True)]


def _judge(passes: PairedPasses, *, is_pilot: bool) -> Decision:
    rule, result = Rule(), compare_passes(passes)

    def needed(least: float, level: float) -> float:
        return cases_needed(passes, least, level) if is_pilot else float("inf")

    criteria = Criteria(
        rule.min_pass_change, rule.alpha, rule.alpha, Better.HIGHER, True, fewest_pairs, needed, is_bound=False
    )
    return decide(result, result.p, criteria)


AT_MOST_1, UNKNOWN = (0.0, 0.015), (0.0, 1.0)

SIZES = ((10, 1), (10, 10), (20, 3), (50, 1), (50, 3), (50, 10), (100, 3), (300, 1), (300, 10))
"""Pairs of the number of cases and the number of repeats."""

NOTHING_CHANGED = (
    PairWorld("both pass 80 %, cases alike", (0.8, 0.8), spread=0.0),
    PairWorld("both pass 80 %, cases differ", (0.8, 0.8), spread=1.0, common=0.9),
    PairWorld("both pass 80 %, each fails on other cases", (0.8, 0.8), spread=3.0, common=0.5),
    PairWorld("both pass 98 %, cases differ", (0.98, 0.98), spread=1.0, common=0.9),
)
JUST_RELEVANT = (
    PairWorld("90 % and 85 %, cases differ, called unchanged", (0.9, 0.85)),
    PairWorld("60 % and 55 %, nearly the same cases, called unchanged", (0.6, 0.55), spread=8.0, common=0.97),
)
WORSE = PairWorld("90 % and 75 %, cases differ", (0.9, 0.75))
OUT = PairWorld("both pass 90 %, one target out in 10 % of rounds", (0.9, 0.9), outages=0.1)
PILOTS = (
    PairWorld("90 % and 90 %", (0.9, 0.9)),
    PairWorld("100 % and 100 %", (1 - 1e-12, 1 - 1e-12), spread=0.0),
    PairWorld("90 % and 80 %", (0.9, 0.8)),
    PairWorld("80 % and 60 %", (0.8, 0.6)),
)
