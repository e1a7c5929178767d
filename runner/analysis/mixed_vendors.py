"""Targets that several vendors, fingerprints or service tiers answered, so that their statistics are mixtures."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from runner.analysis.dataframe import is_in_latencies, targets_of, without_warmups
from runner.analysis.intervals import Statistic
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.summary import median_of_column
from runner.core.answered_by import AnsweredByColumn


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """Requests of a target that one vendor, fingerprint or tier answered; `n` includes failed ones."""

    name: str
    n: int
    ttft_p50: Statistic | None


@dataclass(frozen=True, slots=True)
class MixedAnswers:
    """A target that several vendors, fingerprints or tiers answered; the group with the most requests is first."""

    target: MeasuredTarget
    column: AnsweredByColumn
    groups: tuple[AnswerGroup, ...]
    unknown: int
    """Number of requests for which it is not known who answered."""


def find_mixed_answers(table: pd.DataFrame) -> tuple[MixedAnswers, ...]:
    """Return the targets of a table that several vendors, fingerprints or tiers answered.

    If several vendors answered, fingerprints are left out, since they add nothing.
    """
    rows = without_warmups(table)
    of_row = targets_of(rows)
    return tuple(mixed for target in of_row.cat.categories for mixed in _find_in_target(target, rows[of_row == target]))


def _find_in_target(target: MeasuredTarget, rows: pd.DataFrame) -> Iterator[MixedAnswers]:
    by_vendor = _mixed_by("served_by", target, rows)
    by_build = None if by_vendor else _mixed_by("system_fingerprint", target, rows)
    yield from filter(None, (by_vendor, by_build, _mixed_by("service_tier", target, rows)))


def _mixed_by(column: AnsweredByColumn, target: MeasuredTarget, rows: pd.DataFrame) -> MixedAnswers | None:
    named = rows[column].dropna()
    if named.nunique() < 2:
        return None
    counts = named.value_counts()
    timed = rows[is_in_latencies(rows)]
    groups = [
        AnswerGroup(str(name), int(n), median_of_column(timed[timed[column] == name], "ttft_s"))
        for name, n in counts.items()
    ]
    ordered = sorted(groups, key=lambda group: (-group.n, group.name))
    return MixedAnswers(target, column, tuple(ordered), int(rows[column].isna().sum()))
