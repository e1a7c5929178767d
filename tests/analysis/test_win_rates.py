"""Win rates and Bradley-Terry strengths: exact on small sets, compared with another implementation, and simulated."""

from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from runner.analysis.win_rates import PairOutcome, rate_interval, win_rates

NAMES = ("a/m", "b/m", "c/m", "d/m")


@st.composite
def outcomes_of_pairs(draw: st.DrawFn) -> tuple[PairOutcome, ...]:
    """Draw comparisons of up to four targets in up to ten cases."""
    pairs = st.sampled_from([(a, b) for a in NAMES for b in NAMES if a != b])
    found = draw(st.lists(st.tuples(st.integers(0, 9), pairs, st.integers(0, 2)), min_size=1, max_size=80))
    return tuple(PairOutcome(f"case {case}", *pair, (*pair, None)[at]) for case, pair, at in found)


def outcomes(text: str, case: str = "") -> tuple[PairOutcome, ...]:
    """Return comparisons written as `a>b` or `a=b`, each in its own case unless one is given."""
    found = []
    for at, each in enumerate(text.split()):
        first, second = (f"{letter}/m" for letter in (each[0], each[2]))
        found.append(PairOutcome(case or str(at), first, second, first if each[1] == ">" else None))
    return tuple(found)


def test_a_tie_is_half_a_win() -> None:
    """Wins, losses and ties are counted, and the win rate includes half of the ties."""
    rates = win_rates(outcomes("a>b a>b a=b b>a"))
    (pair,) = rates.pairs
    assert (pair.target, pair.against) == ("a/m", "b/m")
    assert (pair.wins, pair.losses, pair.ties, pair.n, pair.cases) == (2, 1, 1, 4, 4)
    assert pair.value == pytest.approx(0.625)
    assert [rate.value for rate in rates.targets] == pytest.approx([0.625, 0.375])


@given(outcomes_of_pairs())
def test_counts_add_up(found: tuple[PairOutcome, ...]) -> None:
    """Every comparison is in one pair and in two targets; the pair's first target has at least the other's rate."""
    rates = win_rates(found)
    assert sum(pair.n for pair in rates.pairs) == len(found)
    assert sum(rate.n for rate in rates.targets) == 2 * len(found)
    assert sum(rate.value * rate.n for rate in rates.targets) == pytest.approx(len(found))
    assert sorted(name for group in rates.components for name in group) == sorted(rate.target for rate in rates.targets)
    for rate in (*rates.targets, *rates.pairs):
        assert rate.interval is None or rate.interval.low <= rate.value <= rate.interval.high


@given(outcomes_of_pairs(), st.randoms())
def test_neither_order_nor_side_matters(found: tuple[PairOutcome, ...], random: Random) -> None:
    """The order of comparisons and of their two targets does not change the strengths."""
    turned = [PairOutcome(each.case, each.second, each.first, each.winner) for each in found]
    random.shuffle(turned)
    strengths = {each.target: each.value for each in win_rates(found).strengths}
    for each in win_rates(turned).strengths:
        assert each.value == pytest.approx(strengths[each.target], abs=1e-6)


@given(outcomes_of_pairs())
def test_strengths_have_the_greatest_likelihood(found: tuple[PairOutcome, ...]) -> None:
    """A general optimizer finds the same maximum, where all targets share a scale."""
    strengths = win_rates(found).strengths
    assume(all(each.scale == 1 for each in strengths))
    names = [each.target for each in strengths]

    def loss(values: np.ndarray) -> float:
        differences = [
            (1 if each.winner else 0.5, sign * (values[names.index(each.first)] - values[names.index(each.second)]))
            for each in found
            for sign, winner in ((1, each.first), (-1, each.second))
            if each.winner in (winner, None)
        ]
        return float(sum(weight * np.logaddexp(0, -difference) for weight, difference in differences))

    best = minimize(loss, np.zeros(len(names)), method="BFGS", options={"gtol": 1e-8})
    ours = np.array([each.value for each in strengths])
    assert loss(ours) <= best.fun + 1e-7
    assert sum(ours) == pytest.approx(0, abs=1e-8)


def test_two_targets_have_the_logarithm_of_their_odds() -> None:
    """With 3 wins and 1 loss the difference of the strengths is log 3."""
    first, second = win_rates(outcomes("a>b a>b a>b b>a")).strengths
    assert first.value is not None
    assert second.value is not None
    assert first.value - second.value == pytest.approx(np.log(3))


def test_a_target_that_wins_all_has_no_finite_strength() -> None:
    """It stands above the others on a scale of its own, and the separation has the number of comparisons."""
    rates = win_rates(outcomes("a>b a>c b>c c>b a>b"))
    by_name = {each.target: each for each in rates.strengths}
    assert by_name["a/m"].value is None
    assert by_name["b/m"].scale == by_name["c/m"].scale != by_name["a/m"].scale
    (separation,) = rates.separations
    assert (separation.above, separation.n) == (("a/m",), 3)
    assert set(separation.below) == {"b/m", "c/m"}
    assert len(rates.components) == 1


def test_targets_that_were_never_compared_have_no_common_scale() -> None:
    """Two pairs without a comparison between them are two components."""
    rates = win_rates(outcomes("a>b b>a c>d d>c"))
    assert {frozenset(group) for group in rates.components} == {frozenset({"a/m", "b/m"}), frozenset({"c/m", "d/m"})}
    assert len({each.scale for each in rates.strengths}) == 2
    assert rates.separations == ()


def test_few_cases_have_no_interval_of_strengths() -> None:
    """Five cases are too few; one case has not even an interval of its rate."""
    assert all(each.interval is None for each in win_rates(outcomes("a>b b>a a>b b>a a=b")).strengths)
    assert all(each.interval is not None for each in win_rates(outcomes("a>b b>a a>b b>a a=b a>b")).strengths)
    assert all(each.interval is None for each in win_rates(outcomes("a>b b>a", case="one")).targets)


def test_an_interval_that_rests_on_one_case_is_none() -> None:
    """Only one case connects c with the others, so the variation of that comparison is unknown."""
    rates = win_rates(outcomes("a>b b>a a>b b>a a>b b>a a=c"))
    assert all(each.value is not None and each.interval is None for each in rates.strengths)


def test_repeats_of_a_case_are_no_further_cases() -> None:
    """Ten equal comparisons of each of ten cases have the interval of one of each."""
    once = [(f"case {at}", float(at < 7)) for at in range(10)]
    assert rate_interval(once * 10) == pytest.approx(rate_interval(once))


def test_a_target_that_won_all_is_not_certain_to_win() -> None:
    """The interval of its win rate ends at 1 and starts below."""
    interval = rate_interval((f"case {at}", 1.0) for at in range(20))
    assert interval is not None
    assert interval.high == 1
    assert 0.8 < interval.low < 0.9


@pytest.mark.parametrize("winner", ["a/m", "c/m"])
def test_an_impossible_comparison_raises_an_error(winner: str) -> None:
    """Examples: a target compared with itself, or a winner that was not compared."""
    with pytest.raises(ValueError, match="not a comparison"):
        win_rates([PairOutcome("case", "a/m", "a/m" if winner == "a/m" else "b/m", winner)])


@pytest.mark.parametrize(("cases", "of_pair", "spread"), [(6, 1, 0.0), (10, 3, 1.5), (30, 1, 1.5)])
def test_intervals_hold_the_truth(cases: int, of_pair: int, spread: float) -> None:
    """In at least 91 % of 200 sets of comparisons, intervals of strengths and rates contain the true values."""
    random = np.random.default_rng(cases)
    truth = win_rates(_draw(random, 3000, 1, spread))
    strengths = {each.target: each.value or 0.0 for each in truth.strengths}
    shares = {each.target: each.value for each in truth.targets}
    held = []
    for _ in range(200):
        rates = win_rates(_draw(random, cases, of_pair, spread))
        held += [strengths[each.target] in each.interval for each in rates.strengths if each.interval is not None]
        held += [shares[each.target] in each.interval for each in rates.targets if each.interval is not None]
    assert len(held) > 1000
    assert np.mean(held) > 0.91


def _draw(random: np.random.Generator, cases: int, of_pair: int, spread: float) -> list[PairOutcome]:
    """Return comparisons of three targets whose strengths differ, and vary between cases by a standard deviation."""
    found = []
    for case in range(cases):
        values = np.array([0.6, 0.0, -0.6]) + spread * random.standard_normal(3)
        for a, b in combinations(range(3), 2):
            for _ in range(of_pair):
                wins = random.random() < 1 / (1 + np.exp(values[b] - values[a]))
                winner = None if random.random() < 0.2 else NAMES[a if wins else b]
                found.append(PairOutcome(str(case), NAMES[a], NAMES[b], winner))
    return found
