"""The rules that gates.py applies: the verdicts of `compare diff`, vectorized over gates, and three others."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.autocorrelation import autocorrelation, share_autocorrelation, t_test_of_shift, with_margin
from runner.analysis.diff_evidence import compare_shares, compare_slow
from runner.analysis.diff_measures import Better
from runner.analysis.diff_verdict import Criteria, Decision, Rule, Verdict, decide
from runner.analysis.intervals import Interval
from runner.analysis.proportions import CountsByRound, Proportion, design_effect, requests_needed
from runner.analysis.significance_tests import (
    PermutationResult,
    Permutations,
    Relabellings,
    SignFlips,
    confidence_interval,
    fewest_of_two_samples,
    fewest_pairs,
    holm_adjust,
    p_values,
    smallest_p,
)
from runner.analysis.slow_requests import SLOW, SlowRounds, design_effect_of_slow
from tests.benchmarks.gate_worlds import CASES, Floats

SURE = 0.999
"""Level of the interval of a rate that must overlap its band, so that hardly any figure fails by chance."""

MAX_PERMUTED, MAX_INVERTED = 150, 20
"""Most rounds for which the permutation test, and its interval, are computed; for more, Student's t gives the same."""

MIN_EFFECT = float(np.log1p(Rule().min_effect))


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of an event in a number of tries, and the band in which it should be.

    `others` are the counts of the earlier rule, the bare threshold and the t-test; None for one that does not apply.
    """

    what: str
    count: int
    tries: int
    low: float = 0.0
    high: float = 1.0
    others: tuple[int | None, ...] = (None, None, None)

    @property
    def is_in_band(self) -> bool:
        """Return whether the band overlaps the exact interval of the rate."""
        ends = stats.binomtest(self.count, self.tries).proportion_ci(SURE)
        return bool(ends.low <= self.high and ends.high >= self.low)

    def __str__(self) -> str:
        """Render as cells of a table, in percent, with the exact 95 % interval."""
        ends = stats.binomtest(self.count, self.tries).proportion_ci()
        share = f"{100 * self.count / self.tries:.1f} [{100 * ends.low:.1f}, {100 * ends.high:.1f}]"
        band = "" if (self.low, self.high) == (0.0, 1.0) else f"{100 * self.low:g} to {100 * self.high:g}"
        others = ["" if each is None else f"{100 * each / self.tries:.1f}" for each in self.others]
        return f"| {' | '.join((self.what, f'{self.tries:,}', share, band, *others))} |"


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts of gates by this rule and the earlier one, a list of rows for each gate, and two rules' failures."""

    verdicts: list[list[Verdict]]
    earlier: list[list[Verdict]]
    threshold: int
    t_test: int

    @property
    def gates(self) -> int:
        """Number of gates."""
        return len(self.verdicts)

    @property
    def claims(self) -> int:
        """Number of gates that claim any change."""
        return self.count("claims")

    @property
    def decided(self) -> int:
        """Number of gates without an undecided row."""
        return sum(Verdict.UNDECIDED not in each for each in self.verdicts)

    def count(self, what: str) -> int:
        """Return the number of gates that claim any change, or that call any row unchanged."""
        return _count(self.verdicts, what)

    def fails(self, rule: str) -> bool:
        """Return whether any gate fails by the `verdicts` or by the `earlier` ones."""
        return any(Verdict.REGRESSED in each for each in getattr(self, rule))

    def count_earlier(self, what: str) -> int:
        """Return the number of gates as `count` does, by the earlier rule."""
        return _count(self.earlier, what)


CLAIMS = frozenset({Verdict.REGRESSED, Verdict.IMPROVED})


def _count(verdicts: list[list[Verdict]], what: str) -> int:
    wanted = {Verdict.UNCHANGED} if what == "unchanged" else CLAIMS
    return sum(bool(wanted & {*each}) for each in verdicts)


def judge(new: Floats, base: Floats | None = None, rows: int = 1) -> Judged:
    """Apply all rules to differences of pairs, or to the rounds of two runs; shape (gates * rows, rounds)."""
    rounds, sides = new.shape[1], (new,) if base is None else (new, base)
    shifts = new.mean(axis=1) - (0 if base is None else base.mean(axis=1))
    permutations = SignFlips(rounds) if base is None else Relabellings(rounds, rounds)
    values = new if base is None else np.concatenate([base, new], axis=1)
    permuted = p_values(values, permutations) if rounds <= MAX_PERMUTED else np.zeros(len(new))
    p, half = t_test_of_shift(new, base, 0.95, _correlations(sides, rows))
    none = [np.zeros(len(new))] * len(sides)
    plain = t_test_of_shift(new, base, 0.95, none)
    student = stats.ttest_1samp(new, 0, axis=1) if base is None else stats.ttest_ind(new, base, axis=1)
    return Judged(
        verdicts=_decide_all(
            shifts,
            np.maximum(p, permuted),
            _widen(values, shifts, half, permutations),
            permutations,
            rows,
            is_bound=True,
        ),
        earlier=_decide_all(
            shifts, permuted if rounds <= MAX_PERMUTED else plain[0], plain[1], permutations, rows, is_bound=False
        ),
        threshold=_any(shifts > MIN_EFFECT, rows),
        t_test=_any(np.logical_and(student.pvalue < 0.05, student.statistic > 0), rows),
    )


def _widen(values: Floats, shifts: Floats, half: Floats, permutations: Permutations) -> Floats:
    """Return half the widths of intervals, widened to contain those of the permutation test.

    Only intervals of rows that the narrower one decides are widened.
    """
    if permutations.units > MAX_INVERTED * (1 if isinstance(permutations, SignFlips) else 2):
        return half
    size = np.abs(shifts)
    for at in np.flatnonzero((size - half >= MIN_EFFECT) | (size + half < MIN_EFFECT)):
        interval = confidence_interval(values[at], permutations)
        if interval is not None:
            half[at] = max(half[at], shifts[at] - interval.low, interval.high - shifts[at])
    return half


def _correlations(sides: tuple[Floats, ...], rows: int) -> list[Floats]:
    rounds = sides[0].shape[1]
    found = [autocorrelation(each) for each in sides]
    shared = share_autocorrelation(np.concatenate([each.reshape(-1, rows) for each in found], axis=1), rounds)
    return [with_margin(np.maximum(each, shared.repeat(rows)), rounds) for each in found]


def _decide_all(
    shifts: Floats, p: Floats, half: Floats, permutations: Permutations, rows: int, *, is_bound: bool
) -> list[list[Verdict]]:
    return [
        [each.verdict for each in decisions]
        for decisions in _decisions(shifts, p, half, permutations, rows, is_bound=is_bound)
    ]


def _decisions(
    shifts: Floats,
    p: Floats,
    half: Floats,
    permutations: Permutations,
    rows: int,
    *,
    is_bound: bool,
    spread: float = 0.1,
) -> list[list[Decision]]:
    rule, is_paired = Rule(), isinstance(permutations, SignFlips)
    criteria = Criteria(
        min_effect=MIN_EFFECT,
        alpha=rule.alpha,
        alpha_of_row=rule.alpha / rows,
        better=Better.LOWER,
        beyond_clock=True,
        fewest_units=fewest_pairs if is_paired else fewest_of_two_samples,
        is_bound=is_bound,
    )
    units, smallest = permutations.units // (1 if is_paired else 2), smallest_p(permutations)
    has_interval = units >= (6 if is_paired else 4)
    decisions = []
    for at in range(0, len(p), rows):
        part = slice(at, at + rows)
        results = [
            PermutationResult(
                shift, raw, smallest, spread, units, Interval(shift - wide, shift + wide) if has_interval else None
            )
            for shift, raw, wide in zip(shifts[part].tolist(), p[part].tolist(), half[part].tolist(), strict=True)
        ]
        adjusted = holm_adjust(p[part].tolist())
        decisions.append([decide(result, each, criteria) for result, each in zip(results, adjusted, strict=True)])
    return decisions


def _any(failed: NDArray[np.bool_], rows: int) -> int:
    """Return the number of gates in which any row failed."""
    return int(failed.reshape(-1, rows).any(axis=1).sum())


def needed_rounds(pilots: Floats) -> list[int]:
    """Return the numbers of rounds that pilots of one row name; pilots that are decided or name none are left out."""
    rounds = pilots.shape[1]
    permutations = SignFlips(rounds)
    correlations = _correlations((pilots,), 1)
    p, half = t_test_of_shift(pilots, None, 0.95, correlations)
    p = np.maximum(p, p_values(pilots, permutations))
    lags = np.arange(1, rounds)
    inflation = 1 + 2 * ((1 - lags / rounds) * correlations[0][:, None] ** lags).sum(axis=1)
    spreads = pilots.std(axis=1, ddof=1) * np.sqrt(inflation)
    found = []
    for at, spread in enumerate(spreads.tolist()):
        part = slice(at, at + 1)
        shifts = pilots[part].mean(axis=1)
        ((decision,),) = _decisions(shifts, p[part], half[part], permutations, 1, is_bound=True, spread=spread)
        if decision.needed is not None:
            found.append(decision.needed)
    return found


def judge_slow(base: Floats, new: Floats, *, is_pilot: bool = False) -> list[Decision]:
    """Return the decision on the row of slow requests of each gate; times of shape (gates, rounds, cases).

    Only the decisions of pilots have the number of rounds, which takes longer to compute than everything else.
    """
    usual = np.median(np.stack([base, new], axis=1), axis=(1, 2))[:, None, :]
    sides = [_rounds_of(times, times > SLOW * usual) for times in (base, new)]
    return [
        _decide_shares(
            compare_slow(old, now, paired=True), Rule().min_slow_rise, partial(_slow_needed, old, now, is_pilot)
        )
        for old, now in zip(*sides, strict=True)
    ]


def _rounds_of(times: Floats, slow: NDArray[np.bool_]) -> list[SlowRounds]:
    """Return the rounds of one side of each gate, as `slow_rounds` returns them for a table."""
    rounds, cases = times.shape[1:]
    ranks = (stats.rankdata(times, axis=1) - (rounds + 1) / 2).sum(axis=2)
    variances, tried = np.full(rounds, cases * (rounds**2 - 1) / 12), np.full(rounds, float(cases))
    return [
        SlowRounds((count, tried), rank, variances)
        for count, rank in zip(slow.sum(axis=2).astype(float), ranks, strict=True)
    ]


def _slow_needed(base: SlowRounds, new: SlowRounds, is_pilot: bool, least: float, level: float) -> float:
    if not is_pilot:
        return math.inf
    requests = _requests_needed(base.share, new.share, design_effect_of_slow(base, new), least, level)
    return requests / float(base.counts[1][0])


_requests_needed = cache(requests_needed)


def judge_failures(base: Floats, new: Floats, *, is_pilot: bool = False) -> list[Decision]:
    """Return the decision on the row of failures of each gate; failures of shape (gates, rounds), of CASES requests."""
    tried = np.full(base.shape[1], float(CASES))
    return [
        _decide_shares(
            compare_shares((old, tried), (now, tried)),
            Rule().min_failure_rise,
            partial(_failures_needed, (old, tried), (now, tried), is_pilot),
        )
        for old, now in zip(base, new, strict=True)
    ]


def _failures_needed(base: CountsByRound, new: CountsByRound, is_pilot: bool, least: float, level: float) -> float:
    shares = [Proportion(float(failed.sum()), float(tried.sum())) for failed, tried in (base, new)]
    return _requests_needed(shares[0], shares[1], design_effect(base, new), least, level) if is_pilot else math.inf


def _decide_shares(result: PermutationResult, least: float, forecast: Callable[[float, float], float]) -> Decision:
    rule = Rule()
    criteria = Criteria(
        least, rule.alpha, rule.alpha, Better.LOWER, True, fewest_of_two_samples, forecast, is_bound=False
    )
    return decide(result, result.p, criteria)
