"""Permutation tests of a shift, their confidence intervals, and Holm's correction for several tests.

Paired units have a sign-flip test: under the null hypothesis both signs of each difference are equally likely. Unpaired
units have a two-sample test: under the null hypothesis each unit is equally likely to come from either run. Both tests
and both intervals follow from one fact. If some units change sides, the test statistic is at least as high as observed
if and only if the mean shift of the moved units is at most the shift under test. So the p-value is a share of such
means, and the ends of the interval are two of them (J. Hartigan, "Using Subsample Values as Typical Values", JASA 64,
1969). The tests are exact if all permutations can be enumerated. Otherwise permutations are drawn with a fixed seed,
and the observed one is included, which keeps the test valid (B. Phipson and G. Smyth, "Permutation P-values Should
Never Be Zero", Statistical Applications in Genetics and Molecular Biology 9, 2010).

The estimate of the shift is the difference of means. For logarithms it is the logarithm of the ratio of geometric
means.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

from runner.analysis.autocorrelation import raw_autocorrelation
from runner.analysis.intervals import LEVEL, Interval

MAX_ENUMERATED = 20_000
"""Maximum number of permutations to enumerate: enough for 14 pairs, or for 8 units against 8."""

COARSE, FINE, FINE_BELOW = 1_999, 99_999, 0.02
"""Number of random permutations for a first p-value, that for a p-value that may matter, and the largest such p-value.
The second p-value replaces the first, so the choice between the two is not a second chance to reject."""

MAX_DRAWS, FINEST_BELOW = 10_000_000, 0.001
"""Maximum number of random permutations, and the largest p-value for which a test draws more than FINE if its level
needs it."""

INTERVAL_DRAWS = 9_999
"""Number of random permutations for an interval."""

TOLERANCE = 1e-12
"""Largest difference of two units, which are logarithms, that are equal except for rounding."""

_CHUNK = 2_000_000
"""Number of cells in a batch of random permutations."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SignFlips:
    """Permutations of paired arms, which swap the arms of any subset of `pairs`."""

    pairs: int

    @property
    def units(self) -> int:
        """The number of pairs."""
        return self.pairs

    @property
    def count(self) -> int:
        """The number of subsets of the pairs."""
        return int(2**self.pairs)

    def list_all(self) -> Floats:
        """Return all subsets, the observed one first, with 1 for each swapped pair; shape (count, pairs)."""
        bits = np.arange(self.count)[:, None] >> np.arange(self.pairs)
        return (bits & 1).astype(float)

    def draw(self, rng: np.random.Generator, size: int) -> Floats:
        """Return random subsets, which swap each pair with probability 1/2; shape (size, pairs)."""
        tosses = np.frombuffer(rng.bytes(-(-size * self.pairs // 8)), dtype=np.uint8)
        return np.unpackbits(tosses, count=size * self.pairs).reshape(size, self.pairs).astype(float)


@dataclass(frozen=True)
class Relabellings:
    """Permutations of the units of two runs, those of the base first, which keep the number of units of each run."""

    base: int
    new: int

    @property
    def units(self) -> int:
        """The number of units of both runs."""
        return self.base + self.new

    @property
    def count(self) -> int:
        """The number of ways to choose the units of the new run."""
        return math.comb(self.units, self.new)

    @cached_property
    def _is_new(self) -> NDArray[np.int8]:
        return np.repeat(np.array([0, 1], dtype=np.int8), (self.base, self.new))

    def list_all(self) -> Floats:
        """Return all choices, the observed one first; shape (count, units).

        A cell is 1 for a unit that moves from new to base, -1 for one that moves from base to new, else 0.
        """
        every = chain.from_iterable(combinations(reversed(range(self.units)), self.new))
        chosen = np.fromiter(every, dtype=np.intp, count=self.count * self.new).reshape(self.count, self.new)
        labels = np.zeros((self.count, self.units), dtype=np.int8)
        np.put_along_axis(labels, chosen, 1, axis=1)
        permutations: Floats = np.subtract(self._is_new, labels, dtype=float)
        return permutations

    def draw(self, rng: np.random.Generator, size: int) -> Floats:
        """Return random choices; shape (size, units), with cells as in `list_all`."""
        labels = rng.permuted(np.broadcast_to(self._is_new, (size, self.units)), axis=1)
        permutations: Floats = np.subtract(self._is_new, labels, dtype=float)
        return permutations


Permutations = SignFlips | Relabellings
"""Permutations of units, as an array of shape (permutations, units).

A row is one permutation: 0 for a unit that stays on its side, else its sign in the sum of shifts.
"""


@dataclass(frozen=True, slots=True)
class IndependentResult:
    """The p-value and the interval that assume independent rounds."""

    p: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """Estimate of a shift, its confidence interval, and the p-value of no shift.

    `smallest_p` is the smallest p-value that this number of units can reach. `spread` divided by the square root of the
    number of units of an arm approximates the standard error. `interval` is None if there are too few units.
    `autocorrelated` is true if neighbouring units are more similar than chance explains. If p and interval allow for
    that, `independent` has the values that do not. `constant` is true if all units are equal, so that there is nothing
    to test and p is 1.
    """

    estimate: float
    p: float
    smallest_p: float
    spread: float
    units: int
    interval: Interval | None
    autocorrelated: bool = False
    constant: bool = False
    independent: IndependentResult | None = None


def sign_flip_test(differences: Floats, draws: int = FINE) -> PermutationResult:
    """Return the result of the paired sign-flip permutation test.

    R. Fisher, "The Design of Experiments", 1935, chapter III.

    Args:
        differences: new minus base of each unit, as logarithms in the order of time; shape (units,), at least one.
        draws: number of random permutations if there are too many to enumerate; see `draws_for`.

    """
    flips = SignFlips(len(differences))
    return PermutationResult(
        estimate=float(differences.mean()),
        p=float(p_values(differences[None, :], flips, draws)[0]),
        smallest_p=smallest_p(flips, draws),
        spread=_standard_deviation(differences),
        units=len(differences),
        interval=confidence_interval(differences, flips),
        autocorrelated=is_autocorrelated(differences),
        constant=bool(np.abs(differences).max() <= TOLERANCE),
    )


def two_sample_test(base: Floats, new: Floats, draws: int = FINE) -> PermutationResult:
    """Return the result of the two-sample permutation test of a difference of means.

    E. Pitman, "Significance Tests Which May be Applied to Samples From any Populations", Supplement to the Journal of
    the Royal Statistical Society 4, 1937.

    Args:
        base: units of the base, in the order of time; shape (units of the base,), at least one.
        new: units of the new run, in the order of time; shape (units of the new run,), at least one.
        draws: number of random permutations if there are too many to enumerate; see `draws_for`.

    Returns:
        the result; its `units` is that of the smaller run.

    """
    relabellings, values = Relabellings(len(base), len(new)), np.concatenate([base, new])
    return PermutationResult(
        estimate=float(new.mean() - base.mean()),
        p=float(p_values(values[None, :], relabellings, draws)[0]),
        smallest_p=smallest_p(relabellings, draws),
        spread=math.hypot(_standard_deviation(base), _standard_deviation(new)),
        units=min(len(base), len(new)),
        interval=confidence_interval(values, relabellings),
        autocorrelated=is_autocorrelated(base) or is_autocorrelated(new),
        constant=_all_equal(values),
    )


def is_autocorrelated(units: Floats) -> bool:
    """Return whether the lag-1 autocorrelation exceeds two standard errors of white noise, 2 / sqrt(n).

    M. Bartlett, "On the Theoretical Specification and Sampling Properties of Autocorrelated Time-Series", Supplement to
    the Journal of the Royal Statistical Society 8, 1946.

    Args:
        units: in the order of time; shape (units,), at least one.

    """
    return not _all_equal(units) and float(raw_autocorrelation(units[None, :])[0]) > 2 / math.sqrt(len(units))


def _all_equal(values: Floats) -> bool:
    return bool(np.ptp(values) <= TOLERANCE)


def _standard_deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def draws_for(share: float) -> int:
    """Return the number of random permutations for a test at a level: 10 / `share`, limited to FINE and MAX_DRAWS."""
    return min(MAX_DRAWS, max(FINE, math.ceil(10 / share)))


def smallest_p(permutations: Permutations, draws: int = FINE) -> float:
    """Return the smallest two-sided p-value that these permutations can reach."""
    enumerated = permutations.count <= MAX_ENUMERATED
    return min(1.0, max(2 / permutations.count, 0 if enumerated else 2 / (draws + 1)))


def fewest_pairs(share: float) -> int | None:
    """Return the minimum number n of pairs that can reach p = 2 / 2^n <= share; None if no number can."""
    return max(2, math.ceil(math.log2(2 / share))) if _is_reachable(share) else None


def fewest_of_two_samples(share: float) -> int | None:
    """Return the minimum number n of units on each side that can reach p = 2 / C(2n, n) <= share; None if none can.

    They reach it if all units of one side exceed those of the other, or all of one side failed and none of the other.
    """
    if not _is_reachable(share):
        return None
    units = 1
    while 2 / math.comb(2 * units, units) > share:
        units += 1
    return units


def _is_reachable(share: float) -> bool:
    return share >= 2 / (MAX_DRAWS + 1)


def p_values(rows: Floats, permutations: Permutations, draws: int = FINE) -> Floats:
    """Return the two-sided p-values of no shift: twice the smaller tail, at most 1.

    Args:
        rows: one experiment per row; shape (rows, units).
        permutations: those of the units of a row.
        draws: number of random permutations if there are too many to enumerate, at least FINE.

    Returns:
        shape (rows,).

    """
    if permutations.count <= MAX_ENUMERATED:
        return _two_sided(rows, iter([permutations.list_all()]))
    found = _two_sided(rows, _draw_batches(permutations, COARSE))
    for size, below in ((FINE, FINE_BELOW), *([(draws, FINEST_BELOW)] if draws > FINE else [])):
        may_matter = found <= below
        if may_matter.any():
            found[may_matter] = _two_sided(rows[may_matter], _draw_batches(permutations, size))
    return found


def _two_sided(rows: Floats, batches: Iterator[Floats]) -> Floats:
    """Return p-values of shape (rows,), from batches of permutations that include the observed one."""
    tolerance = 1e-12 * np.abs(rows).sum(axis=1)
    low = high = np.zeros(len(rows))
    count = 0
    for batch in batches:
        sums = batch @ rows.T
        low, high = low + (sums <= tolerance).sum(axis=0), high + (sums >= -tolerance).sum(axis=0)
        count += len(batch)
    return np.minimum(1.0, 2 * np.minimum(low, high) / count)


def _draw_batches(permutations: Permutations, size: int) -> Iterator[Floats]:
    """Yield the observed permutation, then random ones with a fixed seed, in batches that fit into memory."""
    yield np.zeros((1, permutations.units))
    step = max(1, _CHUNK // permutations.units)
    if size <= step:
        yield _draw_kept(permutations, size).astype(float)
        return
    rng = np.random.default_rng(size)
    for start in range(0, size, step):
        yield permutations.draw(rng, min(step, size - start))


@lru_cache(maxsize=4)
def _draw_kept(permutations: Permutations, size: int) -> NDArray[np.int8]:
    """Return random permutations as `draw` does; targets and measures of a run that have as many units share them."""
    return permutations.draw(np.random.default_rng(size), size).astype(np.int8)


def confidence_interval(units: Floats, permutations: Permutations) -> Interval | None:
    """Return the interval of the shifts that the test does not reject at 5 %; None if it cannot reject any.

    The test is inverted without a search: the ends are order statistics of the mean shifts (Hartigan, see the module).

    Args:
        units: differences of pairs, or values of both runs, those of the base first; shape (units,).
        permutations: those of these units.

    """
    enumerated = permutations.count <= MAX_ENUMERATED
    batches = iter([permutations.list_all()]) if enumerated else _draw_batches(permutations, INTERVAL_DRAWS)
    means = np.sort(np.concatenate([_mean_shifts(batch, units) for batch in batches]))
    count = permutations.count if enumerated else INTERVAL_DRAWS + 1
    # A permutation that moves no unit has no mean; it counts on both sides of every shift.
    without_mean = count - len(means)
    rank = math.floor((1 - LEVEL) / 2 * count * (1 + 1e-12)) - without_mean
    return Interval(float(means[rank]), float(means[-1 - rank])) if 0 <= rank < len(means) else None


def _mean_shifts(batch: Floats, units: Floats) -> Floats:
    """Return the mean shift of the moved units, for each permutation that moves any; shape (permutations,)."""
    moved = np.abs(batch).sum(axis=1)
    # Between two runs, equal numbers of units move each way, so each exchange of two units is one shift.
    shifts = np.where((batch < 0).any(axis=1), moved / 2, moved)
    means: Floats = (batch[moved > 0] @ units) / shifts[moved > 0]
    return means


def holm_adjust(p: list[float]) -> list[float]:
    """Return p-values adjusted by Holm's method, which limits the probability of any false rejection at alpha to alpha.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, reached = [0.0] * len(p), 0.0
    for rank, at in enumerate(order):
        reached = max(reached, min(1.0, p[at] * (len(p) - rank)))
        adjusted[at] = reached
    return adjusted
