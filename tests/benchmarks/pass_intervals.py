"""Measure how often intervals of a pass rate hold the truth, by several methods: why `compare` has the one it has.

    python tests/benchmarks/pass_intervals.py [--runs 2000]

Cases have pass rates of their own, so that the repeats of a case are alike; the cases are the sample.
"""

import math
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.pass_rate import CaseCounts, pass_interval
from tests.benchmarks.pass_worlds import Floats, PassWorld, Z

Held = NDArray[np.bool_]

Method = Callable[[Floats, int, float], Held]
"""Function of the passed repeats, shape (runs, cases), the repeats of each case, and the true rate; it returns whether
the interval of each run contains the true rate."""

BOOTSTRAPS = 400


def by_compare(passed: Floats, repeats: int, truth: float) -> Held:
    """Use Wilson's interval of the effective repeats, as `compare` does."""
    decided = np.full(passed.shape[1], float(repeats))
    intervals = (pass_interval(CaseCounts(each, decided), each.sum() / decided.sum()) for each in passed)
    return np.array([truth in each for each in intervals])


def _wilson(share: Floats, n: Floats | float, truth: float) -> Held:
    """Return whether Wilson's interval contains the truth, which is so if its score test does not reject it."""
    held: Held = np.abs(share - truth) <= Z * math.sqrt(truth * (1 - truth)) / np.sqrt(n) + 1e-12
    return held


def by_wilson_of_repeats(passed: Floats, repeats: int, truth: float) -> Held:
    """Treat all repeats as independent."""
    return _wilson(passed.mean(axis=1) / repeats, float(passed.shape[1] * repeats), truth)


def by_wilson_of_cases(passed: Floats, repeats: int, truth: float) -> Held:
    """Treat the repeats of a case as a single one."""
    return _wilson(passed.mean(axis=1) / repeats, float(passed.shape[1]), truth)


def by_wilson_of_design_effect(passed: Floats, repeats: int, truth: float) -> Held:
    """Divide the number of repeats by the estimated design effect."""
    shares, cases = passed / repeats, passed.shape[1]
    middle, variance = shares.mean(axis=1), shares.var(axis=1, ddof=1) / cases
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(variance > 0, middle * (1 - middle) / variance, cases)
    return _wilson(middle, np.clip(n, cases, cases * repeats), truth)


def by_student(passed: Floats, repeats: int, truth: float) -> Held:
    """Treat the shares of cases as normal: use the cluster-robust variance and Student's quantile."""
    shares, cases = passed / repeats, passed.shape[1]
    half = stats.t.ppf(0.975, cases - 1) * shares.std(axis=1, ddof=1) / math.sqrt(cases)
    held: Held = np.abs(shares.mean(axis=1) - truth) <= half + 1e-12
    return held


def by_beta_binomial(passed: Floats, repeats: int, truth: float) -> Held:
    """Estimate the correlation of a case's repeats by moments, and use Wilson's interval of the effective repeats."""
    shares, cases = passed / repeats, passed.shape[1]
    middle = shares.mean(axis=1)
    between = repeats * shares.var(axis=1, ddof=1)
    within = (repeats * shares * (1 - shares)).sum(axis=1) / max(cases * (repeats - 1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.nan_to_num((between - within) / (between + (repeats - 1) * within))
    return _wilson(middle, cases * repeats / (1 + (repeats - 1) * np.clip(alike, 0, 1)), truth)


def by_bootstrap(passed: Floats, repeats: int, truth: float) -> Held:
    """Draw cases with replacement, and use the percentiles of their means."""
    rng, cases = np.random.default_rng(1), passed.shape[1]
    weights = rng.multinomial(cases, np.full(cases, 1 / cases), BOOTSTRAPS) / cases
    low, high = np.quantile(weights @ (passed / repeats).T, [0.025, 0.975], axis=0)
    held: Held = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
    return held


METHODS: Mapping[str, Method] = {
    "compare": by_compare,
    "Wilson of cases": by_wilson_of_cases,
    "Wilson, design effect as it is": by_wilson_of_design_effect,
    "beta-binomial by moments": by_beta_binomial,
    "Student's t of cases": by_student,
    "bootstrap of cases": by_bootstrap,
    "Wilson of repeats": by_wilson_of_repeats,
}

SHARES, ALIKE = (0.5, 0.8, 0.9, 0.95, 0.98), (0.0, 0.1, 0.3, 0.6, 0.9, 1.0)


def main() -> int:
    """Print the mean and the lowest coverage of each method over all worlds of a size."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=2000)
    runs, rng = parser.parse_args().runs, np.random.default_rng(20_260_101)
    sizes = [(cases, repeats) for cases in (10, 20, 50, 100, 300) for repeats in (1, 3, 10)]
    print(f"| cases | repeats | {' | '.join(METHODS)} |\n|{'--:|' * (2 + len(METHODS))}")
    for cases, repeats in sizes:
        held: dict[str, list[float]] = {name: [] for name in METHODS}
        for share in SHARES:
            for alike in ALIKE:
                passed = PassWorld(share, alike).passed(rng, runs, cases, repeats)
                for name, method in METHODS.items():
                    held[name].append(float(method(passed, repeats, share).mean()))
        cells = [f"{100 * np.mean(each):.1f}, {100 * min(each):.1f}" for each in held.values()]
        print(f"| {cases} | {repeats} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
