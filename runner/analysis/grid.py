"""Replies side by side: a row for each case and turn, in it one row of the table for each target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from runner.analysis.columns import Row
from runner.analysis.frame import measured, rows_of, targets_of
from runner.events import Outcome


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
    """Choose each target's first ok repeat, else its first cut at the length, else its first of any outcome.

    The cases named come first, in their order; then the others by name.
    """
    chosen = _choose(measured(table))
    cells: dict[tuple[str, int], dict[str, Row]] = {}
    for target, row in zip(targets_of(chosen), rows_of(chosen), strict=True):
        cells.setdefault((str(row["case"]), int(row["turn"] or 0)), {})[target] = row
    place = {case: at for at, case in enumerate(cases)}
    order = sorted(cells, key=lambda key: (place.get(key[0], len(place)), *key))
    return tuple(GridRow(case, turn, _prompt(cells[case, turn]), cells[case, turn]) for case, turn in order)


def _choose(table: pd.DataFrame) -> pd.DataFrame:
    preference = table["outcome"].map({Outcome.OK.value: 0, Outcome.LENGTH.value: 1}).fillna(2)
    best_first = table.assign(_preference=preference).sort_values(["_preference", "repeat", "block"], kind="stable")
    return best_first.drop_duplicates(["case", "turn", "provider", "model"]).drop(columns="_preference")


def _prompt(replies: Mapping[str, Row]) -> str:
    return next((str(row["prompt"]) for row in replies.values() if row["prompt"] is not None), "")
