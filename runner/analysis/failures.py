"""Requests that did not end well, gathered by what was said about them."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from runner.analysis.columns import Cell
from runner.analysis.frame import measured, rows_of, targets_of
from runner.core.events import TIMED

_COLUMNS = ["outcome", "error_type", "http_status", "error", "attempts"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One way in which a target failed, `count` times, in the provider's own words where it gave any."""

    target: str
    count: int
    outcome: str
    error_type: str | None
    http_status: int | None
    error: str | None
    attempts: int
    """How often each of the requests was sent."""

    @property
    def provider(self) -> str:
        """Whom to talk to about it: the target up to its first slash."""
        return self.target.partition("/")[0]


def gather_failures(table: pd.DataFrame) -> tuple[Failure, ...]:
    """Gather equal failures; a target's most frequent first."""
    counted = measured(table)
    failed = counted[~counted["outcome"].isin([outcome.value for outcome in TIMED])]
    said = failed[_COLUMNS].assign(target=targets_of(failed))
    counts = Counter(tuple(row.items()) for row in rows_of(said))
    return tuple(sorted((_failure(dict(said), count) for said, count in counts.items()), key=_rank))


def _failure(said: dict[str, Cell], count: int) -> Failure:
    http_status, attempts = said["http_status"], said["attempts"]
    return Failure(
        target=str(said["target"]),
        count=count,
        outcome=str(said["outcome"]),
        error_type=_text(said["error_type"]),
        http_status=http_status if isinstance(http_status, int) else None,
        error=_text(said["error"]),
        attempts=attempts if isinstance(attempts, int) else 1,
    )


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)


def _rank(failure: Failure) -> tuple[str, int, str, str, int, str, int]:
    return (
        failure.target,
        -failure.count,
        failure.outcome,
        failure.error_type or "",
        failure.http_status or 0,
        failure.error or "",
        failure.attempts,
    )
