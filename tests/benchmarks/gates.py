"""Measure the false alarms and the detections of a gate: the rule of `compare diff` on simulated latencies.

    python tests/benchmarks/gates.py

Every gate judges 1 or 24 rows, each a measure of a target. Two common rules are judged beside it: a bare threshold (the
median is 10 % higher) and Welch's t-test on seconds (p < 0.05, unpaired). No request is sent.
"""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.intervals import Interval
from runner.analysis.measures import Better
from runner.analysis.permutation import (
    PermutationResult,
    Permutations,
    Relabellings,
    SignFlips,
    holm_adjust,
    p_values,
    smallest_p,
)
from runner.analysis.verdict import Criteria, Rule, is_change

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
Draw = Callable[[np.random.Generator, int, int], tuple[Floats, Floats]]

SIZES = (6, 10, 20, 50, 200)
ROWS = (1, 24)
SIGMA = 0.3
AT_ONCE = 4_800
"""Rows whose p-values are computed together, which bounds the memory."""

GATES = {1: 20_000, 24: 4_000}
"""Rows per gate -> gates simulated for each line of a table; half as many at n 200, a quarter where something changed,
a tenth where the assumptions do not hold."""

ALARMS_AT_MOST = 0.01
DETECTED_AT_LEAST = 0.90


def lognormal(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """Return latencies around 1 with the spread of an ordinary provider, as an array of rows x n."""
    return np.exp(SIGMA * rng.standard_normal((rows, n)))


def bimodal(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """Return latencies of which a quarter wait three times as long, as behind a cold cache."""
    return np.where(rng.random((rows, n)) < 0.25, 3.0, 1.0) * np.exp(0.1 * rng.standard_normal((rows, n)))


def heavy_tail(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """Return latencies of which one in twenty waits in a queue, with a Pareto tail that has hardly a mean."""
    queued = np.where(rng.random((rows, n)) < 0.05, 1 + rng.pareto(1.1, (rows, n)), 1.0)
    return lognormal(rng, rows, n) * queued


def drift(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """Return factors that drift over a run: they double from the first to the last, and walk at random."""
    trend = np.linspace(0, np.log(2), n)
    wander = np.cumsum(0.1 * rng.standard_normal((rows, n)), axis=1)
    return np.exp(trend + wander)


def alike(latencies: Callable[[np.random.Generator, int, int], Floats]) -> Draw:
    """Return two arms of one distribution."""
    return lambda rng, rows, n: (latencies(rng, rows, n), latencies(rng, rows, n))


def drifting(rng: np.random.Generator, rows: int, n: int) -> tuple[Floats, Floats]:
    """Return two arms of one interleaved run, which share its drift."""
    shared = drift(rng, rows, n)
    return lognormal(rng, rows, n) * shared, lognormal(rng, rows, n) * shared


def drifting_apart(rng: np.random.Generator, rows: int, n: int) -> tuple[Floats, Floats]:
    """Return two arms of two runs, each with a drift of its own."""
    return lognormal(rng, rows, n) * drift(rng, rows, n), lognormal(rng, rows, n) * drift(rng, rows, n)


def slow_spells(rng: np.random.Generator, rows: int, n: int) -> tuple[Floats, Floats]:
    """Return two arms of one run, each with slow spells of its own that last about five blocks."""
    return tuple(lognormal(rng, rows, n) * np.exp(_spell(rng, rows, n)) for _ in range(2))  # type: ignore[return-value]


def _spell(rng: np.random.Generator, rows: int, n: int) -> Floats:
    noise = 0.2 * rng.standard_normal((rows, n))
    level = np.zeros((rows, n))
    level[:, 0] = noise[:, 0]
    for block in range(1, n):
        level[:, block] = 0.8 * level[:, block - 1] + 0.6 * noise[:, block]
    return level


@dataclass(frozen=True, slots=True)
class World:
    """A source of latencies; `paired` where the rule compares within one run, not across two."""

    name: str
    draw: Draw
    paired: bool

    def permutations(self, n: int) -> Permutations:
        """Return the permutations of the rule's test."""
        return SignFlips(n) if self.paired else Relabellings(n, n)


WITHIN = (
    World("log-normal", alike(lognormal), paired=True),
    World("bimodal", alike(bimodal), paired=True),
    World("heavy tail", alike(heavy_tail), paired=True),
    World("drifting", drifting, paired=True),
)
ACROSS = (
    World("log-normal, across runs", alike(lognormal), paired=False),
    World("bimodal, across runs", alike(bimodal), paired=False),
    World("heavy tail, across runs", alike(heavy_tail), paired=False),
)
LIMITS = (
    World("each target its own slow spells", slow_spells, paired=True),
    World("each run its own drift", drifting_apart, paired=False),
)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of a number of gates each rule failed; and in how many `compare` claimed a change either way."""

    gates: int
    compare: int
    compare_either_way: int
    threshold: int
    t_test: int


def simulate(world: World, rows: int, n: int, gates: int, *, effect: float, seed: int) -> Tally:
    """Apply every rule to the same simulated gates; `effect` is the true change, 0.3 for +30 %."""
    rng = np.random.default_rng([seed, rows, n, round(1000 * effect)])
    base, new = world.draw(rng, gates * rows, n)
    new = new * (1 + effect)
    regressed, changed = _apply_rule(world, rows, base, new)
    slower: Truths = np.greater(np.median(new, axis=1), 1.1 * np.median(base, axis=1))
    with np.errstate(all="ignore"):
        welch = stats.ttest_ind(new, base, axis=1, equal_var=False, alternative="two-sided")
    significant: Truths = np.logical_and(welch.pvalue < 0.05, welch.statistic > 0)
    return Tally(gates, regressed, changed, _any(slower, rows), _any(significant, rows))


def _any(rows_failed: Truths, rows: int) -> int:
    """Count the gates in which any row failed."""
    return int(rows_failed.reshape(-1, rows).any(axis=1).sum())


def _apply_rule(world: World, rows: int, base: Floats, new: Floats) -> tuple[int, int]:
    """Return the number of gates that the rule fails, and of those in which it claims a change either way."""
    n = base.shape[1]
    old, now = np.log(base), np.log(new)
    units = now - old if world.paired else np.concatenate([old, now], axis=1)
    estimates = now.mean(axis=1) - old.mean(axis=1)
    permutations = world.permutations(n)
    p = np.concatenate([p_values(units[at : at + AT_ONCE], permutations) for at in range(0, len(units), AT_ONCE)])
    rule = Rule()
    criteria = Criteria(
        min_effect=float(np.log1p(rule.min_effect)),
        alpha=rule.alpha,
        alpha_of_row=rule.alpha / rows,
        better=Better.LOWER,
        beyond_clock=True,
        smallest_p=lambda _: 0.0,
    )
    regressed = changed = 0
    for at in range(0, len(p), rows):
        claims = [
            estimate
            for estimate, raw, adjusted in zip(
                estimates[at : at + rows], p[at : at + rows], holm_adjust(p[at : at + rows].tolist()), strict=True
            )
            if is_change(PermutationResult(estimate, raw, smallest_p(permutations), 0.0, n, None), adjusted, criteria)
        ]
        regressed += any(estimate > 0 for estimate in claims)
        changed += bool(claims)
    return regressed, changed


def interval(count: int, gates: int) -> Interval:
    """Return the exact binomial 95 % interval of a share."""
    ends = stats.binomtest(count, gates).proportion_ci()
    return Interval(float(ends.low), float(ends.high))


def rate(count: int, gates: int) -> str:
    """Render a share with its interval, in percent."""
    ends = interval(count, gates)
    return f"{100 * count / gates:.2f} [{100 * ends.low:.2f}, {100 * ends.high:.2f}]"


def print_table(
    title: str, worlds: Sequence[World], effect: float, share: float, seed: int
) -> Iterator[tuple[str, Tally]]:
    """Print a table line by line; yield each line's label and tally."""
    print(f"\n### {title}\n")
    print("| latencies | rows | n | gates | `compare`, % | any claim, % | bare threshold, % | t-test, % |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|")
    for world in worlds:
        for rows in ROWS if effect == 0 else (1,):
            for n in SIZES:
                gates = max(20, round(share * GATES[rows] / (2 if n == 200 else 1) / (4 if effect else 1)))
                tally = simulate(world, rows, n, gates, effect=effect, seed=seed)
                counts = (tally.compare, tally.compare_either_way, tally.threshold, tally.t_test)
                cells = (world.name, rows, n, f"{gates:,}", *(rate(count, gates) for count in counts))
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
                yield f"{world.name}, {rows} rows, n {n}", tally


def main() -> int:
    """Print the tables; return 1 if a target is missed."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--share", type=float, default=1.0, help="of the gates, how many to simulate: 0.1 for a tenth")
    chosen = parser.parse_args()
    started = time.monotonic()
    print(f"{datetime.now(tz=UTC):%Y-%m-%d}, seed {chosen.seed}; in brackets the exact 95 % interval of a rate")
    alarms = [
        *print_table("Nothing changed", (*WITHIN, *ACROSS), 0.0, chosen.share, chosen.seed),
    ]
    slower = dict(print_table("Really slower: +30 %", (*WITHIN, ACROSS[0]), 0.30, chosen.share, chosen.seed))
    slightly = dict(print_table("Really slower: +15 %", (*WITHIN, ACROSS[0]), 0.15, chosen.share, chosen.seed))
    list(print_table("Nothing changed, and the assumptions do not hold", LIMITS, 0.0, chosen.share / 10, chosen.seed))
    missed = [
        f"false alarms, {of}" for of, tally in alarms if interval(tally.compare, tally.gates).low > ALARMS_AT_MOST
    ]
    goals = {"+30 %": slower["log-normal, 1 rows, n 50"], "+15 %": slightly["log-normal, 1 rows, n 200"]}
    missed += [of for of, tally in goals.items() if interval(tally.compare, tally.gates).high < DETECTED_AT_LEAST]
    print(f"\ntargets {'missed: ' + '; '.join(missed) if missed else 'met'}; {time.monotonic() - started:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
