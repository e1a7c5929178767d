"""The mean of a series of rounds that may have slow spells: how sure it is when neighbouring rounds are alike.

A spell that outlasts a round makes the next round resemble it, so that n rounds say less than n independent ones.
The lag-1 autocorrelation r is estimated and corrected for its bias in short series; the variance of the mean is then
that of an autoregressive series of order 1, and the degrees of freedom are those of as many independent rounds.
(M. Bartlett, "Some Aspects of the Time-Correlation Problem in Regard to Tests of Significance", Journal of the Royal
Statistical Society 98, 1935; on the bias: F. Marriott and J. Pope, "Bias in the Estimation of Autocorrelations",
Biometrika 41, 1954.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.analysis.student_t import quantile, two_sided_p

FEWEST_ROUNDS = 8
"""Of fewer rounds no autocorrelation is estimated: nothing could be told from chance."""

HIGHEST = 0.97

ALIKE = 1.5
"""From this factor on, by which spells inflate a variance, rounds are said to resemble one another."""

_EQUAL = 1e-20
"""Squares of logarithms that are equal but for rounding."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Caution:
    """How an estimated r is used, in standard errors of an r of independent rounds, 1 / sqrt(n).

    One of at most `counts[0]` errors is chance and counts as 0, one of `counts[1]` counts in full, and between them in
    part. A large one is always estimated too low: in series of `fewest` rounds or more `errors` are added, from
    `large[0]` on in part, and from `large[1]` on in full.
    """

    errors: float
    fewest: int
    counts: tuple[float, float]
    large: tuple[float, float] = (1.0, 2.0)


IN_TESTS = Caution(0.75, 30, (0.5, 1.0))
"""Tests add nothing in short runs, which would find nothing otherwise."""

IN_INTERVALS = Caution(1.0, FEWEST_ROUNDS, (-1.0, 0.0))


@dataclass(frozen=True, slots=True)
class MeanOfRounds:
    """The means of some series, the variance of each mean, its degrees of freedom, and by how much spells inflate it.

    Each has shape (series,).
    """

    mean: Floats
    variance: Floats
    degrees: Floats
    inflation: Floats


def mean_of_rounds(series: Floats, correlations: Floats | None = None) -> MeanOfRounds:
    """Return the means of series of rounds, and how sure they are.

    Args:
        series: one series a row, in the order of time; shape (series, rounds), two rounds at least.
        correlations: the autocorrelation of each; those of the series themselves if None.

    """
    count = series.shape[1]
    if correlations is None:
        correlations = add_caution(autocorrelation(series), count)
    inflation = variance_inflation(correlations, count)
    # Within a spell rounds differ less than rounds of the whole time do: the variance, too, is estimated too low.
    spread = series.var(axis=1, ddof=1) * (count - 1) / np.maximum(count - inflation, 0.5)
    degrees = np.maximum(count / inflation - 1, 1.0)
    return MeanOfRounds(series.mean(axis=1), spread * inflation / count, degrees, inflation)


def autocorrelation(series: Floats) -> Floats:
    """Return the lag-1 autocorrelation of each series, corrected for its bias; shape (series,).

    It is 0 for fewer than eight rounds, and for rounds that are all equal.
    """
    count = series.shape[1]
    if count < FEWEST_ROUNDS:
        return np.zeros(len(series))
    residuals = series - series.mean(axis=1, keepdims=True)
    power = (residuals**2).sum(axis=1)
    products = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1)
    raw = np.divide(products, power, out=np.full(len(series), -1 / count), where=power > _EQUAL)
    found: Floats = (count * raw + 1) / (count - 3)
    return found


def share_autocorrelation(found: Floats, rounds: int | Floats) -> Floats:
    """Return the autocorrelation that rows of one comparison have in common, over the last axis.

    Each row's own is uncertain, and of many rows some look independent by chance. Common is their root mean square,
    without what chance contributes to it (of independent rounds 1 / n, half of it by values above 0); or their mean.

    Args:
        found: corrected autocorrelations; shape (..., rows).
        rounds: how many rounds each was estimated from.

    """
    by_chance = np.mean(0.5 / np.broadcast_to(np.asarray(rounds, dtype=float), found.shape), axis=-1)
    excess = np.mean(np.maximum(found, 0) ** 2, axis=-1) - by_chance
    shared: Floats = np.maximum(np.mean(found, axis=-1), np.sqrt(np.maximum(excess, 0)))
    return shared


def add_caution(found: Floats, count: int, caution: Caution = IN_TESTS) -> Floats:
    """Return the autocorrelations to reckon with, never negative, from those found in so many rounds."""
    errors = found * np.sqrt(count)
    if count >= caution.fewest:
        found = found + _ramp(errors, caution.large) * caution.errors / np.sqrt(count)
    correlations: Floats = np.clip(found * _ramp(errors, caution.counts), 0, HIGHEST)
    return correlations


def _ramp(values: Floats, ends: tuple[float, float]) -> Floats:
    """Return 0 up to the first end, 1 from the second on, and a line between them."""
    ramp: Floats = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)
    return ramp


def variance_inflation(correlations: Floats, count: int) -> Floats:
    """Return by how much the variance of a mean exceeds that of independent rounds; shape (series,)."""
    lags = np.arange(1, count)
    weights: Floats = 1 - lags / count
    inflation: Floats = 1 + 2 * (weights * correlations[:, None] ** lags).sum(axis=1)
    return inflation


def judge_shift(
    new: Floats, base: Floats | None, level: float, correlations: Sequence[Floats | None] = (None, None)
) -> tuple[Floats, Floats]:
    """Return the p-values of no shift by Student's t, and half the widths of the intervals; each of shape (series,).

    Args:
        new: differences of pairs, or the rounds of the new run; shape (series, rounds).
        base: the rounds of the base, or None for pairs; with two runs the degrees of freedom are those of B. Welch,
            "The Generalization of Student's Problem", Biometrika 34, 1947.
        level: of the interval.
        correlations: of new and base, see `mean_of_rounds`.

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
