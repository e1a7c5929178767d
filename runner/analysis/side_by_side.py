"""A grid of replies side by side, with a row per case and turn and a reply per target, and excerpts of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from runner.analysis.check_results import Expectations, steps_in
from runner.analysis.dataframe import rows_of, targets_of, without_warmups
from runner.analysis.measured_targets import WHOLE, MeasuredTarget, TargetSplit
from runner.analysis.result_columns import Row, target_of_row
from runner.core.events import Outcome
from runner.core.turns_and_steps import NO_STEPS, Steps


@dataclass(frozen=True, slots=True)
class GridRow:
    """A turn of a case with the chosen reply of each target; targets without a request are absent."""

    case: str
    turn: int
    prompt: str
    replies: Mapping[MeasuredTarget, Row]
    steps: Steps = NO_STEPS
    """Steps of the case's conversation."""

    @property
    def label(self) -> str:
        """The case, followed by the turn and the step unless they are the first."""
        return self.steps.name_question(self.case, self.turn)


def grid_of_table(
    table: pd.DataFrame,
    cases: Sequence[str] = (),
    checks: Expectations | None = None,
    idles: Sequence[float] = (),
) -> tuple[GridRow, ...]:
    """Return the grid of a table with all result columns, with the replies that `choose_rows` selects.

    `checks` are the expectations of the cases, and `idles` the pauses of a cache probe, which define their steps.
    """
    return grid_of_rows(rows_of(choose_rows(table, cases)), checks=checks, idles=idles)


def choose_rows(table: pd.DataFrame, cases: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row per case, turn and target: the first ok repeat, else the first cut at the length limit, else any.

    Turns of a case are adjacent. The cases in `cases` come first, in their order, then the others by name.
    """
    rows = without_warmups(table)
    preference = rows["outcome"].map({Outcome.OK.value: 0, Outcome.LENGTH.value: 1}).fillna(2)
    order = rows[["case", "turn", "repeat", "block"]].assign(_target=targets_of(rows), _preference=preference)
    best_first = order.sort_values(["_preference", "repeat", "block"], kind="stable")
    best = best_first.drop_duplicates(["case", "turn", "_target"])
    rank = {case: at for at, case in enumerate(cases)}
    # Not `map`, whose index of the case ids rejects lone surrogates.
    in_order = best.assign(_rank=[rank.get(case, len(rank)) for case in best["case"]])
    return rows.loc[in_order.sort_values(["_rank", "case", "turn"], kind="stable").index]


def grid_of_rows(
    rows: Iterable[Row],
    split: TargetSplit = WHOLE,
    checks: Expectations | None = None,
    idles: Sequence[float] = (),
) -> tuple[GridRow, ...]:
    """Return the grid of rows that `choose_rows` selected and ordered; `split` is how targets are split."""
    turns = groupby(rows, key=lambda row: (str(row["case"]), int(row["turn"] or 1)))
    return tuple(_grid_row(*turn, replies, split, steps_in(checks or {}, turn[0], idles)) for turn, replies in turns)


def _grid_row(case: str, turn: int, rows: Iterable[Row], split: TargetSplit, steps: Steps) -> GridRow:
    replies = {split.part_of(str(target_of_row(row)), row["node"], row.get(split.column or "")): row for row in rows}
    return GridRow(case, turn, _first_prompt(replies.values()), replies, steps)


def _first_prompt(rows: Iterable[Row]) -> str:
    return next((str(row["prompt"]) for row in rows if row["prompt"] is not None), "")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The rows of the first cases; `left_out` is the number of cases that did not fit."""

    rows: tuple[GridRow, ...]
    left_out: int


def excerpt(grid: Sequence[GridRow], max_cases: int, max_bytes: float = float("inf")) -> Excerpt:
    """Return the first whole cases that fit, at least one."""
    cases = [tuple(turns) for _, turns in groupby(grid, key=lambda row: row.case)]
    shown: list[GridRow] = []
    size = 0
    for at, turns in enumerate(cases):
        size += sum(map(_text_bytes, turns))
        if at == max_cases or (at > 0 and size > max_bytes):
            return Excerpt(tuple(shown), len(cases) - at)
        shown.extend(turns)
    return Excerpt(tuple(shown), 0)


def _text_bytes(row: GridRow) -> int:
    texts = (
        reply[column] for reply in row.replies.values() for column in ("reply", "tool_calls", "reasoning", "error")
    )
    return sum(len(text.encode(errors="replace")) for text in (row.prompt, *texts) if isinstance(text, str))
