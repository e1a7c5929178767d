"""The timing of pairs: warnings of comparisons, and the effect of drift on pairs sent together or apart."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import pytest

from runner.analysis.comparison_arms import arm_of
from runner.analysis.comparison_warnings import PairTiming, time_pairs
from runner.analysis.diff import diff_within
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.run_results import Run
from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit
from runner.engine.provider_lane import Lane
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from tests.support.crafted_runs import answered, header
from tests.support.virtual_run import SECOND_NS, VirtualRun

FAST, SLOW = "fast/m", "slow/m"
CASES = 13
ROUND_S = 6.6
"""Duration of a round in the slow lane; TTFT grows by the factor e during a run."""


def drifting_records(rounds: int, seed: int, load: LoadProfile) -> Iterator[Record]:
    """Yield a run in which all TTFT grow alike; replies of one target take twice as long, so its lane is slower."""
    plan = Plan(
        tuple(Case(f"case-{n}", ("Hello?",)) for n in range(CASES)),
        tuple(Target(name.removesuffix("/m"), "m", Parameters()) for name in (FAST, SLOW)),
        rounds,
        seed,
    )
    random = Random(seed)
    lasts_s = {"fast": 1.0, "slow": 2.0}

    def lasts_ns(request: Request) -> int:
        return round(lasts_s[request.target.provider] * math.exp(random.gauss(0, 0.2)) * SECOND_NS)

    lanes = {name: Lane(name, ConcurrencyLimit.of(4)) for name in lasts_s}
    for held in VirtualRun(plan, lanes, lasts_ns, load).run():
        identity = held.request.identity()
        ttft_s = 0.3 * math.exp(random.gauss(0, 0.15) + held.start_ns / SECOND_NS / ROUND_S / rounds)
        record = answered(identity.target, identity.case, identity.block, ttft_s)
        yield replace(record, timestamps=replace(record.timestamps, sent=held.start_ns))


def drifting_run(rounds: int, seed: int, load: LoadProfile, release: str | None) -> Run:
    """Return a run of `drifting_records`."""
    cases = tuple(f"case-{n}" for n in range(CASES))
    made = header("run", (FAST, SLOW), repeat=rounds, cases=cases, release=release)
    return Run.of(made, drifting_records(rounds, seed, load))


def claims(rounds: int, runs: int, load: LoadProfile, release: str | None) -> int:
    """Return the number of runs in which a verdict calls the equal TTFT of the two targets different."""
    rule = Rule(measures=("ttft",), min_effect=0.0001)
    found = 0
    for seed in range(runs):
        run = drifting_run(rounds, seed, load, release)
        difference = diff_within(run, FAST, SLOW, rule, with_replies=False)
        verdicts = {finding.verdict for finding in difference.findings if finding.measure.name == "ttft_s"}
        found += bool(verdicts & {Verdict.IMPROVED, Verdict.REGRESSED, Verdict.CHANGED})
    return found


@pytest.mark.thorough
def test_common_drift_is_no_difference_between_lanes_of_different_speed() -> None:
    """At most two of sixty runs without a difference report one, which a rate of 1 % allows."""
    assert claims(20, 60, LoadProfile(), "together") <= 2


def test_common_drift_is_a_difference_if_one_lane_is_ahead() -> None:
    """With a lead, a target seems faster because its lane was ahead, which is why pairs are sent together."""
    assert claims(20, 10, LoadProfile(lead=2), "lead") >= 5


def timing_of(run: Run) -> PairTiming:
    """Return the timing of the pairs of the two targets."""
    arms = (arm_of(run.table, MeasuredTarget(name), name) for name in (FAST, SLOW))
    timing = time_pairs(*arms)
    assert timing is not None
    return timing


def warning_of(run: Run) -> str | None:
    """Return the warning of pairs that lie apart, or None."""
    warnings = diff_within(run, FAST, SLOW, with_replies=False).warnings
    return next((each for each in warnings if "rounds apart" in each), None)


def test_pairs_sent_together_are_first_equally_often_and_need_no_warning() -> None:
    """The share is close to a half and the lag to 0."""
    run = drifting_run(20, 1, LoadProfile(), "together")
    timing = timing_of(run)
    assert timing.n == 20 * CASES
    assert timing.lag_rounds == 0
    assert warning_of(run) is None


@pytest.mark.parametrize("release", [None, "lead", "mixed"])
def test_a_run_whose_fast_lane_was_ahead_is_warned_of(release: str | None) -> None:
    """Old journals do not state how lanes kept together, but the times show it; the warning has n."""
    run = drifting_run(20, 1, LoadProfile(lead=2), release)
    timing = timing_of(run)
    assert timing.base_first > 0.9
    assert 1.5 < timing.lag_rounds < 3
    warning = warning_of(run)
    assert warning is not None
    assert f"{FAST} was sent first in {timing.base_first:.0%} of 260 pairs" in warning
    assert f"{timing.lag_rounds:.1f} rounds apart" in warning


def pairs_at(*times: tuple[float, float], release: str | None = None) -> Run:
    """Return a run with a pair per round, sent at these seconds."""
    records = []
    for block, at_s in enumerate(times, start=1):
        for target, sent_s in zip((FAST, SLOW), at_s, strict=True):
            record = answered(target, "one", block, 0.3)
            records.append(replace(record, timestamps=replace(record.timestamps, sent=round(sent_s * SECOND_NS))))
    return Run.of(header("run", (FAST, SLOW), release=release), records)


def test_timing_follows_its_definition() -> None:
    """A round lasts the time from first to last request divided by the number of rounds; a tie counts as half."""
    timing = timing_of(pairs_at((0, 1), (10, 13), (20, 20), (31, 30)))
    assert timing == PairTiming(4, 0.625, 1 / (31 / 4))


@pytest.mark.parametrize(
    ("times", "release", "warns"),
    [
        ([(10 * n, 10 * n + 1) for n in range(8)], None, True),
        ([(10 * n, 10 * n + 1) for n in range(8)], "together", False),
        ([(10 * n, 10 * n + 1) for n in range(7)], None, False),
        ([(10 * n + (n % 4 == 0) * 2, 10 * n + 1) for n in range(8)], None, False),
        ([(10 * n, 10 * n + (-1) ** n * 8) for n in range(8)], "together", True),
        ([(0, 8)], "together", False),
    ],
    ids=["first", "first by chance", "too few", "three of four", "apart", "a single pair"],
)
def test_warning_needs_more_than_three_quarters_or_half_a_round(
    times: list[tuple[float, float]], release: str | None, *, warns: bool
) -> None:
    """One side is first in more than 75 % of at least eight pairs, or the median lag exceeds half a round."""
    assert (warning_of(pairs_at(*times, release=release)) is not None) is warns


def cached(tokens: Sequence[int | None], other: Sequence[int | None]) -> list[str]:
    """Return the warnings of caches, given the cached tokens of each side's requests."""
    records = [
        replace(answered(target, "one", block, 0.3), cached_tokens=count)
        for target, counts in ((FAST, tokens), (SLOW, other))
        for block, count in enumerate(counts, start=1)
    ]
    run = Run.of(header("run", (FAST, SLOW), release="together"), records)
    warnings = diff_within(run, FAST, SLOW, with_replies=False).warnings
    return [each for each in warnings if "prompt cache" in each]


def test_one_side_from_a_cache_is_warned_of_with_counts() -> None:
    """Both counts are given; if a provider reports none, they are called unknown."""
    (warning,) = cached([512, 0, 512, 512], [0, 0, 0, 0])
    assert "3 of 4 requests of base and 0 of 4 requests of new" in warning
    (warning,) = cached([512, 0, 512, 512], [None] * 4)
    assert "0 of 4 requests (4 did not report it) of new" in warning
    assert cached([0] * 10, [0] * 9 + [1])


@pytest.mark.parametrize("both", [[512, 0], [0, 0], [None, None], [9, 9]])
def test_equal_caches_are_not_warned_of(both: list[int | None]) -> None:
    """Both sides had some, neither had any, or nothing is known."""
    assert not cached(both, both)


def test_unequal_shares_of_cached_requests_are_warned_of() -> None:
    """They differ by more than ten points."""
    assert cached([5] * 10, [5] * 8 + [0] * 2)
    assert not cached([5] * 10, [5] * 9 + [0])
