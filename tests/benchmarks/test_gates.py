"""The rules of gates.py are those of `compare diff`: the same verdict on the same times, gate by gate."""

from collections.abc import Iterator

import numpy as np
import pytest

from runner.analysis.diff import Difference, diff_runs, diff_within
from runner.analysis.diff_verdict import Rule, Verdict
from runner.core.record import Record
from tests.benchmarks.gate_rules import judge, judge_failures, judge_slow
from tests.benchmarks.gate_worlds import CASES, SIGMA, SPELL, Floats, Tail, in_spells, noise, two_runs_in_spells
from tests.support.crafted_runs import BASE, NEW, answered, failed, run_of

GATES, SECONDS = 12, 10.0


def of_rounds(target: str, logs: Floats) -> Iterator[Record]:
    """Yield the record of one question in each round."""
    for block, log in enumerate(logs.tolist(), start=1):
        yield answered(target, "one", block, SECONDS * float(np.exp(log)))


def verdict(difference: Difference) -> Verdict:
    """Return the verdict on the only measure."""
    (found,) = difference.findings
    return found.verdict


@pytest.mark.parametrize("rounds", [10, *(pytest.param(more, marks=pytest.mark.thorough) for more in (20, 50))])
def test_pairs_are_judged_as_by_diff(rounds: int) -> None:
    """Pairs in spells that are 30 % slower give some gates that regress and some that do not."""
    rng = np.random.default_rng(1)
    pairs = np.concatenate([in_spells(rng, GATES, rounds)[0], noise(rng, GATES, rounds)]) + np.log(1.3)
    ours = [
        verdict(
            diff_within(
                run_of([*of_rounds(BASE, np.zeros(rounds)), *of_rounds(NEW, each)]),
                BASE,
                NEW,
                Rule(measures=("ttft",)),
            )
        )
        for each in pairs
    ]
    assert {*ours} >= {Verdict.REGRESSED, Verdict.UNDECIDED}
    assert [each for (each,) in judge(pairs).verdicts] == ours


def test_two_runs_are_judged_as_by_diff() -> None:
    """Two runs with independent spells get the same verdicts."""
    new, base = two_runs_in_spells(np.random.default_rng(2), GATES, 20)
    assert base is not None
    ours = [
        verdict(
            diff_runs(run_of(of_rounds(BASE, old)), run_of(of_rounds(BASE, now + 0.5), "new"), Rule(measures=("ttft",)))
        )
        for now, old in zip(new, base, strict=True)
    ]
    assert [each for (each,) in judge(new + 0.5, base).verdicts] == ours


@pytest.mark.parametrize(
    "world",
    [
        Tail("spells", {}, (0.02, 0.06), SIGMA, SPELL),
        pytest.param(Tail("a tail", {}, (0.0, 0.05)), marks=pytest.mark.thorough),
        pytest.param(Tail("outages", {}, outages=(0.05, 0.2)), marks=pytest.mark.thorough),
    ],
)
def test_slow_requests_are_judged_as_by_diff(world: Tail) -> None:
    """The verdicts agree for 13 questions in 20 rounds, with TTFT and total time of each request as simulated."""
    rng = np.random.default_rng(3)
    base, new = (SECONDS * world.times(rng, GATES, 20, side) for side in (0, 1))
    ours = [
        verdict(
            diff_within(
                run_of(
                    [
                        answered(target, f"case-{case}", block + 1, float(times[block, case]))
                        for target, times in ((BASE, old), (NEW, now))
                        for block in range(20)
                        for case in range(CASES)
                    ]
                ),
                BASE,
                NEW,
                Rule(measures=("slow",)),
            )
        )
        for old, now in zip(base, new, strict=True)
    ]
    assert [each.verdict for each in judge_slow(base, new)] == ours


def test_failures_are_judged_as_by_diff() -> None:
    """The verdicts agree for outages of whole rounds and for single failures."""
    rng = np.random.default_rng(4)
    base = rng.binomial(CASES, 0.02, (GATES, 10)).astype(float)
    new = rng.binomial(CASES, np.repeat([0.1, 0.3], GATES // 2)[:, None], (GATES, 10)).astype(float)
    new[0, 3] = CASES

    def records(target: str, counts: Floats) -> Iterator[Record]:
        for block, count in enumerate(counts.tolist(), start=1):
            for case in range(CASES):
                make = failed if case < count else answered
                yield make(target, f"case-{case}", block)

    ours = [
        verdict(diff_within(run_of([*records(BASE, old), *records(NEW, now)]), BASE, NEW, Rule(measures=("failures",))))
        for old, now in zip(base, new, strict=True)
    ]
    assert {*ours} >= {Verdict.REGRESSED, Verdict.UNDECIDED}
    assert [each.verdict for each in judge_failures(base, new)] == ours
