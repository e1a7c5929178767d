"""How often the 95 % intervals of votes hold the truth, by simulation: the table of docs/votes.md.

    python tests/benchmarks/votes.py [--sets 200]

Three targets are compared in pairs. Their strengths differ, and vary between cases by a standard deviation (0 or 1.5);
the truth is what 20,000 cases show. For alpha three people name the best of three replies, with noise.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations, product

import numpy as np

from runner.analysis.votes import RatedUnit, krippendorff
from runner.analysis.win_rates import PairOutcome, win_rates

CASES, OF_PAIR, TIES, SPREADS, NOISES = (6, 10, 30, 100), (1, 5), (0.0, 0.3), (0.0, 1.5), (0.2, 0.6)
MANY = 20_000
NAMES = ("a/m", "b/m", "c/m")
STRENGTHS = np.array([0.6, 0.0, -0.6])


def draw_outcomes(
    random: np.random.Generator, cases: int, of_pair: int, ties: float, spread: float
) -> Iterator[PairOutcome]:
    """Yield `of_pair` comparisons of each pair in each case, a share of which are ties."""
    for case in range(cases):
        values = STRENGTHS + spread * random.standard_normal(len(NAMES))
        for (a, b), _ in product(combinations(range(len(NAMES)), 2), range(of_pair)):
            wins = random.random() < 1 / (1 + np.exp(values[b] - values[a]))
            winner = None if random.random() < ties else NAMES[a if wins else b]
            yield PairOutcome(str(case), NAMES[a], NAMES[b], winner)


def measure_rates(random: np.random.Generator, sets: int, cases: int, ties: float) -> tuple[list[float], list[float]]:
    """Return the shares of intervals of win rates and of strengths that contain the truth, in each world."""
    shares: tuple[list[float], list[float]] = ([], [])
    for of_pair, spread in product(OF_PAIR, SPREADS):
        truth = win_rates(draw_outcomes(random, MANY, 1, ties, spread))
        rate = {each.target: each.value for each in truth.targets}
        strength = {each.target: each.value or 0.0 for each in truth.strengths}
        held: tuple[list[bool], list[bool]] = ([], [])
        for _ in range(sets):
            found = win_rates(draw_outcomes(random, cases, of_pair, ties, spread))
            held[0].extend(rate[each.target] in each.interval for each in found.targets if each.interval)
            held[1].extend(strength[each.target] in each.interval for each in found.strengths if each.interval)
        for kept, of_figure in zip(shares, held, strict=True):
            kept.append(float(np.mean(of_figure)))
    return shares


def draw_units(random: np.random.Generator, cases: int, noise: float) -> list[RatedUnit]:
    """Return the choices of three people in each case: the best of three replies, or by chance any of them."""
    best = random.integers(3, size=(cases, 1))
    said = np.where(random.random((cases, 3)) < noise, random.integers(3, size=(cases, 3)), best)
    return [RatedUnit(str(case), tuple(map(str, values))) for case, values in enumerate(said)]


def measure_alpha(random: np.random.Generator, sets: int, cases: int) -> list[float]:
    """Return the share of intervals that contain the truth, for each level of noise."""
    shares = []
    for noise in NOISES:
        truth = (1 - noise) ** 2
        found = (krippendorff(draw_units(random, cases, noise)) for _ in range(sets))
        shares.append(float(np.mean([truth in each.interval for each in found if each.interval is not None])))
    return shares


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200)
    sets = parser.parse_args().sets
    for cases in CASES:
        random = np.random.default_rng(cases)
        without, with_ties = (measure_rates(random, sets, cases, ties) for ties in TIES)
        alpha = measure_alpha(random, sets, cases)
        for name, cells in (("win rate", (without[0], with_ties[0])), ("strength", (without[1], with_ties[1]))):
            print(f"| {name} | {cases} | {_range(cells[0])} | {_range(cells[1])} |", flush=True)
        print(f"| alpha | {cases} | {_range(alpha)} | |", flush=True)


def _range(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f} to {100 * max(shares):.1f} %"


if __name__ == "__main__":
    main()
