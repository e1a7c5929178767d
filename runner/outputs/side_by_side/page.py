"""The model of replies side by side: for each turn one reply of each target, in the targets' order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.analysis.checks import CheckedCell, Expectations
from runner.analysis.dataframe import measured, targets_of
from runner.analysis.pass_rate import measure_pass_rate
from runner.analysis.result_columns import Row
from runner.analysis.side_by_side import lay_out
from runner.outputs.report.reply import PageReply, describe_ending, show_reply
from runner.outputs.text.excerpt import excerpt
from runner.outputs.text.figures import count
from runner.outputs.text.summary import write_pass_rate

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


def compose_side_by_side(
    table: "pd.DataFrame",
    targets: Sequence[str],
    cases: Sequence[str] = (),
    checked: Sequence[CheckedCell] = (),
    checks: Expectations | None = None,
) -> SideBySidePage:
    """Return the page of a table of results; targets and cases not named come after those that are, by name.

    `checked` are the results of the checks of the table's repeats: the last turn of a case says how many passed, and a
    remark the pass rate of each target. `checks` are the expectations of the cases.
    """
    shown = excerpt(lay_out(table, cases, checks), MAX_CASES, MAX_BYTES)
    place = {target: at for at, target in enumerate(targets)}
    last_turn = {row.case: row.turn for row in shown.rows}
    passed = {(last_turn.get(cell.case), cell.case, str(cell.target)): describe_repeats(cell) for cell in checked}
    turns = tuple(
        SideBySideTurn(
            row.label,
            row.prompt,
            tuple(
                _reply(str(target), row.replies[target], passed.get((row.turn, row.case, str(target))))
                for target in sorted(row.replies, key=lambda target: (place.get(str(target), len(place)), str(target)))
            ),
        )
        for row in shown.rows
    )
    left_out = f"Left out: {count(shown.left_out, 'further case')}; show part of the table." if shown.left_out else None
    simulated = SIMULATED if bool(table["simulated"].any()) else None
    remarks = (simulated, *_describe_pass_rates(checked), _describe_repeats(table), left_out)
    return SideBySidePage(turns, tuple(remark for remark in remarks if remark))


def _reply(target: str, row: Row, passed: str | None) -> SideBySideReply:
    ending = ", ".join(part for part in (describe_ending(row), passed) if part)
    return SideBySideReply(target, ending, show_reply(row, MAX_CHARACTERS))


def describe_repeats(cell: CheckedCell) -> str:
    """Return how many repeats of a case passed its checks: `2 of 3 repeats passed, 1 undecided`."""
    undecided = f", {cell.undecided:,} undecided" if cell.undecided else ""
    return f"{cell.passed:,} of {count(cell.n, 'repeat')} passed{undecided}"


def _describe_pass_rates(checked: Sequence[CheckedCell]) -> Iterator[str]:
    for target in dict.fromkeys(cell.target for cell in checked):
        rate = measure_pass_rate([cell for cell in checked if cell.target == target])
        if rate is not None:
            yield f"{target}: pass rate {write_pass_rate(rate)}"


def _describe_repeats(table: "pd.DataFrame") -> str | None:
    rows = measured(table)
    replies = rows.groupby(["case", "turn", targets_of(rows)], dropna=False, observed=True).size()
    most = int(replies.max()) if len(replies) else 1
    return None if most == 1 else f"Of up to {most} repeats the first that ended well is shown."
