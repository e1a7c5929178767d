"""The judgement of a run's pairs, on a terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from runner.analysis.judge import JudgedPairs
from runner.outputs.fitting_table import FittingTable
from runner.outputs.flowing_text import FlowingText
from runner.outputs.judge.phrases import describe_judged
from runner.outputs.text.escape import one_line
from runner.outputs.text.win_rates import tabulate_win_rates


def render_judged(judged: JudgedPairs) -> Group:
    """Return the tables of a judging, what explains them, and what to know before they are trusted."""
    tables: list[RenderableType] = []
    for title, table in tabulate_win_rates(judged.rates):
        tables += [Text(""), Text(title, style="bold"), FittingTable(table)]
    sentences = [FlowingText(f"note: {one_line(sentence)}") for sentence in describe_judged(judged)]
    heading = Text(one_line(f"judged by {judged.judge}"), style="bold")
    return Group(heading, FlowingText(one_line(f"criteria: {judged.criteria}")), *tables, Text(""), *sentences)
