"""Pass rates: the share of repeats whose checks pass, with intervals that treat the repeats of a case as a cluster.

The estimate is the share over questions like these. The repeats of a case are similar, so the cases are the sample, and
repeats add information only as far as they differ. Undecided repeats are counted separately.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runner.analysis.check_results import CheckedCell
from runner.analysis.intervals import Interval
from runner.analysis.proportions import Proportion, wilson_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CaseCounts:
    """Numbers of passed and of decided repeats of each case; both of shape (cases,), with at least one case.

    `decided` is at least 1 for every case.
    """

    passed: Floats
    decided: Floats

    @classmethod
    def of(cls, counts: Iterable[tuple[int, int]]) -> "CaseCounts":
        """Return the counts of cases from pairs of passed and decided repeats."""
        passed, decided = zip(*counts, strict=True)
        return cls(np.array(passed, dtype=float), np.array(decided, dtype=float))

    @property
    def cases(self) -> int:
        """The number of cases."""
        return len(self.decided)

    @property
    def n(self) -> int:
        """The number of decided repeats."""
        return int(self.decided.sum())

    @property
    def shares(self) -> Floats:
        """The share of passed repeats of each case; shape (cases,)."""
        shares: Floats = self.passed / self.decided
        return shares

    @cached_property
    def effective(self) -> float:
        """The effective number of independent repeats, between the number of cases and that of repeats.

        The variance between cases divided by that of independent repeats is the design effect (J. Rao and A. Scott, "A
        Simple Method for the Analysis of Clustered Binary Data", Biometrics 48, 1992). It is calculated with two more
        cases, one that always passed and one that always failed, because a few failures do not show how similar the
        repeats of a case are.
        """
        shares = np.append(self.shares, [0.0, 1.0])
        share = float(shares.mean())
        variance = float(((shares - share) ** 2).sum()) / (len(shares) - 1)
        least = float(self.decided.sum() ** 2 / (self.decided**2).sum())
        return min(max(self.cases * share * (1 - share) / variance, least), float(self.n))


def pass_interval(counts: CaseCounts, share: float, effect: float = 1.0) -> Interval:
    """Return Wilson's 95 % interval of a share, for the effective number of repeats.

    Args:
        counts: those of the cases.
        share: the estimate: the share of all repeats together, or the mean of the cases' shares.
        effect: a further design effect, by which the effective number is divided.

    """
    n = max(1.0, counts.effective / effect)
    return Interval(*wilson_interval(Proportion(share * n, n)))


@dataclass(frozen=True, slots=True)
class PassRate:
    """Share of the `n` decided repeats that passed; `n` is at least 1."""

    passed: int
    n: int
    cases: int
    """Number of cases with a decided repeat."""
    undecided: int
    """Number of undecided repeats, which are in no other count."""
    interval: Interval
    """95 % interval of the share, with the repeats of a case as a cluster."""

    @property
    def share(self) -> float:
        """The share that passed."""
        return self.passed / self.n


def measure_pass_rate(cells: Sequence[CheckedCell]) -> PassRate | None:
    """Return the pass rate of some cases of one target; None if no repeat was decided."""
    decided = [(cell.passed, cell.passed + cell.failed) for cell in cells if cell.passed + cell.failed]
    if not decided:
        return None
    counts = CaseCounts.of(decided)
    passed = sum(each for each, _ in decided)
    return PassRate(
        passed=passed,
        n=counts.n,
        cases=counts.cases,
        undecided=sum(cell.undecided for cell in cells),
        interval=pass_interval(counts, passed / counts.n),
    )
