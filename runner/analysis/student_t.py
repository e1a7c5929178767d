"""Student's t distribution for any degrees of freedom, vectorized, and approximate quantiles of chi-squared."""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_TERMS = 300
_TINY = 1e-300
_NEWTON_STEPS = 20

Floats = NDArray[np.float64]


def two_sided_p(values: Floats, degrees: Floats) -> Floats:
    """Return the probability that |t| is at least |value|, by the incomplete beta function; 0 for infinite values.

    M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 1964, 26.7.1. The arrays are broadcast.
    """
    values, degrees = np.broadcast_arrays(np.asarray(values, dtype=float), np.asarray(degrees, dtype=float))
    with np.errstate(over="ignore", invalid="ignore"):
        squares = values**2
        x, rest = degrees / (degrees + squares), np.where(np.isinf(squares), 1.0, squares / (degrees + squares))
    return _incomplete_beta(x, rest, degrees / 2)


def quantile(share: float, degrees: Floats) -> Floats:
    """Return the quantile at a share of at least 0.5, by Newton's method; shape of `degrees`.

    It starts at the quantile of the normal distribution, which is lower. The distribution function is concave there, so
    every step increases the value without overshooting.
    """
    degrees = np.asarray(degrees, dtype=float)
    found = np.full(degrees.shape, NormalDist().inv_cdf(share))
    log_scale = _log_gamma_step(degrees / 2) - np.log(degrees * math.pi) / 2
    for _ in range(_NEWTON_STEPS):
        density = np.exp(log_scale - (degrees + 1) / 2 * np.log1p(found**2 / degrees))
        step = (two_sided_p(found, degrees) / 2 - (1 - share)) / density
        found = found + step
        if np.all(np.abs(step) <= 1e-12 * np.maximum(1, found)):
            break
    return found


@lru_cache(maxsize=1024)
def quantile_of(share: float, degrees: float) -> float:
    """Return a single quantile, cached because a page has hundreds of intervals with few different degrees."""
    return float(quantile(share, np.array([degrees]))[0])


def chi_squared_quantile(share: float, degrees: float) -> float:
    """Return the quantile of chi-squared at a share, accurate to a few percent.

    E. Wilson and M. Hilferty, "The Distribution of Chi-Square", PNAS 17, 1931.
    """
    step = 2 / (9 * degrees)
    return float(degrees * max(1 - step + NormalDist().inv_cdf(share) * math.sqrt(step), 0) ** 3)


def _log_gamma_step(values: Floats) -> Floats:
    """Return log(gamma(v + 1/2) / gamma(v)); above 50 by its asymptotic series, since the difference loses digits."""
    exact = [math.lgamma(value + 0.5) - math.lgamma(value) for value in np.minimum(np.ravel(values), 50)]
    series = np.log(values) / 2 - 1 / (8 * values) + 1 / (192 * values**3) - 1 / (640 * values**5)
    return np.where(values > 50, series, np.reshape(exact, np.shape(values))).astype(np.float64)


def _incomplete_beta(x: Floats, rest: Floats, a: Floats) -> Floats:
    """Return the regularized incomplete beta function of a and 1/2 at x, from the tail whose fraction converges fast.

    `rest` is 1 - x, passed separately to keep its digits if x is close to 1.
    """
    b = np.full_like(a, 0.5)
    swap = x > (a + 1) / (a + b + 2)
    front_a, front_b = np.where(swap, b, a), np.where(swap, a, b)
    at = np.where(swap, rest, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = front_a * np.log(at) + front_b * np.log1p(-at)
    front = np.exp(logs - np.log(front_a) - math.lgamma(0.5) + _log_gamma_step(a))
    part = np.where(at > 0, front * _continued_fraction(at, front_a, front_b), 0.0)
    return np.asarray(np.where(swap, 1 - part, part), dtype=np.float64)


def _continued_fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    """Return the continued fraction of Abramowitz and Stegun, 26.5.8, by W. Lentz's method."""
    c = np.ones_like(x)
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d, c = 1 / _not_zero(1 + step * d), _not_zero(1 + step / c)
            value = value * (d * c)
        if np.all(np.abs(d * c - 1) < 1e-15):
            break
    return value


def _not_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) < _TINY, _TINY, values)
