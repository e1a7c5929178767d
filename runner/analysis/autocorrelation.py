"""The mean of a series of rounds, and its variance if neighbouring rounds are correlated.

A slow spell that outlasts a round makes the next round similar, so n rounds carry less information than n independent
ones. The lag-1 autocorrelation r is estimated and corrected for its bias in short series. The variance of the mean is
that of an autoregressive series of order 1; the degrees of freedom are those of the effective number of independent
rounds. M. Bartlett, "Some Aspects of the Time-Correlation Problem in Regard to Tests of Significance", Journal of the
Royal Statistical Society 98, 1935; for the bias: F. Marriott and J. Pope, "Bias in the Estimation of
Autocorrelations", Biometrika 41, 1954.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.analysis.student_t import quantile, two_sided_p

MIN_ROUNDS = 8
"""Minimum number of rounds for an estimate; with fewer, autocorrelation cannot be distinguished from chance."""

HIGHEST = 0.97
"""Upper limit of an autocorrelation."""

ALIKE = 1.5
"""Variance inflation from which rounds are reported as similar to their neighbours."""

_EQUAL = 1e-20
"""Sum of squared residuals up to which logarithms are equal except for rounding."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AutocorrelationMargin:
    """How much an estimated autocorrelation r is reduced or increased.

    Limits are in standard errors of r for independent rounds, 1 / sqrt(n). An r of at most `counts[0]` is attributed to
    chance and becomes 0; from `counts[1]` it is kept in full, and in between it is scaled linearly. A large r is always
    underestimated, so `errors` are added to it in series of `fewest` rounds or more: in full from `large[1]`, in part
    from `large[0]`.
    """

    errors: float
    fewest: int
    counts: tuple[float, float]
    large: tuple[float, float] = (1.0, 2.0)


IN_TESTS = AutocorrelationMargin(0.75, 30, (0.5, 1.0))
"""For tests, which add nothing in short runs because these would then detect nothing."""

IN_INTERVALS = AutocorrelationMargin(1.0, MIN_ROUNDS, (-1.0, 0.0))


@dataclass(frozen=True, slots=True)
class MeanOfRounds:
    """Means of series, with the variance of each mean, its degrees of freedom and its inflation by autocorrelation.

    Each array has shape (series,).
    """

    mean: Floats
    variance: Floats
    degrees: Floats
    inflation: Floats


def mean_of_rounds(series: Floats, correlations: Floats | None = None) -> MeanOfRounds:
    """Return the means of series of rounds, with their variances.

    Args:
        series: one series a row, in the order of time; shape (series, rounds), with at least two rounds.
        correlations: autocorrelation of each series, shape (series,); estimated from the series if None.

    """
    count = series.shape[1]
    if correlations is None:
        correlations = with_margin(autocorrelation(series), count)
    inflation = variance_inflation(correlations, count)
    # Correlated rounds differ less from one another than independent ones, so the sample variance is too low as well.
    spread = series.var(axis=1, ddof=1) * (count - 1) / np.maximum(count - inflation, 0.5)
    degrees = np.maximum(count / inflation - 1, 1.0)
    return MeanOfRounds(series.mean(axis=1), spread * inflation / count, degrees, inflation)


def autocorrelation(series: Floats) -> Floats:
    """Return the lag-1 autocorrelation of each series, corrected for its bias; shape (series,).

    It is 0 for fewer than eight rounds and if all rounds are equal.

    Args:
        series: one series a row, in the order of time; shape (series, rounds).

    """
    count = series.shape[1]
    if count < MIN_ROUNDS:
        return np.zeros(len(series))
    found: Floats = (count * raw_autocorrelation(series) + 1) / (count - 3)
    return found


def raw_autocorrelation(series: Floats) -> Floats:
    """Return the uncorrected lag-1 autocorrelation of each series; -1 / rounds, the bias, if all are equal; (series,).

    Args:
        series: one series a row, in the order of time; shape (series, rounds).

    """
    residuals = series - series.mean(axis=1, keepdims=True)
    power = (residuals**2).sum(axis=1)
    products = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1)
    raw: Floats = np.divide(products, power, out=np.full(len(series), -1 / series.shape[1]), where=power > _EQUAL)
    return raw


def share_autocorrelation(found: Floats, rounds: int | Floats) -> Floats:
    """Return one autocorrelation for all rows of a comparison, estimated over the last axis.

    The estimate of a single row is uncertain, and some of many rows look independent by chance. The shared value is the
    larger of two: the mean, and the root mean square of the positive values less the contribution of chance. Chance
    contributes 1 / n to the mean square of independent rounds, half of it by positive values.

    Args:
        found: corrected autocorrelations; shape (..., rows).
        rounds: number of rounds from which each was estimated.

    """
    by_chance = np.mean(0.5 / np.broadcast_to(np.asarray(rounds, dtype=float), found.shape), axis=-1)
    excess = np.mean(np.maximum(found, 0) ** 2, axis=-1) - by_chance
    shared: Floats = np.maximum(np.mean(found, axis=-1), np.sqrt(np.maximum(excess, 0)))
    return shared


def with_margin(found: Floats, count: int, margin: AutocorrelationMargin = IN_TESTS) -> Floats:
    """Return the estimates, adjusted by a margin and clipped to 0..HIGHEST; same shape as `found`.

    Args:
        found: corrected autocorrelations, as `autocorrelation` returns them; any shape.
        count: number of rounds from which each was estimated.
        margin: the rules for adjusting them.

    """
    errors = found * np.sqrt(count)
    if count >= margin.fewest:
        found = found + _ramp(errors, margin.large) * margin.errors / np.sqrt(count)
    correlations: Floats = np.clip(found * _ramp(errors, margin.counts), 0, HIGHEST)
    return correlations


def _ramp(values: Floats, ends: tuple[float, float]) -> Floats:
    """Return 0 up to the first end, 1 from the second, and linear values in between."""
    ramp: Floats = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)
    return ramp


def variance_inflation(correlations: Floats, count: int) -> Floats:
    """Return the variance of the mean of `count` rounds relative to that of independent rounds; shape (series,).

    Args:
        correlations: autocorrelation of each series; shape (series,).
        count: number of rounds of each series.

    """
    lags = np.arange(1, count)
    weights: Floats = 1 - lags / count
    inflation: Floats = 1 + 2 * (weights * correlations[:, None] ** lags).sum(axis=1)
    return inflation


def t_test_of_shift(
    new: Floats, base: Floats | None, level: float, correlations: Sequence[Floats | None] = (None, None)
) -> tuple[Floats, Floats]:
    """Return the p-values of Student's t test for no shift, and the half-widths of the intervals; shape (series,) each.

    Args:
        new: differences of pairs, or the rounds of the new run; shape (series, rounds).
        base: rounds of the base, or None for pairs. With two runs the degrees of freedom are those of B. Welch, "The
            Generalization of Student's Problem", Biometrika 34, 1947.
        level: confidence level of the intervals.
        correlations: those of `new` and `base`, as in `mean_of_rounds`.

    """
    one = mean_of_rounds(new, correlations[0])
    shift, variance, degrees = one.mean, one.variance, one.degrees
    if base is not None:
        other = mean_of_rounds(base, correlations[1])
        shift, variance = shift - other.mean, variance + other.variance
        parts = one.variance**2 / one.degrees + other.variance**2 / other.degrees
        degrees = np.divide(variance**2, parts, out=np.ones_like(variance), where=parts > 0)
    error = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(shift == 0, 0.0, np.abs(shift) / error)
    return two_sided_p(t, degrees), quantile((1 + level) / 2, degrees) * error
