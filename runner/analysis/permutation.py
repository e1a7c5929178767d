"""Tests that exchange what chance could have exchanged: the p-value of a shift, and the interval that belongs to it.

Paired units: had both arms been alike, each difference could as well have had the other sign. Unpaired units: each
could as well have come from the other run. Both tests and both intervals follow from one fact. Let some units change
sides: the test's statistic comes out at least as high as it was if, and only if, the mean shift among those that moved
is at most the shift in question. So p is a share of such means, and the interval lies between two of them (J. Hartigan,
"Using subsample values as typical values", JASA 64, 1969). Exact while all ways can be listed, else by seeded random
ones with the way things are among them, which keeps the test valid (B. Phipson and G. Smyth, "Permutation p-values
should never be zero", 2010).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runner.analysis.intervals import LEVEL, Interval

MOST_LISTED = 20_000
"""Ways to exchange that are listed one by one: 14 pairs, or 8 units against 8."""

COARSE, FINE, FINE_BELOW = 1_999, 99_999, 0.02
"""Random ways for a first p; for a p that may matter; and which p may. A p below FINE_BELOW comes of the fine ways
alone, so that choosing between the two is no second chance."""

INTERVAL_WAYS = 9_999

ALIKE = 1e-12
"""Units are logarithms: two that are so near each other are equal, and differ by rounding."""

_CHUNK = 2_000_000

Floats = NDArray[np.float64]


class Exchangeable(Protocol):
    """How units may change sides: a row for each way, in it 0 for what stays, else the sign it has in the sum."""

    @property
    def units(self) -> int:
        """How many units there are, of both arms where they are not paired."""

    @property
    def ways(self) -> int:
        """How many ways there are, none moving included."""

    def all(self) -> Floats:
        """List every way, none moving first."""

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Draw ways at random, none moving among them by chance only."""


@dataclass(frozen=True, slots=True)
class Flips:
    """Every set of `pairs` may have its arms swapped."""

    pairs: int

    @property
    def units(self) -> int:
        """One for each pair."""
        return self.pairs

    @property
    def ways(self) -> int:
        """All sets of pairs."""
        return int(2**self.pairs)

    def all(self) -> Floats:
        """List all sets."""
        bits = np.arange(self.ways)[:, None] >> np.arange(self.pairs)
        return (bits & 1).astype(float)

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Toss a coin for each pair."""
        tosses = np.frombuffer(rng.bytes(-(-count * self.pairs // 8)), dtype=np.uint8)
        return np.unpackbits(tosses, count=count * self.pairs).reshape(count, self.pairs).astype(float)


@dataclass(frozen=True)
class Relabellings:
    """The units of two runs, `base` first, may be dealt out anew to as many places."""

    base: int
    new: int

    @property
    def units(self) -> int:
        """Those of both runs."""
        return self.base + self.new

    @property
    def ways(self) -> int:
        """All choices of who is in the new run."""
        return math.comb(self.units, self.new)

    @cached_property
    def _is_new(self) -> NDArray[np.int8]:
        return np.repeat(np.array([0, 1], dtype=np.int8), (self.base, self.new))

    def all(self) -> Floats:
        """List all choices, the real one first."""
        labels = np.zeros((self.ways, self.units), dtype=np.int8)
        for row, chosen in enumerate(combinations(reversed(range(self.units)), self.new)):
            labels[row, chosen] = 1
        ways: Floats = np.subtract(self._is_new, labels, dtype=float)
        return ways

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Shuffle the labels."""
        labels = rng.permuted(np.broadcast_to(self._is_new, (count, self.units)), axis=1)
        ways: Floats = np.subtract(self._is_new, labels, dtype=float)
        return ways


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """What units say about a shift: its estimate and interval, and p of there being none.

    `smallest_p` is what units as many as these could reach at best. `spread` divided by the root of how many units
    an arm has is the standard error, or nearly. `interval` is None where the units are too few for one. `persistent`
    tells that neighbouring units resemble each other more than chance explains: then p is too small. `constant` tells
    that no exchange would change anything: there is nothing to test, and p is 1 whatever the arms are called.
    """

    estimate: float
    p: float
    smallest_p: float
    spread: float
    units: int
    interval: Interval | None
    persistent: bool = False
    constant: bool = False


def weigh_pairs(differences: Floats, level: float = LEVEL) -> PermutationResult:
    """Weigh paired units, each the difference of its arms; at least one."""
    exchange = Flips(len(differences))
    return PermutationResult(
        estimate=float(differences.mean()),
        p=float(p_values(differences[None, :], exchange)[0]),
        smallest_p=smallest_p(exchange),
        spread=_deviation(differences),
        units=len(differences),
        interval=invert(differences, exchange, level),
        persistent=is_persistent(differences),
        constant=bool(np.abs(differences).max() <= ALIKE),
    )


def weigh_runs(base: Floats, new: Floats, level: float = LEVEL) -> PermutationResult:
    """Weigh the units of two runs, at least one each; `units` is that of the smaller run."""
    exchange, values = Relabellings(len(base), len(new)), np.concatenate([base, new])
    return PermutationResult(
        estimate=float(new.mean() - base.mean()),
        p=float(p_values(values[None, :], exchange)[0]),
        smallest_p=smallest_p(exchange),
        spread=math.hypot(_deviation(base), _deviation(new)),
        units=min(len(base), len(new)),
        interval=invert(values, exchange, level),
        persistent=is_persistent(base) or is_persistent(new),
        constant=_is_level(values),
    )


def is_persistent(units: Floats) -> bool:
    """Tell whether units, in the order of time, have a lag-1 autocorrelation beyond two standard errors of none."""
    if _is_level(units):
        return False
    rest = units - units.mean()
    power = float(rest @ rest)
    return float(rest[1:] @ rest[:-1]) / power > 2 / math.sqrt(len(units))


def _is_level(values: Floats) -> bool:
    return bool(np.ptp(values) <= ALIKE)


def _deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def smallest_p(exchange: Exchangeable) -> float:
    """Return the two-sided p that the clearest data of this size would have."""
    return min(1.0, max(2 / exchange.ways, 0 if exchange.ways <= MOST_LISTED else 2 / (FINE + 1)))


def p_values(rows: Floats, exchange: Exchangeable) -> Floats:
    """Return the two-sided p of no shift for each row of units: twice the smaller tail, 1 at most."""
    if exchange.ways <= MOST_LISTED:
        return _two_sided(rows, iter([exchange.all()]))
    found = _two_sided(rows, _drawn(exchange, COARSE))
    unclear = found <= FINE_BELOW
    if unclear.any():
        found[unclear] = _two_sided(rows[unclear], _drawn(exchange, FINE))
    return found


def _two_sided(rows: Floats, batches: Iterator[Floats]) -> Floats:
    """Return p from batches of ways, the way things are among them."""
    blur = 1e-12 * np.abs(rows).sum(axis=1)
    low = high = np.zeros(len(rows))
    ways = 0
    for batch in batches:
        sums = batch @ rows.T
        low, high = low + (sums <= blur).sum(axis=0), high + (sums >= -blur).sum(axis=0)
        ways += len(batch)
    return np.minimum(1.0, 2 * np.minimum(low, high) / ways)


def _drawn(exchange: Exchangeable, count: int) -> Iterator[Floats]:
    """Yield the way things are, then random ways, in batches that fit the memory; the same ones every time."""
    rng = np.random.default_rng(count)
    yield np.zeros((1, exchange.units))
    step = max(1, _CHUNK // exchange.units)
    for start in range(0, count, step):
        yield exchange.draw(rng, min(step, count - start))


def invert(units: Floats, exchange: Exchangeable, level: float = LEVEL) -> Interval | None:
    """Return the shifts that the test would not reject at 1 - level; None where it could reject none."""
    listed = exchange.ways <= MOST_LISTED
    batches = iter([exchange.all()]) if listed else _drawn(exchange, INTERVAL_WAYS)
    means = np.sort(np.concatenate([_mean_shifts(batch, units) for batch in batches]))
    ways = exchange.ways if listed else INTERVAL_WAYS + 1
    # Where nobody moved there is no mean: it is beyond every shift, on either side.
    beyond = ways - len(means)
    rank = math.floor((1 - level) / 2 * ways * (1 + 1e-12)) - beyond
    return Interval(float(means[rank]), float(means[-1 - rank]), level) if 0 <= rank < len(means) else None


def _mean_shifts(batch: Floats, units: Floats) -> Floats:
    """Return the mean shift among the units that moved, for each way in which any did."""
    moved = np.abs(batch).sum(axis=1)
    # Of two runs as many move out of one as out of the other: each exchange is one shift.
    shifts = np.where((batch < 0).any(axis=1), moved / 2, moved)
    means: Floats = (batch[moved > 0] @ units) / shifts[moved > 0]
    return means


def adjust(p: list[float]) -> list[float]:
    """Return Holm's adjusted p-values: at most alpha for any false one in all, with probability alpha."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, reached = [0.0] * len(p), 0.0
    for rank, at in enumerate(order):
        reached = max(reached, min(1.0, p[at] * (len(p) - rank)))
        adjusted[at] = reached
    return adjusted
