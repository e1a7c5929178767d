"""Pass rates: the share of repeats whose checks pass, with intervals that take the repeats of a case as one cluster.

What is estimated is the share over questions like these. The repeats of a case resemble one another, so that the cases
are the sample, and repeats say more only as far as they differ. Undecided repeats are in no share; they are counted.
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
    """The repeats of each case that passed, and those that were decided; both of shape (cases,), at least one case.

    `decided` is at least 1 for every case.
    """

    passed: Floats
    decided: Floats

    @classmethod
    def of(cls, counts: Iterable[tuple[int, int]]) -> "CaseCounts":
        """Return the counts of cases from pairs of passed and decided."""
        passed, decided = zip(*counts, strict=True)
        return cls(np.array(passed, dtype=float), np.array(decided, dtype=float))

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len(self.decided)

    @property
    def n(self) -> int:
        """Number of decided repeats."""
        return int(self.decided.sum())

    @property
    def shares(self) -> Floats:
        """The share of each case; shape (cases,)."""
        shares: Floats = self.passed / self.decided
        return shares

    @cached_property
    def effective(self) -> float:
        """As many independent repeats as say as much: between the number of cases and that of repeats.

        The variance between cases over that of independent repeats is the design effect (J. Rao and A. Scott, "A Simple
        Method for the Analysis of Clustered Binary Data", Biometrics 48, 1992). It is taken with one more case that
        passed always, and one that failed always: where hardly any repeat failed, nothing shows how alike those of a
        case are.
        """
        shares = np.append(self.shares, [0.0, 1.0])
        share = float(shares.mean())
        variance = float(((shares - share) ** 2).sum()) / (len(shares) - 1)
        least = float(self.decided.sum() ** 2 / (self.decided**2).sum())
        return min(max(self.cases * share * (1 - share) / variance, least), float(self.n))


def pass_interval(counts: CaseCounts, share: float, effect: float = 1.0) -> Interval:
    """Return Wilson's 95 % interval of a share of these repeats, as if there were only the effective ones.

    Args:
        counts: of the cases.
        share: the estimate; that of all repeats together, or the mean of those of cases.
        effect: a further design effect by which the repeats are divided.

    """
    n = max(1.0, counts.effective / effect)
    return Interval(*wilson_interval(Proportion(share * n, n)))


@dataclass(frozen=True, slots=True)
class PassRate:
    """The share of repeats of cases with checks that passed, of the `n` that were decided; n is at least 1."""

    passed: int
    n: int
    cases: int
    """The cases that have a decided repeat."""
    undecided: int
    """Repeats of which the checks decide nothing; they are in no other count."""
    interval: Interval
    """The 95 % interval of the share, with the repeats of a case as one cluster."""

    @property
    def share(self) -> float:
        """The share that passed."""
        return self.passed / self.n


def measure_pass_rate(cells: Sequence[CheckedCell]) -> PassRate | None:
    """Return the pass rate of some cases of one target; None where no repeat was decided."""
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
