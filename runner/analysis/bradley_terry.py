"""Bradley-Terry strengths of targets from paired comparisons, with intervals clustered by case.

A target wins against another with probability 1 / (1 + exp(-d)), where d is the difference of their strengths. A tie
counts as half a win for both. R. Bradley and M. Terry, "Rank Analysis of Incomplete Block Designs: I. The Method of
Paired Comparisons", Biometrika 39, 1952.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.analysis.intervals import LEVEL, MIN_UNITS, Interval
from runner.analysis.student_t import quantile_of

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

_STEPS, _TOLERANCE = 200, 1e-10


@dataclass(frozen=True, slots=True)
class Strength:
    """Strength of a target: natural log-odds, relative to the mean of the targets on its scale."""

    target: str
    value: float | None
    """None if no other target is on the same scale."""
    interval: Interval | None
    """Interval by case; None with fewer than six cases, or if one of them alone connects the targets."""
    scale: int
    """Number of its scale, from 1; strengths on different scales cannot be compared."""
    n: int
    """Number of comparisons of the target with others on its scale."""
    cases: int
    """Number of cases with such comparisons on the scale."""


@dataclass(frozen=True, slots=True)
class Separation:
    """Targets that won every comparison with others: they are stronger, by an unknown amount."""

    above: tuple[str, ...]
    below: tuple[str, ...]
    n: int
    """Number of these comparisons."""


@dataclass(frozen=True, slots=True)
class StrengthFit:
    """Strengths of targets, and the groups of targets that comparisons connect."""

    strengths: tuple[Strength, ...]
    separations: tuple[Separation, ...]
    components: tuple[tuple[str, ...], ...]


def fit_strengths(names: Sequence[str], wins: Floats) -> StrengthFit:
    """Return the maximum likelihood strengths.

    They are finite and unique for targets each of which won or tied against every other one, directly or through a
    chain of others. Such targets share a scale. L. Ford, "Solution of a Ranking Problem from Binary Comparisons",
    American Mathematical Monthly 64, 1957.

    Args:
        names: the targets.
        wins: number of wins of each target (second axis) against each other one (third axis), by case; shape
            (cases, targets, targets). A tie is half a win for both.

    """
    total = wins.sum(axis=0)
    connected = _reachable((total + total.T) > 0)
    reaches = _reachable(total > 0)
    scales = _groups(reaches & reaches.T)
    strengths = [each for number, scale in enumerate(scales, start=1) for each in _on_scale(names, wins, scale, number)]
    by_name = {each.target: each for each in strengths}
    return StrengthFit(
        strengths=tuple(by_name[name] for name in names),
        separations=tuple(_separations(names, total, scales)),
        components=tuple(tuple(names[at] for at in group) for group in _groups(connected)),
    )


def _reachable(direct: Truths) -> Truths:
    """Return the reflexive transitive closure of a relation; shape (targets, targets)."""
    found = direct | np.eye(len(direct), dtype=bool)
    for at in range(len(found)):
        found |= np.outer(found[:, at], found[at])
    return found


def _groups(together: Truths) -> list[list[int]]:
    """Return the classes of an equivalence relation, in the order of their first members."""
    members = [tuple(np.flatnonzero(row).tolist()) for row in together]
    return [list(group) for group in dict.fromkeys(members)]


def _separations(names: Sequence[str], total: Floats, scales: Sequence[Sequence[int]]) -> Iterator[Separation]:
    for above in scales:
        for below in scales:
            n = round(float(total[np.ix_(above, below)].sum()))
            if above is not below and n:
                yield Separation(tuple(names[at] for at in above), tuple(names[at] for at in below), n)


def _on_scale(names: Sequence[str], wins: Floats, scale: Sequence[int], number: int) -> Iterator[Strength]:
    own = wins[:, scale][:, :, scale]
    own = own[own.sum(axis=(1, 2)) > 0]
    games = (own + own.transpose(0, 2, 1)).sum(axis=(0, 2))
    alone = len(scale) == 1
    values = None if alone else _maximize(own.sum(axis=0))
    errors = None if values is None else _standard_errors(values, own)
    t = quantile_of((1 + LEVEL) / 2, max(len(own) - 1.0, 1.0))
    for at, target in enumerate(scale):
        value = None if values is None else float(values[at])
        half = None if errors is None else t * float(errors[at])
        interval = None if value is None or half is None else Interval(value - half, value + half)
        yield Strength(names[target], value, interval, number, round(float(games[at])), len(own))


def _maximize(wins: Floats) -> Floats:
    """Return the maximum likelihood strengths, which sum to 0, by Newton's method with step halving."""
    values = np.zeros(len(wins))
    for _ in range(_STEPS):
        score, information = _score(values, wins), _information(values, wins)
        step = np.linalg.solve(information + 1 / len(wins), score)
        while _log_likelihood(values + step, wins) < _log_likelihood(values, wins) - _TOLERANCE:
            step = step / 2
        values = values + step
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    found: Floats = values - values.mean()
    return found


def _chances(values: Floats) -> Floats:
    """Return the probability that each target wins against each other one; shape (targets, targets)."""
    found: Floats = 1 / (1 + np.exp(np.clip(values[None, :] - values[:, None], -700, 700)))
    return found


def _log_likelihood(values: Floats, wins: Floats) -> float:
    return -float((wins * np.logaddexp(0, values[None, :] - values[:, None])).sum())


def _score(values: Floats, wins: Floats) -> Floats:
    """Return the gradient of the log-likelihood; that of each case if `wins` has a first axis of cases."""
    games = wins + np.swapaxes(wins, -1, -2)
    found: Floats = (wins - games * _chances(values)).sum(axis=-1)
    return found


def _information(values: Floats, wins: Floats) -> Floats:
    """Return the negative Hessian of the log-likelihood; that of each case if `wins` has a first axis of cases."""
    chances = _chances(values)
    weights = (wins + np.swapaxes(wins, -1, -2)) * chances * chances.T
    found: Floats = weights.sum(axis=-1)[..., None] * np.eye(len(values)) - weights
    return found


def _standard_errors(values: Floats, wins: Floats) -> Floats | None:
    """Return standard errors by case; None with too few cases, or if leaving one out disconnects the targets.

    This is the jackknife over cases in one Newton step, without refitting: R. Bell and D. McCaffrey, "Bias Reduction in
    Standard Errors for Linear Regression with Multi-Stage Samples", Survey Methodology 28, 2002.
    """
    cases, size = len(wins), len(values)
    if cases < MIN_UNITS:
        return None
    without = _information(values, wins.sum(axis=0)) - _information(values, wins) + 1 / size
    if float(np.linalg.eigvalsh(without).min()) < _TOLERANCE:
        return None
    moves = np.linalg.solve(without, _score(values, wins)[..., None])[..., 0]
    found: Floats = np.sqrt((moves**2).sum(axis=0) * (cases - 1) / cases)
    return found
