"""Krippendorff's alpha: a published example, its limits, and a simulation of its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.votes import RatedUnit, krippendorff

PUBLISHED = ("123321412***", "1233224125*3", "*3332342251*", "12332441251*")
"""Four observers, twelve units, a star where one is missing: K. Krippendorff, "Computing Krippendorff's
Alpha-Reliability", 2011, whose alpha of nominal values is 0.743."""


def units(*observers: str) -> list[RatedUnit]:
    """Return the units of observers' ratings, each in its own case."""
    columns = zip(*observers, strict=True)
    return [RatedUnit(str(at), tuple(each for each in column if each != "*")) for at, column in enumerate(columns)]


def test_alpha_of_the_published_example_is_the_published_one() -> None:
    """The example has forty ratings of eleven units."""
    found = krippendorff(units(*PUBLISHED))
    assert found.alpha == pytest.approx(0.743, abs=0.0005)
    assert (found.units, found.values) == (11, 40)


def test_perfect_agreement_has_no_interval() -> None:
    """Without disagreement, nothing shows how often people would disagree."""
    found = krippendorff(units("abababab", "abababab"))
    assert found.alpha == 1
    assert found.interval is None


def test_ratings_of_one_value_have_no_agreement_beyond_chance() -> None:
    """If all values are equal, chance alone would agree as well."""
    assert krippendorff(units("aaaaaaaa", "aaaaaaaa")).alpha is None


def test_units_with_a_single_rating_do_not_count() -> None:
    """One rating agrees with no other."""
    found = krippendorff(units("abab", "****"))
    assert (found.alpha, found.units, found.values, found.cases) == (None, 0, 0, 0)


def test_opposite_ratings_are_below_chance() -> None:
    """Two raters who never agree have a negative alpha."""
    found = krippendorff(units("abababab", "babababa"))
    assert found.alpha is not None
    assert found.alpha < 0


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=30))
def test_alpha_does_not_depend_on_the_order_or_names_of_raters(ratings: list[list[str]]) -> None:
    """It is at most 1 and lies in its interval."""
    found = krippendorff([RatedUnit(str(at), tuple(each)) for at, each in enumerate(ratings)])
    renamed = {"a": "z", "b": "y", "c": "x"}
    other = [
        RatedUnit(str(at), tuple(renamed[value] for value in reversed(each)))
        for at, each in reversed([*enumerate(ratings)])
    ]
    assert krippendorff(other).alpha == (None if found.alpha is None else pytest.approx(found.alpha))
    if found.alpha is not None:
        assert found.alpha <= 1 + 1e-12
    if found.interval is not None:
        assert found.interval.low <= (found.alpha or 0) <= found.interval.high


@pytest.mark.parametrize(("noise", "alpha"), [(0.3, 0.49), (0.6, 0.16)])
def test_intervals_hold_the_truth(noise: float, alpha: float) -> None:
    """At least 90 % of the intervals of 300 panels of three people and 30 questions contain the true alpha.

    People name the better of three with a chance of 1 - noise and any else: two agree beyond chance with (1 - noise)^2.
    """
    random = np.random.default_rng(5)
    found = [krippendorff(_draw(random, noise)) for _ in range(300)]
    held = [alpha in each.interval for each in found if each.interval is not None]
    assert len(held) > 290
    assert np.mean(held) > 0.9


def _draw(random: np.random.Generator, noise: float) -> list[RatedUnit]:
    drawn = []
    for case in range(30):
        best = random.integers(3)
        values = (random.integers(3) if random.random() < noise else best for _ in range(3))
        drawn.append(RatedUnit(str(case), tuple(map(str, values))))
    return drawn
