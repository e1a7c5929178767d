"""A gate on history: is tonight's run outside what the runs before it vary by? The run is the unit, not the round.

Two runs differ by more than their rounds tell, since a provider has good and bad days. Against one baseline run that
difference looks like a change; against many it is the yardstick. Pure: figures in, findings out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.permutation import holm_adjust
from runner.analysis.student_t import quantile, two_sided_p
from runner.analysis.verdict import Rule

FEWEST_RUNS = 14
"""Of fewer runs the variation from day to day is too uncertain; two weeks of nights hold both weekends."""

POWER = 0.9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """One row of a run against the same row of `runs` runs before it.

    Of levels, `base` is their geometric mean and `change` the ratio to it; of shares, the mean and the difference. `p`
    is adjusted for all rows. What is not known, of too few runs, is None; `moved` is then False.
    """

    runs: int
    base: float | None
    change: float | None
    p: float | None = None
    interval: Interval | None = None
    """That of the change, 95 %, the variation between runs included; None for shares."""
    usual: Interval | None = None
    """Where 95 % of further runs fall if nothing changes, each row by itself."""
    detectable: float | None = None
    """The ratio, or the share, that would be found in 90 % of nights: of a pass rate a lower one."""
    moved: bool = False
    """Whether the change is significant and at least the minimum effect, in either direction."""


def judge_against_history(
    past: Sequence[Sequence[float]],
    new: Sequence[float],
    rule: Rule | None = None,
    shares: Sequence["ComparedShare | None"] | None = None,
) -> tuple[HistoryFinding, ...]:
    """Return a finding for each row of a run.

    The prediction interval of one further value, t = (new - mean) / (s * sqrt(1 + 1 / H)) with H - 1 degrees of
    freedom, on logarithms: G. Hahn and W. Meeker, "Statistical Intervals", 1991, section 4.7.

    Args:
        past: of each row the values of the runs before, in any order: levels above 0, or shares.
        new: of each row the value of the run that is judged.
        rule: the thresholds.
        shares: of each row of shares how they are judged; None for a row of levels. All are levels if it is left out.

    """
    rule = rule or Rule()
    of_rows = shares or [None] * len(new)
    rows = [_HistoryRow(tuple(values), value, share) for values, value, share in zip(past, new, of_rows, strict=True)]
    tested = [row for row in rows if len(row.past) >= FEWEST_RUNS]
    adjusted = iter(holm_adjust([row.p for row in tested]))
    level = rule.alpha / max(1, len(tested))
    return tuple(
        row.decide(next(adjusted), level, rule)
        if len(row.past) >= FEWEST_RUNS
        else HistoryFinding(len(row.past), row.base, row.change)
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class ComparedShare:
    """A share of `n` requests or repeats of the run that is judged, and the smallest difference that matters.

    `is_rise_found` says which direction `detectable` is of.
    """

    n: int
    least: float
    is_rise_found: bool = True


@dataclass(frozen=True, slots=True)
class _Scale:
    """The scale on which a figure varies alike whatever its size: logarithms; of shares of n, arcs of their roots.

    The variance of the arc is 1 / (4 n) whatever the share: F. Anscombe, "The Transformation of Poisson, Binomial and
    Negative-Binomial Data", Biometrika 35, 1948. Runs do not vary by less than that, if past ones happened to.
    """

    n: int | None

    def scale(self, values: Sequence[float]) -> Floats:
        scaled: Floats = np.log(values) if self.n is None else np.arcsin(np.sqrt(values))
        return scaled

    def unscale(self, value: float) -> float:
        return math.exp(value) if self.n is None else math.sin(min(max(value, 0.0), math.pi / 2)) ** 2

    def error(self, past: Sequence[float]) -> float:
        """Return the standard error of the difference between one further value and the mean of those before it."""
        least = 0.0 if self.n is None else 0.5 / math.sqrt(self.n)
        return max(float(self.scale(past).std(ddof=1)), least) * math.sqrt(1 + 1 / len(past))


@dataclass(frozen=True, slots=True)
class _Prediction:
    """Where one further value lies if nothing changes, on the scale of its figure: a mean and a standard error.

    G. Hahn and W. Meeker, "Statistical Intervals", 1991, section 4.7.
    """

    scale: _Scale
    runs: int
    mean: float
    error: float

    @classmethod
    def of(cls, past: Sequence[float], n: int | None) -> Self:
        scale = _Scale(n)
        return cls(scale, len(past), float(scale.scale(past).mean()), scale.error(past))

    @property
    def half(self) -> float:
        """How far the interval in which 95 % of further values fall reaches to either side."""
        return errors_of_interval(self.runs) * self.error

    @property
    def interval(self) -> Interval:
        """That interval, of the figure itself."""
        return Interval(self.scale.unscale(self.mean - self.half), self.scale.unscale(self.mean + self.half))

    def shift(self, new: float) -> float:
        """Return how far a value is from the mean."""
        return float(self.scale.scale([new])[0]) - self.mean


def usual_range_of(past: Sequence[float], n: int | None = None) -> Interval:
    """Return the range in which 95 % of further values fall if nothing changes: a prediction interval.

    Args:
        past: two values at least: levels above 0, or shares.
        n: of shares, the requests or repeats of the newest.

    """
    return _Prediction.of(past, n).interval


@dataclass(frozen=True)
class _HistoryRow:
    """One figure: its values in the runs before, and in the one that is judged."""

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
        """The p-value of the run's value as a further one."""
        shift, error = self._prediction.shift(self.new), self._prediction.error
        if error == 0:
            return 1.0 if shift == 0 else 0.0
        return float(two_sided_p(np.array([shift / error]), np.array([len(self.past) - 1.0]))[0])

    def decide(self, p: float, level: float, rule: Rule) -> HistoryFinding:
        """Return the finding, with the adjusted p and the level that is left for this row at worst."""
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
            return max(found.scale.unscale(found.mean + reach), min(1.0, base + least))
        return min(found.scale.unscale(found.mean - reach), max(0.0, base - least))


@lru_cache
def errors_of_interval(runs: int) -> float:
    """Return how many standard errors a 95 % interval by Student's t, of so many runs, reaches to either side."""
    return float(quantile((1 + LEVEL) / 2, np.array([runs - 1.0]))[0])


@lru_cache
def _errors_to_detect(level: float, runs: int) -> float:
    """Return how many standard errors away a change is found with the power."""
    degrees = np.array([runs - 1.0])
    return float(quantile(1 - level / 2, degrees)[0] + quantile(POWER, degrees)[0])
