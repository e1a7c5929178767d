"""Measure the false alarms and the detections of a gate: the rule of `compare diff` in simulated worlds.

    python tests/benchmarks/gates.py [--share 0.1] [--only WORDS]

Rounds of 13 cases; each gate judges 1 or 24 rows. Three other rules are judged beside it: the one of earlier versions
(permutations alone, Fisher's test of requests, the estimate beyond the minimum effect), a bare threshold (the mean is
10 % higher), and Student's t-test of the rounds (p < 0.05). No request is sent. The exit code is 1 if a figure lies
outside its band by more than chance.
"""

import math
import sys
import time
import warnings
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from scipy import stats

from runner.analysis.diff_findings import claim_for_this_run
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.intervals import percentile_interval
from runner.analysis.prediction_intervals import compare_against_history
from runner.analysis.proportions import Proportion, fisher_p
from tests.benchmarks.gate_rules import CLAIMS, Judged, Rate, judge, judge_failures, judge_slow, needed_rounds
from tests.benchmarks.gate_worlds import (
    CASES,
    SIGMA,
    SPEEDS,
    TAILS,
    Floats,
    Speed,
    Tail,
    drifting_pairs,
    noise,
    spells,
    two_runs,
)
from tests.benchmarks.pass_intervals import METHODS
from tests.benchmarks.pass_worlds import (
    AT_MOST_1,
    JUST_RELEVANT,
    NOTHING_CHANGED,
    OUT,
    PILOTS,
    SIZES,
    UNKNOWN,
    WORSE,
    PairWorld,
    PassWorld,
    judge_passes,
)

SHOWN = ("compare", "Wilson of repeats", "Student's t of cases")
"""Intervals of a pass rate in the table; pass_intervals.py has more."""

FAILING = ((0.0, 0.0), (0.01, 0.01), (0.03, 0.03), (0.1, 0.1), (0.01, 0.03), (0.01, 0.1), (0.05, 0.15))
"""Shares of requests that fail on either side, for pilots that name the number of rounds needed for a decision."""


def rates_of(judged: Judged, what: str, speed: Speed, band: tuple[float, float]) -> Rate:
    """Return the rate of gates in a world that claim a change or call it unchanged, by this rule and the others."""
    rate = Rate(what, judged.count(speed.verdict), judged.gates, band[0], band[1])
    others = (judged.count_earlier(speed.verdict), judged.threshold, judged.t_test)
    return replace(rate, others=others if speed.verdict == "claims" else (others[0], None, None))


def judge_speeds(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the worlds of latencies: within one run in pairs, and across two runs."""
    for speed in SPEEDS:
        for rounds, band in speed.bands.items():
            gates = max(40, round(share * (2000 if speed.rows == 1 else 400)))
            new, base = speed.world(rng, gates * speed.rows, rounds)
            judged = judge(new + speed.effect, base, speed.rows)
            yield rates_of(judged, f"{speed.name}, n {rounds}", speed, band)


def judge_drift(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates for a drift common to both lanes, one of them twice as fast, with the real schedule.

    The schedule runs on a virtual clock. The earlier rule has the earlier schedule: the faster lane is two rounds
    ahead.
    """
    gates = max(24, round(share * 240))
    for rounds in (10, 20, 50):
        together, ahead = (
            judge(np.array([drifting_pairs(rng, rounds, is_together=each) for _ in range(gates)]))
            for each in (True, False)
        )
        others = (ahead.count_earlier("claims"), together.threshold, together.t_test)
        yield Rate(
            f"common drift, lanes of different speed, n {rounds}", together.claims, gates, 0, 0.01, others=others
        )


def judge_outages(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates at which failures fail a gate: usual outages, a dead provider, and an increase of failures."""
    gates = max(100, round(share * 4000))
    none = np.zeros((gates, 50))
    for rounds in (10, 20, 50):
        for chance in (0.05, 0.10):
            outages = CASES * (rng.random((2, gates, rounds)) < chance).astype(float)
            name = f"out in {chance:.0%} of rounds, n {rounds}"
            yield _rate_of_failures(f"either target {name}", outages[0], outages[1], (0, 0.02))
            yield _rate_of_failures(f"one target alone {name}", none[:, :rounds], outages[1], (0, 0.02))
            usual = rng.binomial(CASES, 0.003, (2, gates, rounds)).astype(float)
            also = f"one target alone {name}, and 0.3 % of requests fail on both sides"
            yield _rate_of_failures(also, usual[0], np.maximum(usual[1], outages[1]), (0, 0.02))
    dead = np.full((40, 3), float(CASES))
    yield _rate_of_failures("a dead provider, n 3", np.zeros((40, 3)), dead, (1, 1))
    base, new = (rng.binomial(CASES, chance, (gates, 10)).astype(float) for chance in (0.01, 0.15))
    yield _rate_of_failures("failures from 1 % to 15 %, n 10", base, new, (0.94, 1))
    half = CASES * (rng.random((gates, 50)) < 0.5).astype(float)
    yield _rate_of_failures("one target out in half of rounds, n 50", none, half, (0, 1))


def _rate_of_failures(name: str, base: Floats, new: Floats, band: tuple[float, float]) -> Rate:
    found = sum(each.verdict is Verdict.REGRESSED for each in judge_failures(base, new))
    earlier = sum(_failed_earlier(old, now) for old, now in zip(base, new, strict=True))
    higher = new.sum(axis=1) - base.sum(axis=1) > 0.1 * CASES * base.shape[1]
    others = (earlier, int(higher.sum()), _t_test_of_failures(base, new))
    return Rate(name, found, len(new), band[0], band[1], others)


def _t_test_of_failures(base: Floats, new: Floats) -> int:
    with warnings.catch_warnings(action="ignore"):  # rounds that are all equal have no variance
        found = stats.ttest_rel(new, base, axis=1)
    return int(np.logical_and(found.pvalue < 0.05, found.statistic > 0).sum())


def _failed_earlier(base: Floats, new: Floats) -> bool:
    old, now = (Proportion(float(failed.sum()), float(CASES * len(failed))) for failed in (base, new))
    rule = Rule()
    return now.value - old.value >= rule.min_failure_rise and fisher_p(old, now) <= rule.alpha


def judge_tails(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates at which the row of slow requests claims a change: no tail, a tail of both sides, and of one."""
    gates = max(200, round(share * 8000))
    for tail in TAILS:
        for rounds, band in tail.bands.items():
            base, new = (tail.times(rng, gates, rounds, side) for side in (0, 1))
            found = sum(each.verdict in CLAIMS for each in judge_slow(base, new))
            shifts = (np.log(new) - np.log(base)).mean(axis=2)
            medians = np.median(new, axis=(1, 2)) > 1.1 * np.median(base, axis=(1, 2))
            student = stats.ttest_1samp(shifts, 0, axis=1)
            others = (None, int(medians.sum()), int(np.logical_and(student.pvalue < 0.05, student.statistic > 0).sum()))
            yield Rate(f"slow requests: {tail.name}, n {rounds}", found, gates, band[0], band[1], others)


def judge_claims(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates at which one round of 13 pairs has a claim for this run: without a change, and with 60 % more."""
    gates = max(200, round(share * 4000))
    for effect, name, band in ((0.0, "nothing changed", (0.0, 0.011)), (np.log(1.6), "60 % slower", (0.8, 1.0))):
        for rows in (1, 6):
            pairs = np.sqrt(2) * SIGMA * rng.standard_normal((gates, rows, CASES)) + effect
            found = sum(
                bool(claim_for_this_run(dict(enumerate(each)), dict.fromkeys(range(rows), CASES), Rule()))
                for each in pairs
            )
            higher = pairs.mean(axis=2) > np.log1p(Rule().min_effect)
            student = stats.ttest_1samp(pairs, 0, axis=2)
            t_test = np.logical_and(student.pvalue < 0.05, student.statistic > 0)
            others = (None, int(higher.any(axis=1).sum()), int(t_test.any(axis=1).sum()))
            yield Rate(f"this run, {rows} row{'s' * (rows > 1)}: {name}, n 1", found, gates, band[0], band[1], others)


def judge_nights(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates at which nights fail if levels vary from day to day: against one baseline and against history."""
    nights = max(10, round(share * 60))
    for rows in (1, 8):
        judged = [_judge_nights(rng, rows) for _ in range(nights)]
        failed, earlier = (sum(each.fails(rule) for each in judged) for rule in ("verdicts", "earlier"))
        name = f"any of 100 nights of {rows} row{'s' * (rows > 1)} against one baseline, day-to-day sd 0.05"
        yield Rate(name, failed, nights, others=(earlier, None, None))
    gates = max(150, round(share * 1500))
    for spread in (0.03, 0.05, 0.15):
        levels = np.exp(spread * rng.standard_normal((gates, 8, 21)))
        failed = sum(_night_fails(each[:, :20], each[:, 20]) for each in levels)
        yield Rate(f"history: a night of 8 rows, day-to-day sd {spread:g}", failed, gates, 0, 0.008)
    levels = np.exp(0.05 * rng.standard_normal((gates, 1, 21)))
    found = sum(_night_fails(each[:, :20], 1.3 * each[:, 20]) for each in levels)
    yield Rate("history: a night 30 % slower, day-to-day sd 0.05", found, gates, 0.9, 1)


def _judge_nights(rng: np.random.Generator, rows: int) -> Judged:
    """Return the verdicts on 100 nights of ten rounds, each against the same baseline of ten rounds."""
    new, _ = two_runs(rng, 100 * rows, 10)
    base = np.repeat(noise(rng, rows, 10) / np.sqrt(2) + 0.05 * rng.standard_normal((rows, 1)), 100, axis=0)
    by_night = (new + 0.05 * rng.standard_normal((100 * rows, 1)), base)
    order = np.arange(100 * rows).reshape(rows, 100).T.ravel()
    return judge(by_night[0][order], by_night[1][order], rows)


def _night_fails(past: Floats, new: Floats) -> bool:
    findings = compare_against_history(past.tolist(), new.tolist())
    return any(found.moved and (found.change or 1) > 1 for found in findings)


def judge_coverage(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the coverage of the intervals of a median and of a percentile; all of these runs have an interval."""
    runs = max(100, round(share * 1000))
    for name, rho, least in (("independent rounds", 0.0, (0.94, 0.94)), ("slow spells", 0.8, (0.85, 0.90))):
        for rounds in (20, 50):
            level = spells(rng, runs, rounds, 0.2, rho)
            times = np.exp(level[:, :, None] + SIGMA * rng.standard_normal((runs, rounds, CASES)))
            blocks = np.repeat(np.arange(rounds), CASES).tolist()
            for percent in (50, 90):
                truth = float(np.exp(stats.norm.ppf(percent / 100) * np.hypot(0.2, SIGMA)))
                shown = [percentile_interval(each.ravel().tolist(), percent, blocks) for each in times]
                held = sum(interval is not None and truth in interval for interval in shown)
                yield Rate(f"interval of p{percent}, {name}, n {rounds}", held, runs, least[rounds == 50], 1)


def judge_forecasts(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates at which the number of rounds named by an undecided run decides; for 13 cases and for one."""
    gates = max(40, round(share * 400))
    for effect in (1.0, 1.05, 1.2, 1.3, 1.5):
        for rounds, cases in ((4, CASES), (10, CASES), (10, 1)):
            pilots = noise(rng, gates, rounds, cases) + np.log(effect)
            counts = needed_rounds(pilots)
            decided = [bool(judge(noise(rng, 1, n, cases) + np.log(effect)).decided) for n in counts]
            name = f"{effect:.2f} times as slow, {cases} case{'s' * (cases > 1)}, n {rounds}"
            yield from _rate_of_forecasts(name, counts, decided, gates)


def judge_shares(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates of `judge_forecasts` for failures and slow requests, which are rare in pilots."""
    gates = max(40, round(share * 400))
    for of_base, of_new in FAILING:
        for rounds in (3, 10):
            failed = [rng.binomial(CASES, chance, (gates, rounds)).astype(float) for chance in (of_base, of_new)]
            named = [each.needed for each in judge_failures(failed[0], failed[1], is_pilot=True)]
            counts = [math.ceil(each / CASES) for each in named if each is not None]
            again = [[rng.binomial(CASES, of, (1, n)).astype(float) for of in (of_base, of_new)] for n in counts]
            decided = [judge_failures(each[0], each[1])[0].verdict is not Verdict.UNDECIDED for each in again]
            name = f"failures {of_base:.0%} and {of_new:.0%}, n {rounds}"
            yield from _rate_of_forecasts(name, counts, decided, gates)
    for tails in ((0.0, 0.0), (0.01, 0.01), (0.0, 0.04), (0.01, 0.06)):
        world = Tail("pilot", {}, tails)
        times = [world.times(rng, gates, 10, side) for side in (0, 1)]
        counts = [each.needed for each in judge_slow(times[0], times[1], is_pilot=True) if each.needed is not None]
        again = [[world.times(rng, 1, n, side) for side in (0, 1)] for n in counts]
        decided = [judge_slow(each[0], each[1])[0].verdict is not Verdict.UNDECIDED for each in again]
        yield from _rate_of_forecasts(f"slow requests {tails[0]:.0%} and {tails[1]:.0%}, n 10", counts, decided, gates)


def judge_pass_intervals(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the coverage of the interval of a pass rate, and of Wilson's interval of repeats and Student's t."""
    runs = max(200, round(share * 2000))
    for cases, repeats in SIZES:
        for rate, alike in ((0.5, 0.3), (0.8, 0.6), (0.9, 0.0), (0.95, 0.6), (0.98, 0.3), (0.8, 1.0)):
            passed = PassWorld(rate, alike).passed(rng, runs, cases, repeats)
            held = {name: int(find(passed, repeats, rate).sum()) for name, find in METHODS.items() if name in SHOWN}
            sample = f"{cases} cases, {repeats} repeat{'s' * (repeats > 1)}"
            name = f"interval of a pass rate of {rate:.0%}, repeats alike {alike:g}, {sample}"
            others = (held["Wilson of repeats"], None, held["Student's t of cases"])
            yield Rate(name, held["compare"], runs, 0.9, 1, others)


def judge_pass_rates(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates at which a gate on the pass rate claims a change: none, outages, a real one; and misses one."""
    gates = max(100, round(share * 1000))
    for cases, repeats in SIZES:
        sample = f"{cases} cases, {repeats} repeat{'s' * (repeats > 1)}"
        for world in NOTHING_CHANGED:
            yield _rate_of_passes(rng, world, (gates, cases, repeats), sample, wanted=CLAIMS, band=AT_MOST_1)
        for world in JUST_RELEVANT:
            yield _rate_of_passes(
                rng, world, (gates, cases, repeats), sample, wanted={Verdict.UNCHANGED}, band=(0.0, 0.04)
            )
    for repeats in (3, 10, 20):
        yield _rate_of_passes(
            rng, OUT, (gates, 50, repeats), f"50 cases, {repeats} repeats", wanted=CLAIMS, band=UNKNOWN
        )
    for cases, repeats in ((20, 3), (50, 1), (50, 3), (100, 1), (100, 3), (300, 1)):
        sample = f"{cases} cases, {repeats} repeat{'s' * (repeats > 1)}"
        yield _rate_of_passes(rng, WORSE, (gates, cases, repeats), sample, wanted={Verdict.REGRESSED}, band=UNKNOWN)


def _rate_of_passes(
    rng: np.random.Generator,
    world: PairWorld,
    size: tuple[int, int, int],
    sample: str,
    *,
    wanted: frozenset[Verdict] | set[Verdict],
    band: tuple[float, float],
) -> Rate:
    base, new = world.passed(rng, *size)
    found = sum(each.verdict in wanted for each in judge_passes(base, new))
    name = f"pass rate: {world.name}, {sample}"
    if wanted == {Verdict.UNCHANGED}:
        return Rate(name, found, size[0], *band)
    shifts = (new - base).mean(axis=2)
    lower = shifts.mean(axis=1) <= -Rule().min_pass_change
    repeats = size[1] * size[2]
    counts = [(float(old.sum()), float(now.sum())) for old, now in zip(base, new, strict=True)]
    fisher = [fisher_p(Proportion(old, repeats), Proportion(now, repeats)) <= Rule().alpha for old, now in counts]
    student = stats.ttest_1samp(shifts, 0, axis=1)
    t_test = np.logical_and(student.pvalue < 0.05, student.statistic < 0)
    return Rate(name, found, size[0], *band, (sum(fisher), int(lower.sum()), int(t_test.sum())))


def judge_pass_forecasts(rng: np.random.Generator, share: float) -> Iterator[Rate]:
    """Yield the rates at which the number of cases named by an undecided gate on the pass rate decides."""
    gates = max(40, round(share * 400))
    for world in PILOTS:
        for cases, repeats in ((20, 1), (20, 3), (50, 1)):
            base, new = world.passed(rng, gates, cases, repeats)
            counts = [each.needed for each in judge_passes(base, new, is_pilot=True) if each.needed is not None]
            again = [judge_passes(*world.passed(rng, 1, n, repeats))[0] for n in counts]
            decided = [each.verdict is not Verdict.UNDECIDED for each in again]
            name = f"pass rates {world.name}, {cases} cases, {repeats} repeat{'s' * (repeats > 1)}"
            yield from _rate_of_forecasts(name, counts, decided, gates, "cases")


def _rate_of_forecasts(
    name: str, counts: list[int], decided: list[bool], gates: int, units: str = "rounds"
) -> Iterator[Rate]:
    """Yield the rate if at least an eighth of the pilots were undecided and named a number."""
    if len(counts) >= gates / 8:
        what = f"forecast: {name}, median forecast {np.median(counts):.0f} {units}"
        yield Rate(what, sum(decided), len(counts), 0.75, 1)


PARTS = (
    judge_speeds,
    judge_drift,
    judge_outages,
    judge_tails,
    judge_claims,
    judge_nights,
    judge_coverage,
    judge_forecasts,
    judge_shares,
    judge_pass_intervals,
    judge_pass_rates,
    judge_pass_forecasts,
)


def main() -> int:
    """Print the table; return 1 if a figure misses its band."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--share", type=float, default=1.0, help="of the gates, how many to simulate: 0.1 for a tenth")
    parser.add_argument("--only", nargs="+", help="only these parts: speeds drift outages tails claims nights ...")
    chosen = parser.parse_args()
    started = time.monotonic()
    print(f"{datetime.now(tz=UTC):%Y-%m-%d}, seed {chosen.seed}; in brackets the exact 95 % interval of a rate\n")
    print("| world | gates | compare, % | band, % | earlier, % | 10 % threshold, % | t-test, % |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    missed = []
    for part in PARTS:
        name = part.__name__.removeprefix("judge_")
        if chosen.only and name not in chosen.only:
            continue
        for rate in part(np.random.default_rng([chosen.seed, PARTS.index(part)]), chosen.share):
            print(rate, flush=True)
            missed += [] if rate.is_in_band else [rate.what]
    print(f"\nbands {'missed: ' + '; '.join(missed) if missed else 'kept'}; {time.monotonic() - started:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
