"""Measure the false alarms and the detections of a gate: the rule of `compare diff` in simulated worlds.

    python tests/benchmarks/gates.py [--share 0.1]

Rounds of 13 cases; each gate judges 1 or 24 rows. Two common rules are judged beside it: a bare threshold (the mean is
10 % higher), and Student's t-test of the rounds' differences (p < 0.05). No request is sent. The exit code is 1 if a
figure lies outside its band by more than chance.
"""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.autocorrelation import judge_shift
from runner.analysis.history import judge_against_history
from runner.analysis.intervals import Interval, percentile_interval
from runner.analysis.measure_tests import compare_failures
from runner.analysis.measures import Better
from runner.analysis.permutation import PermutationResult, SignFlips, fewest_pairs, holm_adjust, p_values, smallest_p
from runner.analysis.verdict import Criteria, Rule, Verdict, decide, is_change

Floats = NDArray[np.float64]

CASES = 13
SIGMA = 0.3
SURE = 0.999
"""The level of the interval of a rate that must reach into its band: hardly a figure fails by chance."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened in a number of tries, and within which shares it should."""

    what: str
    count: int
    tries: int
    low: float = 0.0
    high: float = 1.0

    @property
    def is_in_band(self) -> bool:
        """Return whether the band reaches into the exact interval of the rate."""
        ends = stats.binomtest(self.count, self.tries).proportion_ci(SURE)
        return bool(ends.low <= self.high and ends.high >= self.low)

    def __str__(self) -> str:
        """Render as cells of a table, in percent, with the exact 95 % interval."""
        ends = stats.binomtest(self.count, self.tries).proportion_ci()
        share = f"{100 * self.count / self.tries:.1f} [{100 * ends.low:.1f}, {100 * ends.high:.1f}]"
        band = "" if (self.low, self.high) == (0.0, 1.0) else f"{100 * self.low:g} to {100 * self.high:g}"
        return f"| {self.what} | {self.tries:,} | {share} | {band} |"


def spells(rng: np.random.Generator, rows: int, rounds: int, sd: float, rho: float = 0.8) -> Floats:
    """Return logarithms of levels in slow spells: an autoregressive process with the standard deviation `sd`."""
    level: Floats = sd * rng.standard_normal((rows, rounds))
    for at in range(1, rounds):
        level[:, at] = rho * level[:, at - 1] + np.sqrt(1 - rho**2) * level[:, at]
    return level


def noise(rng: np.random.Generator, rows: int, rounds: int, cases: int = CASES) -> Floats:
    """Return differences of rounds of independent log-normal requests."""
    differences: Floats = np.sqrt(2 / cases) * SIGMA * rng.standard_normal((rows, rounds))
    return differences


def in_spells(rng: np.random.Generator, rows: int, rounds: int, sd: float = 0.2) -> Floats:
    """Return differences where each target has slow spells of its own."""
    return noise(rng, rows, rounds) + spells(rng, rows, rounds, sd) - spells(rng, rows, rounds, sd)


def skewed(rng: np.random.Generator, rows: int, rounds: int) -> Floats:
    """Return differences where one target now and then waits three times as long, and is otherwise faster."""
    waits = rng.binomial(CASES, 0.1, (rows, rounds)) / CASES - 0.1
    differences: Floats = noise(rng, rows, rounds) + np.log(3) * waits
    return differences


World = Callable[[np.random.Generator, int, int], Floats]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many gates claimed anything, failed, or had an unchanged row; and how many failed by the other two rules."""

    claims: int
    regressed: int
    unchanged: int
    threshold: int
    t_test: int


def judge(differences: Floats, rows: int = 1) -> Tally:
    """Apply the rule, and two others, to the differences of rounds; shape (gates * rows, rounds)."""
    rule, rounds = Rule(), differences.shape[1]
    p, half = judge_shift(differences, None, 0.95)
    p = np.maximum(p, p_values(differences, SignFlips(rounds)))
    means = differences.mean(axis=1)
    criteria = Criteria(
        min_effect=float(np.log1p(rule.min_effect)),
        alpha=rule.alpha,
        alpha_of_row=rule.alpha / rows,
        better=Better.LOWER,
        beyond_clock=True,
        fewest_units=fewest_pairs,
    )
    verdicts: list[list[Verdict]] = []
    for at in range(0, len(p), rows):
        part = slice(at, at + rows)
        adjusted = holm_adjust(p[part].tolist())
        results = [
            PermutationResult(mean, raw, smallest_p(SignFlips(rounds)), 0.1, rounds, Interval(mean - wide, mean + wide))
            for mean, raw, wide in zip(means[part].tolist(), p[part].tolist(), half[part].tolist(), strict=True)
        ]
        verdicts.append(
            [decide(result, each, criteria).verdict for result, each in zip(results, adjusted, strict=True)]
        )
    student = stats.ttest_1samp(differences, 0, axis=1)
    return Tally(
        claims=sum(bool({Verdict.REGRESSED, Verdict.IMPROVED} & {*each}) for each in verdicts),
        regressed=sum(Verdict.REGRESSED in each for each in verdicts),
        unchanged=sum(Verdict.UNCHANGED in each for each in verdicts),
        threshold=_any(means > criteria.min_effect, rows),
        t_test=_any(np.logical_and(student.pvalue < 0.05, student.statistic > 0), rows),
    )


def _any(failed: NDArray[np.bool_], rows: int) -> int:
    """Count the gates in which any row failed."""
    return int(failed.reshape(-1, rows).any(axis=1).sum())


@dataclass(frozen=True, slots=True)
class Speed:
    """A world of latencies, and the bands of its claims by the number of rounds."""

    name: str
    world: World
    bands: dict[int, tuple[float, float]]
    effect: float = 0.0
    rows: int = 1
    verdict: str = "claims"


SPEEDS = (
    Speed("slow spells, nothing changed", in_spells, {10: (0, 0.10), 20: (0, 0.08), 50: (0, 0.02)}),
    Speed("slow spells, nothing changed, 24 rows", in_spells, {20: (0, 0.6), 50: (0, 0.2)}, rows=24),
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
        dict.fromkeys((20, 50), (0, 0.05)),
        np.log(1.1),
        verdict="unchanged",
    ),
    Speed("independent, 9 % slower", noise, dict.fromkeys((10, 20, 50), (0, 0.025)), np.log(1.09)),
    Speed("independent, nothing changed", noise, dict.fromkeys((10, 20, 50), (0, 0.01))),
    Speed("independent, nothing changed, 24 rows", noise, dict.fromkeys((20, 50), (0, 0.01)), rows=24),
    Speed("independent, 30 % slower", noise, {10: (0.80, 1), 20: (0.97, 1), 50: (0.995, 1)}, np.log(1.3)),
    Speed("slow spells, 30 % slower", in_spells, dict.fromkeys((20, 50), (0, 1)), np.log(1.3)),
)


def judge_speeds(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield how often each world's gate claims a change, or calls it unchanged; and two other rules' failures."""
    for speed in SPEEDS:
        for rounds, band in speed.bands.items():
            gates = max(40, round(share * (4000 if speed.rows == 1 else 400)))
            tally = judge(speed.world(rng, gates * speed.rows, rounds) + speed.effect, speed.rows)
            yield Rate(f"{speed.name}, n {rounds}", getattr(tally, speed.verdict), gates, *band)
            if speed.effect == 0:
                yield Rate(f"- bare threshold, n {rounds}", tally.threshold, gates)
                yield Rate(f"- t-test, n {rounds}", tally.t_test, gates)


def judge_failures(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield how often failures alone fail a gate: in outages that are nothing new, of a dead provider, of a rise."""
    gates = max(40, round(share * 1000))
    for rounds in (10, 20, 50):
        for chance in (0.05, 0.10):
            outages = CASES * (rng.random((2, gates, rounds)) < chance).astype(float)
            changed = sum(_is_failing(base, new) for base, new in zip(*outages, strict=True))
            yield Rate(f"either target out in {chance:.0%} of rounds, n {rounds}", changed, gates, 0, 0.02)
            alone = sum(_is_failing(np.zeros(rounds), new) for new in outages[1])
            yield Rate(f"one target alone out in {chance:.0%} of rounds, n {rounds}", alone, gates, 0, 0.25)
    dead = sum(_is_failing(np.zeros(3), np.full(3, float(CASES))) for _ in range(40))
    yield Rate("a dead provider, n 3", dead, 40, 1, 1)
    rises = zip(rng.binomial(CASES, 0.01, (gates, 10)), rng.binomial(CASES, 0.15, (gates, 10)), strict=True)
    found = sum(_is_failing(base.astype(float), new.astype(float)) for base, new in rises)
    yield Rate("failures from 1 % to 15 %, n 10", found, gates, 0.94, 1)


def _is_failing(base: Floats, new: Floats) -> bool:
    rule, tried = Rule(), np.full(len(new), float(CASES))
    result = compare_failures((base, tried), (new, tried))
    criteria = Criteria(rule.min_failure_rise, rule.alpha, rule.alpha, Better.LOWER, True, fewest_pairs, is_bound=False)
    return result.estimate > 0 and is_change(result, result.p, criteria)


def judge_nights(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield how often a night of 8 rows fails by the gate on history, where levels vary from day to day."""
    gates = max(60, round(share * 1500))
    for spread in (0.03, 0.05, 0.15):
        levels = np.exp(spread * rng.standard_normal((gates, 8, 21)))
        failed = sum(_night_fails(each[:, :20], each[:, 20]) for each in levels)
        yield Rate(f"a night of 8 rows, day-to-day sd {spread:g}", failed, gates, 0, 0.01)
    levels = np.exp(0.05 * rng.standard_normal((gates, 1, 21)))
    found = sum(_night_fails(each[:, :20], 1.3 * each[:, 20]) for each in levels)
    yield Rate("a night 30 % slower, day-to-day sd 0.05", found, gates, 0.9, 1)


def _night_fails(past: Floats, new: Floats) -> bool:
    findings = judge_against_history(past.tolist(), new.tolist())
    return any(found.moved and (found.change or 1) > 1 for found in findings)


def judge_coverage(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield how often the interval of a median holds the truth, with and without spells, where one is shown."""
    runs = max(60, round(share * 2000))
    for name, rho in (("independent rounds", 0.0), ("slow spells", 0.8)):
        for rounds in (20, 50):
            level = spells(rng, runs, rounds, 0.2, rho)
            times = np.exp(level[:, :, None] + SIGMA * rng.standard_normal((runs, rounds, CASES)))
            blocks = np.repeat(np.arange(rounds), CASES).tolist()
            for percent, least in ((50, 0.80), (90, 0.60)):
                truth = float(np.exp(stats.norm.ppf(percent / 100) * np.hypot(0.2, SIGMA)))
                shown = [percentile_interval(each.ravel().tolist(), percent, blocks) for each in times]
                known = [interval for interval in shown if interval is not None]
                if len(known) > runs / 4:
                    held = sum(truth in interval for interval in known)
                    yield Rate(f"interval of p{percent}, {name}, n {rounds}", held, len(known), least, 1)


def main() -> int:
    """Print the table; return 1 if a figure misses its band."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--share", type=float, default=1.0, help="of the gates, how many to simulate: 0.1 for a tenth")
    chosen = parser.parse_args()
    started, rng = time.monotonic(), np.random.default_rng(chosen.seed)
    print(f"{datetime.now(tz=UTC):%Y-%m-%d}, seed {chosen.seed}; in brackets the exact 95 % interval of a rate\n")
    print("| world | gates | rate, % | band, % |\n|:--|--:|--:|--:|")
    missed = []
    for part in (judge_speeds, judge_failures, judge_nights, judge_coverage):
        for rate in part(rng, chosen.share):
            print(rate, flush=True)
            missed += [] if rate.is_in_band else [rate.what]
    print(f"\nbands {'missed: ' + '; '.join(missed) if missed else 'kept'}; {time.monotonic() - started:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
