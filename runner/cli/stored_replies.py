"""Print the replies of finished runs on a terminal, turn by turn, one column for each target."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.rule import Rule
from rich.text import Text

from runner.cli.live_replies import arrange, fits, print_plainly
from runner.outputs.cjk_line_breaks import WrappedText
from runner.outputs.report.reply import describe_ending
from runner.outputs.report.reply_grid import GridTurn, Replies, TargetColumn, grid_turns, read_replies, target_columns
from runner.outputs.text.escape import one_line, printable
from runner.outputs.text.partial_reply import PartialReply

if TYPE_CHECKING:
    from runner.analysis.result_columns import Row
    from runner.analysis.run_results import Run


def print_replies(runs: "Sequence[Run]", console: Console) -> None:
    """Print every turn, in the repeat that the report page shows first."""
    columns = target_columns(runs)
    turns = [turn.only_repeats(turn.first) for turn in grid_turns(columns)]
    replies = read_replies(turns, columns)
    for turn in turns:
        _print_turn(turn, columns, replies, console)


def _print_turn(turn: GridTurn, columns: Sequence[TargetColumn], replies: Replies, console: Console) -> None:
    shown = [
        _shown_reply(column.label, rows[cell[turn.first].place] if cell else None)
        for column, cell, rows in zip(columns, turn.cells, replies, strict=True)
    ]
    if not fits(console, len(columns)):
        heading = WrappedText(f"# {one_line(turn.label)}", style="bold")
        prompt = WrappedText(printable(turn.prompt), style="dim")
        console.print(Group(heading, prompt, ""), soft_wrap=not console.is_terminal)
        for each in shown:
            print_plainly(each, console)
        return
    console.print(Rule(Text(one_line(turn.label), style="bold"), align="left"))
    console.print(Group(WrappedText(printable(turn.prompt), style="dim")))
    console.print(arrange(shown, console))


def _shown_reply(label: str, row: "Row | None") -> PartialReply:
    if row is None:
        return PartialReply(name=label, ending="not asked")
    return PartialReply.of_row(label, row, describe_ending(row))
