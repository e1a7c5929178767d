"""The comparisons that follow from votes, and the agreement of people with a judge."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.votes import NONE, TIE, CastVote, VotedQuestion, Votes, count_votes
from runner.analysis.win_rates import PairOutcome

THREE = {"a/m": "one", "b/m": "two", "c/m": "three"}


def cast(choice: str, voter: str = "Ada", case: str = "sum", replies: dict[str, str] | None = None) -> CastVote:
    """Return a vote on the replies of three targets."""
    found = THREE if replies is None else replies
    return CastVote(voter, VotedQuestion(case, 1, 1, frozenset(found)), choice, found)


def counted(*votes: CastVote, judge: Sequence[PairOutcome] = ()) -> Votes:
    """Return the figures of votes on a run."""
    return count_votes(["run"], votes, {"judge/m": judge})


def pairs(vote: CastVote) -> set[tuple[str, str, str | None]]:
    """Return the comparisons of a vote."""
    return {(each.first, each.second, each.winner) for each in vote.outcomes}


def test_a_winner_beats_every_other_reply_and_the_losers_are_not_compared() -> None:
    """A vote on three replies decides two comparisons."""
    assert pairs(cast("b/m")) == {("a/m", "b/m", "b/m"), ("b/m", "c/m", "b/m")}


def test_a_tie_is_one_of_each_pair() -> None:
    """A tie means that all replies were equally good."""
    assert pairs(cast(TIE)) == {("a/m", "b/m", None), ("a/m", "c/m", None), ("b/m", "c/m", None)}


def test_a_vote_for_none_is_counted_without_a_comparison() -> None:
    """It does not compare the replies."""
    found = counted(cast(NONE), cast("a/m", case="other"))
    assert pairs(cast(NONE)) == set()
    assert (found.together.votes, found.together.none, found.together.ties) == (2, 1, 0)
    assert sum(rate.n for rate in found.together.rates.pairs) == 2


def test_equal_replies_win_and_agree_together() -> None:
    """Two replies of the same text tie with each other, both beat the third, and votes for either are the same vote."""
    replies = {"a/m": "same", "b/m": "same", "c/m": "other"}
    expected = {("a/m", "b/m", None), ("a/m", "c/m", "a/m"), ("b/m", "c/m", "b/m")}
    assert pairs(cast("a/m", replies=replies)) == pairs(cast("b/m", replies=replies)) == expected
    apart = counted(
        *(cast("a/m", "Ada", case, replies) for case in "xy"),
        *(cast("b/m", "Lin", case, replies) for case in "xy"),
        *(cast("c/m", voter, "z", replies) for voter in ("Ada", "Lin")),
    )
    assert apart.agreement.alpha == 1


def test_a_target_without_a_reply_is_not_compared() -> None:
    """A reply cannot win against one that never came."""
    assert pairs(cast("a/m", replies={"a/m": "one", "b/m": "two"})) == {("a/m", "b/m", "a/m")}


def test_voters_are_counted_together_and_apart() -> None:
    """Each voter has separate figures, which sum up to those of all."""
    found = counted(cast("a/m"), cast(TIE, case="two"), cast("b/m", "Lin"))
    assert [(each.voter, each.votes) for each in found.voters] == [("Ada", 2), ("Lin", 1)]
    assert found.together.votes == 3
    n = [sum(rate.n for rate in each.rates.pairs) for each in (*found.voters, found.together)]
    assert n[0] + n[1] == n[2] == 7


def test_people_are_compared_with_a_judge() -> None:
    """The majority of people counts, by pair; pairs that only one side compared do not."""
    two = {"a/m": "one", "b/m": "two"}
    votes = [
        *(cast("a/m", voter, "x", two) for voter in ("Ada", "Lin")),
        cast("b/m", "Eve", "x", two),
        cast("a/m", "Ada", "y", two),
        cast("b/m", "Lin", "y", two),
        cast("b/m", "Ada", "z", two),
    ]
    judge = [
        PairOutcome("x", "b/m", "a/m", "a/m"),
        PairOutcome("y", "a/m", "b/m", "a/m"),
        PairOutcome("z", "a/m", "b/m", "b/m"),
        PairOutcome("w", "a/m", "b/m", "b/m"),
        PairOutcome("z", "a/m", "b/m", "a/m", repeat=2),
    ]
    (found,) = counted(*votes, judge=judge).judges
    assert (found.judge, found.same, found.pairs) == ("judge/m", 2, 3)
    assert found.interval is not None
    assert (found.agreement.units, found.agreement.values) == (3, 6)


def test_a_judge_that_compared_something_else_is_left_out() -> None:
    """Without a common pair there is nothing to compare."""
    assert counted(cast("a/m"), judge=[PairOutcome("elsewhere", "a/m", "b/m", None)]).judges == ()


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["a/m", "b/m", "c/m", TIE, NONE]))))
def test_every_vote_is_counted(votes: list[tuple[str, str]]) -> None:
    """Each further voter adds two comparisons for a winner, three for a tie, and none otherwise."""
    found = counted(*(cast(choice, str(at), case) for at, (case, choice) in enumerate(votes)))
    choices = [choice for _, choice in votes]
    expected = 2 * sum(choice in THREE for choice in choices) + 3 * choices.count(TIE)
    assert sum(rate.n for rate in found.together.rates.pairs) == expected
    assert (found.together.votes, found.together.none) == (len(votes), choices.count(NONE))


def test_no_votes_have_no_figures() -> None:
    """There is no division by zero."""
    found = counted()
    assert found.together.rates.targets == ()
    assert found.agreement.alpha is None


@pytest.mark.parametrize("choice", ["a/m", TIE])
def test_turns_and_repeats_are_kept(choice: str) -> None:
    """They identify the matching comparison of a judge."""
    vote = CastVote("Ada", VotedQuestion("sum", 2, 3, frozenset(THREE)), choice, THREE)
    assert {(each.case, each.turn, each.repeat) for each in vote.outcomes} == {("sum", 2, 3)}
