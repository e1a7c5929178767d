"""The worlds that gates.py simulates: times of requests, and differences of rounds, with known changes or none."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.core.load_profile import LoadProfile
from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit
from runner.engine.provider_lane import Lane
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from tests.support.virtual_run import SECOND_NS, VirtualRun

Floats = NDArray[np.float64]

CASES = 13
SIGMA = 0.3
"""Standard deviation of the logarithm of a request's time."""

SPELL = 0.2
"""Standard deviation of the logarithm of a target's level in slow spells."""


def spells(rng: np.random.Generator, rows: int, rounds: int, sd: float = SPELL, rho: float = 0.8) -> Floats:
    """Return logarithms of levels in slow spells: an autoregressive process with the standard deviation `sd`."""
    level: Floats = sd * rng.standard_normal((rows, rounds))
    for at in range(1, rounds):
        level[:, at] = rho * level[:, at - 1] + np.sqrt(1 - rho**2) * level[:, at]
    return level


def noise(rng: np.random.Generator, rows: int, rounds: int, cases: int = CASES) -> Floats:
    """Return differences of rounds of independent log-normal requests."""
    differences: Floats = np.sqrt(2 / cases) * SIGMA * rng.standard_normal((rows, rounds))
    return differences


Pair = tuple[Floats, Floats | None]
"""The rounds of the new side and of the base; or the differences of pairs, and None."""


def independent(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return pairs of independent requests."""
    return noise(rng, rows, rounds), None


def one_case(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return pairs of a suite of one case."""
    return noise(rng, rows, rounds, 1), None


def in_spells(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return pairs of targets that have slow spells independently of each other."""
    return noise(rng, rows, rounds) + spells(rng, rows, rounds) - spells(rng, rows, rounds), None


def in_long_spells(rng: np.random.Generator, rows: int, rounds: int, rho: float = 0.9) -> Pair:
    """Return pairs of targets whose slow spells are twice as long."""
    levels = (spells(rng, rows, rounds, rho=rho) for _ in range(2))
    return noise(rng, rows, rounds) + next(levels) - next(levels), None


def in_endless_spells(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return pairs of targets whose slow spells last about thirty rounds."""
    return in_long_spells(rng, rows, rounds, rho=0.97)


def some_in_spells(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return pairs in which every sixth row has slow spells."""
    steady = (np.arange(rows) % 6 > 0)[:, None]
    return np.where(steady, noise(rng, rows, rounds), in_spells(rng, rows, rounds)[0]), None


def skewed(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return pairs in which one side sometimes waits three times as long, and is otherwise faster."""
    waits = rng.binomial(CASES, 0.1, (rows, rounds)) / CASES - 0.1
    return noise(rng, rows, rounds) + np.log(3) * waits, None


def two_runs(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return the rounds of two runs of independent requests."""
    return noise(rng, rows, rounds) / np.sqrt(2), noise(rng, rows, rounds) / np.sqrt(2)


def two_runs_in_spells(rng: np.random.Generator, rows: int, rounds: int) -> Pair:
    """Return the rounds of two runs with slow spells."""
    new, base = (noise(rng, rows, rounds) / np.sqrt(2) + spells(rng, rows, rounds) for _ in range(2))
    return new, base


@dataclass(frozen=True, slots=True)
class Speed:
    """A world of latencies, and the bands of its claims or of another verdict, by the number of rounds."""

    name: str
    world: Callable[[np.random.Generator, int, int], Pair]
    bands: Mapping[int, tuple[float, float]]
    effect: float = 0.0
    rows: int = 1
    verdict: str = "claims"


IN_SPELLS = {10: (0, 0.10), 20: (0, 0.08), 50: (0, 0.02)}
INDEPENDENT = dict.fromkeys((10, 20, 50), (0.0, 0.01))
UNKNOWN = (0.0, 1.0)

SPEEDS = (
    Speed("slow spells, nothing changed", in_spells, IN_SPELLS),
    Speed("slow spells, nothing changed, 24 rows", in_spells, IN_SPELLS, rows=24),
    Speed("slow spells in 4 of 24 rows, nothing changed", some_in_spells, dict.fromkeys((20, 50), UNKNOWN), rows=24),
    Speed("slow spells of ten rounds, nothing changed", in_long_spells, dict.fromkeys((10, 20, 50), UNKNOWN)),
    Speed("slow spells of thirty rounds, nothing changed", in_endless_spells, dict.fromkeys((10, 20, 50), UNKNOWN)),
    Speed("two runs, slow spells, nothing changed", two_runs_in_spells, IN_SPELLS),
    Speed(
        "slow spells, exactly 10 % slower, called unchanged",
        in_spells,
        dict.fromkeys((10, 20, 50), (0, 0.025)),
        np.log(1.1),
        verdict="unchanged",
    ),
    Speed(
        "skewed, exactly 10 % slower, called unchanged",
        skewed,
        dict.fromkeys((10, 20, 50), (0, 0.05)),
        np.log(1.1),
        verdict="unchanged",
    ),
    Speed("independent, 9 % slower", independent, dict.fromkeys((10, 20, 50), (0, 0.025)), np.log(1.09)),
    Speed("independent, nothing changed", independent, INDEPENDENT),
    Speed("independent, nothing changed, 24 rows", independent, INDEPENDENT, rows=24),
    Speed("two runs, independent, nothing changed", two_runs, INDEPENDENT),
    Speed("independent, 30 % slower", independent, {10: (0.80, 1), 20: (0.97, 1), 50: (0.995, 1)}, np.log(1.3)),
    Speed("two runs, independent, 30 % slower", two_runs, dict.fromkeys((10, 20, 50), UNKNOWN), np.log(1.3)),
    Speed("one case, 30 % slower", one_case, dict.fromkeys((20, 50), UNKNOWN), np.log(1.3)),
    Speed("slow spells, 30 % slower", in_spells, dict.fromkeys((20, 50), UNKNOWN), np.log(1.3)),
)


@dataclass(frozen=True, slots=True)
class Tail:
    """A world of slow requests, and the bands of its claims.

    `tails` are the shares of requests on either side that take five times as long. `outages` are the shares of rounds
    on either side in which all requests do.
    """

    name: str
    bands: Mapping[int, tuple[float, float]]
    tails: tuple[float, float] = (0.0, 0.0)
    sigma: float = 0.2
    sd: float = 0.0
    rho: float = 0.8
    outages: tuple[float, float] = (0.0, 0.0)

    def times(self, rng: np.random.Generator, gates: int, rounds: int, side: int) -> Floats:
        """Return the times of one side; shape (gates, rounds, cases)."""
        level = spells(rng, gates, rounds, self.sd, self.rho)[:, :, None]
        logs = level + self.sigma * rng.standard_normal((gates, rounds, CASES))
        is_slow = rng.random(logs.shape) < self.tails[side]
        is_out = rng.random((gates, rounds, 1)) < self.outages[side]
        times: Floats = np.exp(logs + np.log(5) * (is_slow | is_out))
        return times


AT_MOST_1 = dict.fromkeys((10, 20, 50), (0.0, 0.01))

TAILS = (
    Tail("slow spells, no tail", AT_MOST_1, sigma=SIGMA, sd=SPELL),
    Tail("slow spells of ten rounds, no tail", dict.fromkeys((10, 20, 50), UNKNOWN), sigma=SIGMA, sd=SPELL, rho=0.9),
    Tail("slow spells, and a tail of 4 % on both sides", AT_MOST_1, (0.04, 0.04), SIGMA, SPELL),
    Tail("either target five times slower in 10 % of rounds", AT_MOST_1, outages=(0.1, 0.1)),
    Tail("one target alone five times slower in 10 % of rounds", AT_MOST_1, outages=(0.0, 0.1)),
    Tail("a tail of 4 % on both sides", AT_MOST_1, (0.04, 0.04)),
    Tail("a tail of 4 % on one side", {10: UNKNOWN, 20: (0.62, 1), 40: (0.99, 1)}, (0.0, 0.04)),
)


def drifting_pairs(rng: np.random.Generator, rounds: int, *, is_together: bool) -> Floats:
    """Return differences of rounds where all TTFT grow by the factor e during a run; shape (rounds,).

    The real schedule runs on a virtual clock: replies of one target take twice as long, so its lane is slower. With
    `is_together`, the targets of a case start together; else the faster lane is up to two rounds ahead.
    """
    names, takes_s = ("fast", "slow"), {"fast": 1.0, "slow": 2.0}
    plan = Plan(
        tuple(Case(f"case-{n}", ("Hello?",)) for n in range(CASES)),
        tuple(Target(name, "m", Parameters()) for name in names),
        rounds,
        int(rng.integers(2**31)),
    )
    lasts: Iterator[float] = iter(np.exp(0.2 * rng.standard_normal(2 * CASES * rounds)).tolist())

    def lasts_ns(request: Request) -> int:
        return int(takes_s[request.target.provider] * next(lasts) * SECOND_NS)

    lanes = {name: Lane(name, ConcurrencyLimit.of(4)) for name in names}
    load = LoadProfile() if is_together else LoadProfile(lead=2)
    held = VirtualRun(plan, lanes, lasts_ns, load).run()
    sums = {name: np.zeros(rounds) for name in names}
    of_run_ns = max(each.start_ns for each in held)
    for each in held:
        sums[each.request.target.provider][each.request.identity().block - 1] += each.start_ns / of_run_ns
    drift: Floats = (sums["slow"] - sums["fast"]) / CASES
    differences: Floats = drift + np.sqrt(2 / CASES) * 0.15 * rng.standard_normal(rounds)
    return differences
