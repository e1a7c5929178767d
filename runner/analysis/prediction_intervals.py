"""The verdict on a run by its history: whether it is outside the prediction intervals of the earlier runs.

The unit is the run, not the round. Two runs differ by more than their rounds show, because a provider has good and bad
days. Compared with one baseline run, this variation looks like a change; compared with many, it is part of the test.
All functions are pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runner.analysis.diff_verdict import Rule
from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.significance_tests import holm_adjust
from runner.analysis.student_t import quantile_of, two_sided_p

MIN_RUNS = 14
"""Minimum number of earlier runs; with fewer, the day-to-day variation is too uncertain. Two weeks of nightly runs
include two weekends."""

POWER = 0.9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """A row of a run, compared with the same row of `runs` earlier runs.

    For levels, `base` is their geometric mean and `change` the ratio to it; for shares, the mean and the difference.
    `p` is adjusted for all rows. With too few runs, unknown values are None and `moved` is False.
    """

    runs: int
    base: float | None
    change: float | None
    p: float | None = None
    interval: Interval | None = None
    """95 % interval of the change, including the variation between runs; None for shares."""
    usual: Interval | None = None
    """Range of 95 % of further runs if nothing changes, for each row by itself."""
    detectable: float | None = None
    """Ratio, or share, that would be detected in 90 % of runs; for a pass rate, a lower share."""
    moved: bool = False
    """Whether the change is significant and at least the minimum effect, in either direction."""


def compare_against_history(
    past: Sequence[Sequence[float]],
    new: Sequence[float],
    rule: Rule | None = None,
    shares: Sequence["ComparedShare | None"] | None = None,
) -> tuple[HistoryFinding, ...]:
    """Return a finding for each row of a run.

    The test is that of the prediction interval of one further value, t = (new - mean) / (s * sqrt(1 + 1 / H)) with
    H - 1 degrees of freedom, on logarithms: G. Hahn and W. Meeker, "Statistical Intervals", 1991, section 4.7.

    Args:
        past: values of the earlier runs in any order, for each row: positive levels, or shares.
        new: value of the new run, for each row.
        rule: the thresholds.
        shares: sample size and threshold for each row of shares, None for each row of levels. By default all rows are
            levels.

    """
    rule = rule or Rule()
    of_rows = shares or [None] * len(new)
    rows = [_HistoryRow(tuple(values), value, share) for values, value, share in zip(past, new, of_rows, strict=True)]
    tested = [row for row in rows if len(row.past) >= MIN_RUNS]
    adjusted = iter(holm_adjust([row.p for row in tested]))
    level = rule.alpha / max(1, len(tested))
    return tuple(
        row.decide(next(adjusted), level, rule)
        if len(row.past) >= MIN_RUNS
        else HistoryFinding(len(row.past), row.base, row.change)
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class ComparedShare:
    """Sample size of a share in the new run, in requests or repeats, and the smallest difference that matters.

    `is_rise_found` is the direction of `detectable`: a rise or a fall.
    """

    n: int
    least: float
    is_rise_found: bool = True


@dataclass(frozen=True, slots=True)
class _Prediction:
    """Prediction of one further value if nothing changes: its mean and standard error on a variance-stabilising scale.

    The scale is the logarithm for levels, and the arcsine of the square root for shares of `n`. The variance of the
    arcsine is 1 / (4 n) for any share: F. Anscombe, "The Transformation of Poisson, Binomial and Negative-Binomial
    Data", Biometrika 35, 1948. It is a lower limit, even if earlier runs happened to vary less. For the prediction: G.
    Hahn and W. Meeker, "Statistical Intervals", 1991, section 4.7.
    """

    n: int | None
    runs: int
    mean: float
    error: float

    @classmethod
    def of(cls, past: Sequence[float], n: int | None) -> Self:
        scaled, runs = _scale(past, n), len(past)
        least = 0.0 if n is None else 0.5 / math.sqrt(n)
        error = max(float(scaled.std(ddof=1)), least) * math.sqrt(1 + 1 / runs)
        return cls(n, runs, float(scaled.mean()), error)

    def unscale(self, value: float) -> float:
        """Return a value on the scale in the unit of the values."""
        return math.exp(value) if self.n is None else math.sin(min(max(value, 0.0), math.pi / 2)) ** 2

    @property
    def half(self) -> float:
        """The half-width of the 95 % prediction interval, on the scale."""
        return quantile_of((1 + LEVEL) / 2, self.runs - 1.0) * self.error

    @property
    def interval(self) -> Interval:
        """The 95 % prediction interval, in the unit of the values."""
        return Interval(self.unscale(self.mean - self.half), self.unscale(self.mean + self.half))

    def shift(self, new: float) -> float:
        """Return the difference between a value and the mean, on the scale."""
        return float(_scale([new], self.n)[0]) - self.mean


def _scale(values: Sequence[float], n: int | None) -> Floats:
    scaled: Floats = np.log(values) if n is None else np.arcsin(np.sqrt(values))
    return scaled


def usual_range_of(past: Sequence[float], n: int | None = None) -> Interval:
    """Return the 95 % prediction interval of a further value.

    Args:
        past: at least two values: positive levels, or shares.
        n: sample size of the newest share, in requests or repeats; None for levels.

    """
    return _Prediction.of(past, n).interval


@dataclass(frozen=True)
class _HistoryRow:
    """The values of a row in the earlier runs and in the new run."""

    past: tuple[float, ...]
    new: float
    share: ComparedShare | None

    @property
    def base(self) -> float | None:
        if not self.past:
            return None
        return math.exp(float(np.log(self.past).mean())) if self.share is None else float(np.mean(self.past))

    @property
    def change(self) -> float | None:
        base = self.base
        if base is None:
            return None
        return self.new / base if self.share is None else self.new - base

    @cached_property
    def _prediction(self) -> _Prediction:
        return _Prediction.of(self.past, None if self.share is None else self.share.n)

    @property
    def p(self) -> float:
        """The p-value of the new value as a further one."""
        shift, error = self._prediction.shift(self.new), self._prediction.error
        if error == 0:
            return 1.0 if shift == 0 else 0.0
        return float(two_sided_p(np.array([shift / error]), np.array([len(self.past) - 1.0]))[0])

    def decide(self, p: float, level: float, rule: Rule) -> HistoryFinding:
        """Return the finding, given the adjusted p-value and the strictest significance level of a row."""
        half = self._prediction.half
        shift, change = self._prediction.shift(self.new), self.change
        assert change is not None
        is_large = abs(shift) >= math.log1p(rule.min_effect)
        if self.share is not None:
            is_large = abs(change) >= self.share.least
        return HistoryFinding(
            runs=len(self.past),
            base=self.base,
            change=change,
            p=p,
            interval=Interval(shift - half, shift + half).exponential() if self.share is None else None,
            usual=self._prediction.interval,
            detectable=self._detectable(level, rule),
            moved=p <= rule.alpha and is_large,
        )

    def _detectable(self, level: float, rule: Rule) -> float:
        found = self._prediction
        reach = _errors_to_detect(level, len(self.past)) * found.error
        if self.share is None:
            return math.exp(max(math.log1p(rule.min_effect), reach))
        base, least = self.base or 0.0, self.share.least
        if self.share.is_rise_found:
            return max(found.unscale(found.mean + reach), min(1.0, base + least))
        return min(found.unscale(found.mean - reach), max(0.0, base - least))


def _errors_to_detect(level: float, runs: int) -> float:
    """Return the change that is detected with probability POWER, in standard errors."""
    return quantile_of(1 - level / 2, runs - 1.0) + quantile_of(POWER, runs - 1.0)
