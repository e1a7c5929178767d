"""Comparison with a history: the test compared with scipy, and its error rates simulated over nights."""

import numpy as np
import pytest
from scipy import stats

from runner.analysis.diff_verdict import Rule
from runner.analysis.prediction_intervals import MIN_RUNS, compare_against_history


def nights(count: int, sd: float, seed: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return levels of runs around 1 s that vary from day to day, one history per row."""
    return np.exp(np.random.default_rng(seed).normal(0, sd, (count, 21)))


def test_p_is_that_of_a_prediction_by_student() -> None:
    """The p-value of a value against fourteen is that of Student's t test of a sample of one."""
    past, new = nights(1, 0.1)[0, :MIN_RUNS], 1.3
    (found,) = compare_against_history([past.tolist()], [new])
    assert found.p == pytest.approx(stats.ttest_ind([np.log(new)], np.log(past)).pvalue)
    assert found.change == pytest.approx(new / stats.gmean(past))


def test_fewer_runs_than_two_weeks_decide_nothing() -> None:
    """Thirteen runs are too few for a test, and nothing fails."""
    (found,) = compare_against_history([[1.0, 1.1] * 6 + [1.0]], [9.0])
    assert (found.runs, found.p, found.detectable, found.moved) == (13, None, None, False)


@pytest.mark.parametrize("sd", [0.03, 0.05, 0.15])
def test_false_failures_of_a_night_stay_below_one_in_a_hundred(sd: float) -> None:
    """Of 300 nights of 8 rows without a change, about 1 % or fewer fail."""
    history = nights(2_400, sd)
    rows = history[:, :20].tolist()
    failed = sum(
        any(
            found.moved and (found.change or 1) > 1
            for found in compare_against_history(rows[at : at + 8], history[at : at + 8, 20].tolist())
        )
        for at in range(0, 2_400, 8)
    )
    assert stats.binomtest(failed, 300, 0.01, "greater").pvalue > 0.001


def test_detectable_change_is_found_in_nine_nights_of_ten() -> None:
    """The change given as detectable is detected about as often as stated."""
    history = nights(400, 0.05)
    found = [compare_against_history([past[:20].tolist()], [1.3 * float(past[20])], Rule())[0] for past in history]
    assert np.median([each.detectable or 0 for each in found]) == pytest.approx(1.26, abs=0.03)
    assert sum(each.moved for each in found) / 400 > 0.9


def test_equal_runs_leave_no_doubt() -> None:
    """If levels never vary, the same level is unchanged and any other is a change."""
    same, other = compare_against_history([[2.0] * 14, [2.0] * 14], [2.0, 3.0])
    assert (same.moved, other.moved) == (False, True)
