"""A gate on history: is tonight's run outside what the runs before it vary by? The run is the unit, not the round.

Two runs differ by more than their rounds tell, since a provider has good and bad days. Against one baseline run that
difference looks like a change; against many it is the yardstick. Pure: levels in, verdicts out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from runner.analysis.permutation import holm_adjust
from runner.analysis.student import quantile, two_sided_p
from runner.analysis.verdict import Rule

FEWEST_RUNS = 14
"""Of fewer runs the variation from day to day is too uncertain; two weeks of nights hold both weekends."""

POWER = 0.9


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """One row of a run against the same row of `runs` runs before it.

    `change` is the ratio to the geometric mean of those, `p` is adjusted for all rows. `detectable` is the ratio that
    would be found in 90 % of nights. All three are None where the runs are too few; `moved` is then False.
    """

    runs: int
    change: float | None
    p: float | None
    detectable: float | None
    moved: bool
    """Whether the change is significant and at least the minimum effect, in either direction."""


def judge_against_history(
    past: Sequence[Sequence[float]], new: Sequence[float], rule: Rule | None = None
) -> tuple[HistoryFinding, ...]:
    """Return a finding for each row of a run.

    The prediction interval of one further value, t = (new - mean) / (s * sqrt(1 + 1 / H)) with H - 1 degrees of
    freedom, on logarithms: G. Hahn and W. Meeker, "Statistical Intervals", 1991, section 4.7.

    Args:
        past: of each row the levels of the runs before, each above 0, in any order.
        new: of each row the level of the run that is judged.
        rule: the thresholds.

    """
    rule = rule or Rule()
    enough = [len(levels) >= FEWEST_RUNS for levels in past]
    tested = [
        _test(np.log(levels), math.log(value)) for levels, value, tests in zip(past, new, enough, strict=True) if tests
    ]
    adjusted = iter(holm_adjust([p for _, p in tested]))
    shifts = iter(shift for shift, _ in tested)
    level = rule.alpha / max(1, len(tested))
    return tuple(
        _finding(levels, next(shifts), next(adjusted), level, rule)
        if tests
        else HistoryFinding(len(levels), None, None, None, moved=False)
        for levels, tests in zip(past, enough, strict=True)
    )


def _test(logs: "np.ndarray[tuple[int], np.dtype[np.float64]]", value: float) -> tuple[float, float]:
    """Return the shift of a value from the mean of logarithms, and its p-value."""
    shift, error = value - float(logs.mean()), _error(logs)
    if error == 0:
        return shift, 1.0 if shift == 0 else 0.0
    return shift, float(two_sided_p(np.array([shift / error]), np.array([len(logs) - 1.0]))[0])


def _error(logs: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    return float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs))


def _finding(levels: Sequence[float], shift: float, p: float, level: float, rule: Rule) -> HistoryFinding:
    detectable = max(math.log1p(rule.min_effect), _errors_to_detect(level, len(levels)) * _error(np.log(levels)))
    moved = p <= rule.alpha and abs(shift) >= math.log1p(rule.min_effect)
    return HistoryFinding(len(levels), math.exp(shift), p, math.exp(detectable), moved)


@lru_cache
def _errors_to_detect(level: float, runs: int) -> float:
    """Return how many standard errors away a change is found with the power."""
    degrees = np.array([runs - 1.0])
    return float(quantile(1 - level / 2, degrees)[0] + quantile(POWER, degrees)[0])
