"""Votes of people on replies: win rates and strengths, agreement among people, and with a judge.

A vote for a reply means that it is better than each other reply shown, but does not compare the others. A tie means
that all are equally good; `none` means that no reply is good, and compares nothing. Replies with the same text count as
one. A target whose request failed without a text has no reply to compare.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum, sqrt

import numpy as np

from runner.analysis.intervals import LEVEL, MIN_UNITS, Interval
from runner.analysis.student_t import quantile_of
from runner.analysis.win_rates import PairOutcome, WinRates, rate_interval, win_rates

TIE, NONE = "tie", "none"
"""Choices that are not targets."""


@dataclass(frozen=True, slots=True)
class VotedQuestion:
    """Replies that were voted on: a turn of a case in one repeat, and the targets whose replies were shown."""

    case: str
    turn: int
    repeat: int
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class CastVote:
    """A person's vote, with digests of the replies in the journal."""

    voter: str
    question: VotedQuestion
    choice: str
    """Name of a target, `tie` or `none`."""
    replies: Mapping[str, str]
    """Digest of each target's reply; targets without a reply are left out."""

    @property
    def best(self) -> frozenset[str]:
        """The targets voted for: several if their replies are the same; empty for `none`."""
        if self.choice == NONE:
            return frozenset()
        if self.choice == TIE:
            return frozenset(self.replies)
        chosen = self.replies[self.choice]
        return frozenset(target for target, reply in self.replies.items() if reply == chosen)

    @property
    def value(self) -> str:
        """The choice, which is equal for votes for replies with the same text."""
        return self.choice if self.choice in {TIE, NONE} else min(self.best)

    @property
    def outcomes(self) -> Iterator[PairOutcome]:
        """The paired comparisons that follow from the vote."""
        best, question = self.best, self.question
        for first, second in combinations(sorted(self.replies), 2):
            if first in best or second in best:
                winner = None if {first, second} <= best else first if first in best else second
                yield PairOutcome(question.case, first, second, winner, question.turn, question.repeat)


@dataclass(frozen=True, slots=True)
class VoterFigures:
    """Figures of the votes of one person, or of all people together."""

    voter: str | None
    """Name of the person; None for all together."""
    votes: int
    ties: int
    none: int
    """Number of votes that no reply is good, which compare nothing."""
    cases: int
    rates: WinRates


@dataclass(frozen=True, slots=True)
class RatedUnit:
    """A question and the values that raters gave it, in any order."""

    case: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of raters beyond chance."""

    alpha: float | None
    """Krippendorff's alpha; None if no question was rated twice, or all values are equal."""
    interval: Interval | None
    """Interval by case; None with fewer than six cases, if alpha is 1, or if all values outside one case are equal."""
    units: int
    """Number of questions with at least two ratings."""
    values: int
    """Number of ratings of these questions."""
    cases: int


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """Agreement of the majority of people with a judge on the same pairs of replies."""

    judge: str
    same: int
    """Number of pairs with the same winner, or a tie, for both."""
    pairs: int
    interval: Interval | None
    """Interval of the share of such pairs, by case; None for fewer than two cases."""
    agreement: Agreement
    """Agreement beyond chance, with people as one rater and the judge as the other."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Figures of the votes on a run, or on several side by side."""

    run_ids: tuple[str, ...]
    together: VoterFigures
    voters: tuple[VoterFigures, ...]
    agreement: Agreement
    """Agreement of the voters."""
    judges: tuple[JudgeAgreement, ...]
    """Agreement with each judge; empty if no judge compared replies that people voted on."""
    simulated: bool = False
    """Whether any reply comes from the simulator."""


def count_votes(
    run_ids: Sequence[str],
    votes: Sequence[CastVote],
    judges: Mapping[str, Iterable[PairOutcome]] | None = None,
    *,
    simulated: bool = False,
) -> Votes:
    """Return the figures of votes.

    Args:
        run_ids: ids of the runs that were voted on.
        votes: at most one for each voter and question.
        judges: outcomes of judged pairs by judge, with targets named as in the votes.
        simulated: whether any reply comes from the simulator.

    """
    names = tuple(dict.fromkeys(vote.voter for vote in votes))
    majority = _majority(votes)
    compared = (_compare(judge, majority, outcomes) for judge, outcomes in (judges or {}).items())
    return Votes(
        run_ids=tuple(run_ids),
        together=_figures(None, votes),
        voters=tuple(_figures(name, [vote for vote in votes if vote.voter == name]) for name in names),
        agreement=krippendorff(_rated(votes)),
        judges=tuple(each for each in compared if each.pairs),
        simulated=simulated,
    )


def _figures(voter: str | None, votes: Sequence[CastVote]) -> VoterFigures:
    return VoterFigures(
        voter=voter,
        votes=len(votes),
        ties=sum(vote.choice == TIE for vote in votes),
        none=sum(vote.choice == NONE for vote in votes),
        cases=len({vote.question.case for vote in votes}),
        rates=win_rates(outcome for vote in votes for outcome in vote.outcomes),
    )


def _rated(votes: Iterable[CastVote]) -> list[RatedUnit]:
    values: dict[VotedQuestion, list[str]] = {}
    for vote in votes:
        values.setdefault(vote.question, []).append(vote.value)
    return [RatedUnit(question.case, tuple(found)) for question, found in values.items()]


PairPlace = tuple[str, int, int, str, str]
"""A pair of replies: case, turn, repeat, and the two targets by name."""


def _place(outcome: PairOutcome) -> PairPlace:
    first, second = sorted((outcome.first, outcome.second))
    return outcome.case, outcome.turn, outcome.repeat, first, second


def _majority(votes: Iterable[CastVote]) -> dict[PairPlace, str]:
    """Return the target of each pair that most voters prefer, or `tie` if equal numbers prefer either."""
    leads: Counter[PairPlace] = Counter()
    for outcome in (outcome for vote in votes for outcome in vote.outcomes):
        place = _place(outcome)
        leads[place] += 0 if outcome.winner is None else 1 if outcome.winner == place[3] else -1
    return {place: TIE if not lead else place[3] if lead > 0 else place[4] for place, lead in leads.items()}


def _compare(judge: str, majority: Mapping[PairPlace, str], outcomes: Iterable[PairOutcome]) -> JudgeAgreement:
    judged = {_place(outcome): outcome.winner or TIE for outcome in outcomes}
    both = {place: (people, judged[place]) for place, people in majority.items() if place in judged}
    same = [(place[0], people == judge_says) for place, (people, judge_says) in both.items()]
    return JudgeAgreement(
        judge=judge,
        same=sum(is_same for _, is_same in same),
        pairs=len(both),
        interval=rate_interval(same),
        agreement=krippendorff([RatedUnit(place[0], values) for place, values in both.items()]),
    )


# Agreement of raters


def krippendorff(units: Sequence[RatedUnit]) -> Agreement:
    """Return the agreement of nominal ratings, without the questions that have a single rating.

    Krippendorff's alpha is 1 for perfect agreement, 0 for agreement by chance, and negative if raters disagree more
    than by chance. Raters may skip questions. K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.
    """
    rated = [unit for unit in units if len(unit.values) > 1]
    cases: dict[str, list[RatedUnit]] = {}
    for unit in rated:
        cases.setdefault(unit.case, []).append(unit)
    of_case = [_disagreement(each) for each in cases.values()]
    alpha = _alpha(of_case)
    return Agreement(
        alpha=alpha,
        interval=None if alpha is None else _interval(alpha, of_case),
        units=len(rated),
        values=sum(len(unit.values) for unit in rated),
        cases=len(cases),
    )


_Disagreement = tuple[Counter[str], float]
"""Number of times each value was given, and the observed disagreement within questions."""


def _disagreement(units: Sequence[RatedUnit]) -> _Disagreement:
    totals: Counter[str] = Counter()
    observed = 0.0
    for unit in units:
        counts, size = Counter(unit.values), len(unit.values)
        totals += counts
        observed += (size * size - sum(count * count for count in counts.values())) / (size - 1)
    return totals, observed


def _alpha(parts: Sequence[_Disagreement]) -> float | None:
    totals = sum((counts for counts, _ in parts), Counter[str]())
    observed = fsum(differing for _, differing in parts)
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    return 1 - (n - 1) * observed / expected if expected else None


def _interval(alpha: float, of_case: Sequence[_Disagreement]) -> Interval | None:
    """Return the jackknife interval of alpha, which leaves out one case at a time."""
    number = len(of_case)
    if number < MIN_UNITS or alpha == 1:
        return None
    without = [_alpha([*of_case[:at], *of_case[at + 1 :]]) for at in range(number)]
    found = np.array([each for each in without if each is not None])
    if len(found) < number:
        return None
    error = sqrt((number - 1) / number * float(((found - found.mean()) ** 2).sum()))
    half = error * quantile_of((1 + LEVEL) / 2, number - 1.0)
    return Interval(max(alpha - half, -1.0), min(alpha + half, 1.0))
