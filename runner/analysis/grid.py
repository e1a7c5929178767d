"""Replies side by side: a row for each case and turn, in it one row of the table for each target."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from runner.analysis.columns import Row
from runner.analysis.frame import measured, rows_of
from runner.core.events import Outcome


@dataclass(frozen=True, slots=True)
class GridRow:
    """One turn of one case, and what each target made of it; a target that was not asked is not there."""

    case: str
    turn: int
    prompt: str
    replies: Mapping[str, Row]

    @property
    def label(self) -> str:
        """The case, and which turn of it from the second on."""
        return self.case if self.turn == 1 else f"{self.case} · turn {self.turn}"


def lay_out(table: pd.DataFrame, cases: Sequence[str] = ()) -> tuple[GridRow, ...]:
    """Lay out a table of whole rows: see `choose`."""
    return arrange(rows_of(choose(table, cases)))


def choose(table: pd.DataFrame, cases: Sequence[str] = ()) -> pd.DataFrame:
    """Choose each target's first ok repeat, else its first cut at the length, else its first of any outcome.

    Turns stay together. The cases named come first, in their order; then the others by name.
    """
    counted = measured(table)
    preference = counted["outcome"].map({Outcome.OK.value: 0, Outcome.LENGTH.value: 1}).fillna(2)
    order = counted[["case", "turn", "provider", "model", "repeat", "block"]].assign(_preference=preference)
    best_first = order.sort_values(["_preference", "repeat", "block"], kind="stable")
    best = best_first.drop_duplicates(["case", "turn", "provider", "model"])
    place = {case: at for at, case in enumerate(cases)}
    in_order = best.assign(_place=best["case"].map(place).fillna(len(place)))
    return counted.loc[in_order.sort_values(["_place", "case", "turn"], kind="stable").index]


def arrange(rows: Iterable[Row]) -> tuple[GridRow, ...]:
    """Put whole rows that were chosen, turn after turn, side by side."""
    turns = groupby(rows, key=lambda row: (str(row["case"]), int(row["turn"] or 0)))
    return tuple(_grid_row(case, turn, replies) for (case, turn), replies in turns)


def _grid_row(case: str, turn: int, rows: Iterable[Row]) -> GridRow:
    replies = {f"{row['provider']}/{row['model']}": row for row in rows}
    return GridRow(case, turn, _prompt(replies), replies)


def _prompt(replies: Mapping[str, Row]) -> str:
    return next((str(row["prompt"]) for row in replies.values() if row["prompt"] is not None), "")
