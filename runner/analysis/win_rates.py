"""Win rates of pairwise comparisons: of each target against all others, and of each pair of targets.

Cases are the units, because people, repeats and turns of one case are about the same question. An interval therefore
applies to other cases like these. All functions are pure and deterministic.
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
    """Outcome of a comparison of two replies to the same question."""

    case: str
    first: str
    """Target of the first reply."""
    second: str
    """Target of the second reply."""
    winner: str | None
    """Target of the better reply; None for a tie."""
    turn: int = 1
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class WinRate:
    """Share of a target's comparisons that it won, against one other target or all others; there is at least one."""

    target: str
    against: str | None
    """Other target; None for all others."""
    wins: int
    losses: int
    ties: int
    cases: int
    """Number of different cases."""
    interval: Interval | None
    """Interval by case; None for a single case."""

    @property
    def n(self) -> int:
        """The number of comparisons."""
        return self.wins + self.losses + self.ties

    @property
    def value(self) -> float:
        """The share of comparisons that the target won; a tie counts as half a win."""
        return (self.wins + self.ties / 2) / self.n


@dataclass(frozen=True, slots=True)
class WinRates:
    """Win rates and strengths from a set of comparisons."""

    targets: tuple[WinRate, ...]
    """Each target against all others, highest rate first."""
    pairs: tuple[WinRate, ...]
    """Each compared pair, in the order of the targets; `target` is the one with the higher overall rate."""
    strengths: tuple[Strength, ...]
    """Bradley-Terry strengths, in the order of the targets."""
    separations: tuple[Separation, ...]
    """Pairs of groups of which one won every comparison with the other, so that no finite difference fits."""
    components: tuple[tuple[str, ...], ...]
    """Groups of targets connected by comparisons, directly or through others; several groups have no common scale."""

    @property
    def plain(self) -> dict[str, Any]:
        """Win rates, each with `n` and `win_rate`, and strengths as plain data."""
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
    scores = [(each.case, 0.5 if each.winner is None else float(each.winner == target)) for each in outcomes]
    return WinRate(
        target=target,
        against=against,
        wins=wins,
        losses=len(outcomes) - wins - ties,
        ties=ties,
        cases=len({case for case, _ in scores}),
        interval=rate_interval(scores),
    )


def rate_interval(scores: Iterable[tuple[str, float]]) -> Interval | None:
    """Return the 95 % confidence interval of a mean of scores between 0 and 1; None for fewer than two cases.

    It is Wilson's score interval for the effective number of independent comparisons, with Student's quantile for one
    degree of freedom less than there are cases. The effective number is the number of comparisons divided by the design
    effect (see `proportions`), but at least the number of cases. If all scores are 0, or all are 1, it is the number of
    cases, because nothing shows how similar the comparisons of a case are.

    Args:
        scores: the case and the score of each comparison.

    """
    of_case: dict[str, list[float]] = {}
    for case, score in scores:
        of_case.setdefault(case, []).append(score)
    cases, n = len(of_case), sum(map(len, of_case.values()))
    if cases < 2:
        return None
    mean = sum(map(sum, of_case.values())) / n
    binomial = mean * (1 - mean) / n
    excess = np.array([sum(each) - mean * len(each) for each in of_case.values()])
    clustered = float((excess**2).sum()) * cases / (cases - 1) / n**2
    effective = min(max(n * binomial / max(clustered, binomial), cases), n) if binomial else cases
    return Interval(*score_interval(mean, effective, quantile_of((1 + LEVEL) / 2, cases - 1.0)))


def _wins_by_case(outcomes: Sequence[PairOutcome], order: Sequence[str]) -> Floats:
    """Return each target's wins against each other one, with half a win for ties; shape (cases, targets, targets)."""
    cases = {case: at for at, case in enumerate(dict.fromkeys(each.case for each in outcomes))}
    place = {name: at for at, name in enumerate(order)}
    wins = np.zeros((len(cases), len(order), len(order)))
    for each in outcomes:
        of_case, first, second = wins[cases[each.case]], place[each.first], place[each.second]
        of_case[first, second] += 0.5 if each.winner is None else float(each.winner == each.first)
        of_case[second, first] += 0.5 if each.winner is None else float(each.winner == each.second)
    return wins
