"""The rules that gates.py applies: the verdicts of `compare diff`, vectorized over gates, and three others."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from runner.analysis.autocorrelation import add_caution, autocorrelation, judge_shift, share_autocorrelation
from runner.analysis.intervals import Interval
from runner.analysis.measure_evidence import ComparedArms, allow_for_spells, gather_evidence
from runner.analysis.measures import SLOW_REQUESTS, Better
from runner.analysis.pairing import Arm
from runner.analysis.permutation import (
    PermutationResult,
    Permutations,
    Relabellings,
    SignFlips,
    fewest_of_two_samples,
    fewest_pairs,
    holm_adjust,
    p_values,
    smallest_p,
)
from runner.analysis.verdict import Criteria, Decision, Rule, Verdict, decide
from tests.benchmarks.gate_worlds import Floats

SURE = 0.999
"""The level of the interval of a rate that must reach into its band: hardly a figure fails by chance."""

MOST_PERMUTED = 150
"""Of more rounds the permutation test is left out: it says what Student's t says."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened in a number of tries, and within which shares it should.

    `others` counts it for the earlier rule, the bare threshold and the t-test; None where they do not apply.
    """

    what: str
    count: int
    tries: int
    low: float = 0.0
    high: float = 1.0
    others: tuple[int | None, ...] = (None, None, None)

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
        others = ["" if each is None else f"{100 * each / self.tries:.1f}" for each in self.others]
        return f"| {' | '.join((self.what, f'{self.tries:,}', share, band, *others))} |"


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts of some gates, one list of rows each, by this rule and the earlier one; and two rules' failures."""

    verdicts: list[list[Verdict]]
    earlier: list[list[Verdict]]
    threshold: int
    t_test: int

    @property
    def gates(self) -> int:
        """How many gates there are."""
        return len(self.verdicts)

    @property
    def claims(self) -> int:
        """How many gates claim any change."""
        return self.count("claims")

    @property
    def decided(self) -> int:
        """How many gates have no undecided row."""
        return sum(Verdict.UNDECIDED not in each for each in self.verdicts)

    def count(self, what: str) -> int:
        """Count the gates that claim any change, or that call any row unchanged."""
        return _count(self.verdicts, what)

    def fails(self, rule: str) -> bool:
        """Return whether any gate fails, by the `verdicts` or by the `earlier` ones."""
        return any(Verdict.REGRESSED in each for each in getattr(self, rule))

    def count_earlier(self, what: str) -> int:
        """Count the same by the earlier rule."""
        return _count(self.earlier, what)


def _count(verdicts: list[list[Verdict]], what: str) -> int:
    wanted = {Verdict.UNCHANGED} if what == "unchanged" else {Verdict.REGRESSED, Verdict.IMPROVED}
    return sum(bool(wanted & {*each}) for each in verdicts)


def judge(new: Floats, base: Floats | None = None, rows: int = 1) -> Judged:
    """Apply all rules to differences of pairs, or to the rounds of two runs; shape (gates * rows, rounds)."""
    rounds, sides = new.shape[1], (new,) if base is None else (new, base)
    shifts = new.mean(axis=1) - (0 if base is None else base.mean(axis=1))
    permutations = SignFlips(rounds) if base is None else Relabellings(rounds, rounds)
    values = new if base is None else np.concatenate([base, new], axis=1)
    permuted = p_values(values, permutations) if rounds <= MOST_PERMUTED else np.zeros(len(new))
    p, half = judge_shift(new, base, 0.95, _correlations(sides, rows))
    none = [np.zeros(len(new))] * len(sides)
    plain = judge_shift(new, base, 0.95, none)
    student = stats.ttest_1samp(new, 0, axis=1) if base is None else stats.ttest_ind(new, base, axis=1)
    return Judged(
        verdicts=_decide_all(shifts, np.maximum(p, permuted), half, permutations, rows, is_bound=True),
        earlier=_decide_all(
            shifts, permuted if rounds <= MOST_PERMUTED else plain[0], plain[1], permutations, rows, is_bound=False
        ),
        threshold=_any(shifts > np.log1p(Rule().min_effect), rows),
        t_test=_any(np.logical_and(student.pvalue < 0.05, student.statistic > 0), rows),
    )


def _correlations(sides: tuple[Floats, ...], rows: int) -> list[Floats]:
    rounds = sides[0].shape[1]
    found = [autocorrelation(each) for each in sides]
    shared = share_autocorrelation(np.concatenate([each.reshape(-1, rows) for each in found], axis=1), rounds)
    return [add_caution(np.maximum(each, shared.repeat(rows)), rounds) for each in found]


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
        min_effect=float(np.log1p(rule.min_effect)),
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
    """Count the gates in which any row failed."""
    return int(failed.reshape(-1, rows).any(axis=1).sum())


def needed_rounds(pilots: Floats) -> list[int]:
    """Return the number of rounds that each pilot of one row names, of those that are undecided and name one."""
    rounds = pilots.shape[1]
    permutations = SignFlips(rounds)
    correlations = _correlations((pilots,), 1)
    p, half = judge_shift(pilots, None, 0.95, correlations)
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


def find_slow(base: Floats, new: Floats) -> bool:
    """Return whether the row of slow requests of a gate claims any change; times of shape (rounds, cases)."""
    arms = ComparedArms("new", _arm("base", base), _arm("new", new), paired=True, clock_error_s=0.0)
    (row,) = allow_for_spells(gather_evidence(arms, (SLOW_REQUESTS,)))
    rule = Rule()
    criteria = Criteria(
        rule.min_slow_rise, rule.alpha, rule.alpha, Better.LOWER, True, row.fewest_units, row.project, is_bound=False
    )
    return decide(row.result, row.result.p, criteria).verdict in {Verdict.REGRESSED, Verdict.IMPROVED}


def _arm(label: str, times: Floats) -> Arm:
    rounds, cases = times.shape
    rows = {
        "case": np.tile(np.arange(cases), rounds),
        "turn": 1,
        "vantage": "",
        "block": np.repeat(np.arange(rounds), cases),
        "outcome": "ok",
        "ttft_s": times.ravel(),
        "total_s": times.ravel(),
    }
    return Arm(label, pd.DataFrame(rows))
