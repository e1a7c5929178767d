"""The model of replies side by side: for each turn one reply of each target, in the targets' order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.analysis.dataframe import measured, targets_of
from runner.analysis.result_columns import Row
from runner.analysis.side_by_side import lay_out
from runner.outputs.report.reply import PageReply, describe_ending, show_reply
from runner.outputs.text.excerpt import excerpt
from runner.outputs.text.figures import count

if TYPE_CHECKING:
    import pandas as pd

MAX_CASES = 50
MAX_BYTES = 1_000_000
MAX_CHARACTERS = 20_000
SIMULATED = "simulated: the built-in simulator answered; nothing here is said about any provider."


@dataclass(frozen=True, slots=True)
class SideBySideReply:
    """One target's reply to a turn."""

    target: str
    ending: str
    """How it ended and how long it took, in a line."""
    reply: PageReply


@dataclass(frozen=True, slots=True)
class SideBySideTurn:
    """One turn of one case, and the targets' replies."""

    label: str
    prompt: str
    replies: tuple[SideBySideReply, ...]


@dataclass(frozen=True, slots=True)
class SideBySidePage:
    """The turns to show; `remarks` say what is left out, and whether figures are simulated."""

    turns: tuple[SideBySideTurn, ...]
    remarks: tuple[str, ...]

    @property
    def columns(self) -> int:
        """The largest number of replies to one turn."""
        return max((len(turn.replies) for turn in self.turns), default=1)


def compose_side_by_side(table: "pd.DataFrame", targets: Sequence[str], cases: Sequence[str] = ()) -> SideBySidePage:
    """Return the page of a table of results; targets and cases not named come after those that are, by name."""
    shown = excerpt(lay_out(table, cases), MAX_CASES, MAX_BYTES)
    place = {target: at for at, target in enumerate(targets)}
    turns = tuple(
        SideBySideTurn(
            row.label,
            row.prompt,
            tuple(
                _reply(str(target), row.replies[target])
                for target in sorted(row.replies, key=lambda target: (place.get(str(target), len(place)), str(target)))
            ),
        )
        for row in shown.rows
    )
    left_out = f"Left out: {count(shown.left_out, 'further case')}; show part of the table." if shown.left_out else None
    remarks = (SIMULATED if bool(table["simulated"].any()) else None, _describe_repeats(table), left_out)
    return SideBySidePage(turns, tuple(remark for remark in remarks if remark))


def _reply(target: str, row: Row) -> SideBySideReply:
    return SideBySideReply(target, describe_ending(row), show_reply(row, MAX_CHARACTERS))


def _describe_repeats(table: "pd.DataFrame") -> str | None:
    rows = measured(table)
    replies = rows.groupby(["case", "turn", targets_of(rows)], dropna=False, observed=True).size()
    most = int(replies.max()) if len(replies) else 1
    return None if most == 1 else f"Of up to {most} repeats the first that ended well is shown."
