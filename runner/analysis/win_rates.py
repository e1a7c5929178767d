"""Win rates of pairwise comparisons: of each target against all others, and of each pair of targets.

Cases are the units: an interval speaks of other cases like these, since people, repeats and turns of one case are about
the same question. Pure and without chance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.analysis.bradley_terry import Separation, Strength, fit_strengths
from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.proportions import score_interval
from runner.analysis.student_t import quantile_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """One comparison of two replies to the same question."""

    case: str
    first: str
    """A target."""
    second: str
    """Another target."""
    winner: str | None
    """One of the two; None for a tie."""
    turn: int = 1
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class WinRate:
    """The share that a target won of its comparisons, at least one, with one other target or with all others."""

    target: str
    against: str | None
    """The other target; None for all others."""
    wins: int
    losses: int
    ties: int
    cases: int
    """The number of different cases."""
    interval: Interval | None
    """By case; None for a single case."""

    @property
    def n(self) -> int:
        """The number of comparisons."""
        return self.wins + self.losses + self.ties

    @property
    def value(self) -> float:
        """The share of comparisons that the target won; a tie counts as half of a win."""
        return (self.wins + self.ties / 2) / self.n


@dataclass(frozen=True, slots=True)
class WinRates:
    """The figures of a set of comparisons."""

    targets: tuple[WinRate, ...]
    """Each target against all others, the highest rate first."""
    pairs: tuple[WinRate, ...]
    """Each pair that was compared, in the order of the targets; the first of two is the one with the higher rate."""
    strengths: tuple[Strength, ...]
    """Bradley-Terry strengths, in the order of the targets."""
    separations: tuple[Separation, ...]
    """Groups of targets of which one won every comparison with the other: no finite strength tells them apart."""
    components: tuple[tuple[str, ...], ...]
    """Targets that comparisons connect, directly or by way of others; with several, there is no common scale."""

    @property
    def plain(self) -> dict[str, Any]:
        """Win rates, with `n` and `win_rate` of each, and strengths as plain data."""
        return {
            "targets": list(map(_plain_rate, self.targets)),
            "pairs": list(map(_plain_rate, self.pairs)),
            "strengths": list(map(asdict, self.strengths)),
            "separations": list(map(asdict, self.separations)),
            "components": list(map(list, self.components)),
        }


def _plain_rate(rate: WinRate) -> dict[str, Any]:
    return {**asdict(rate), "n": rate.n, "win_rate": rate.value}


def win_rates(outcomes: Iterable[PairOutcome]) -> WinRates:
    """Return win rates and Bradley-Terry strengths of comparisons, with intervals by case.

    Raises:
        ValueError: a target is compared with itself, or the winner is not one of the two.

    """
    found = tuple(outcomes)
    for each in found:
        if each.first == each.second or each.winner not in (each.first, each.second, None):
            raise ValueError(f"not a comparison of two targets: {each}")
    names = tuple(dict.fromkeys(name for each in found for name in (each.first, each.second)))
    rates = [_rate(name, None, [each for each in found if name in (each.first, each.second)]) for name in names]
    targets = sorted(rates, key=lambda rate: -rate.value)
    order = [rate.target for rate in targets]
    fit = fit_strengths(order, _wins_by_case(found, order))
    return WinRates(
        targets=tuple(targets),
        pairs=tuple(_pairs(found, order)),
        strengths=fit.strengths,
        separations=fit.separations,
        components=fit.components,
    )


def _pairs(outcomes: Sequence[PairOutcome], order: Sequence[str]) -> Iterable[WinRate]:
    of_pair: dict[tuple[int, int], list[PairOutcome]] = {}
    for each in outcomes:
        at = sorted((order.index(each.first), order.index(each.second)))
        of_pair.setdefault((at[0], at[1]), []).append(each)
    for first, second in sorted(of_pair):
        yield _rate(order[first], order[second], of_pair[first, second])


def _rate(target: str, against: str | None, outcomes: Sequence[PairOutcome]) -> WinRate:
    wins = sum(each.winner == target for each in outcomes)
    ties = sum(each.winner is None for each in outcomes)
    scores: dict[str, list[float]] = {}
    for each in outcomes:
        scores.setdefault(each.case, []).append(0.5 if each.winner is None else float(each.winner == target))
    return WinRate(
        target=target,
        against=against,
        wins=wins,
        losses=len(outcomes) - wins - ties,
        ties=ties,
        cases=len(scores),
        interval=rate_interval(list(scores.values())),
    )


def rate_interval(scores: Sequence[Sequence[float]]) -> Interval | None:
    """Return the confidence interval of a mean of scores between 0 and 1; None for fewer than two cases.

    Wilson's score interval of as many independent comparisons as say as much: their number divided by the design effect
    (see `proportions`), but never fewer than there are cases, and Student's quantile for as many cases less one. Where
    all scores are 0, or all are 1, each case counts once, since nothing tells how much its comparisons resemble each
    other.

    Args:
        scores: those of each case, at least one each.

    """
    cases, n = len(scores), sum(map(len, scores))
    if cases < 2:
        return None
    mean = sum(map(sum, scores)) / n
    binomial = mean * (1 - mean) / n
    excess = np.array([sum(each) - mean * len(each) for each in scores])
    clustered = float((excess**2).sum()) * cases / (cases - 1) / n**2
    effective = min(max(n * binomial / max(clustered, binomial), cases), n) if binomial else cases
    return Interval(*score_interval(mean, effective, quantile_of((1 + LEVEL) / 2, cases - 1.0)))


def _wins_by_case(outcomes: Sequence[PairOutcome], order: Sequence[str]) -> Floats:
    """Return how often each target won against each other one; shape (cases, targets, targets), ties half for both."""
    cases = {case: at for at, case in enumerate(dict.fromkeys(each.case for each in outcomes))}
    place = {name: at for at, name in enumerate(order)}
    wins = np.zeros((len(cases), len(order), len(order)))
    for each in outcomes:
        of_case, first, second = wins[cases[each.case]], place[each.first], place[each.second]
        of_case[first, second] += 0.5 if each.winner is None else float(each.winner == each.first)
        of_case[second, first] += 0.5 if each.winner is None else float(each.winner == each.second)
    return wins
