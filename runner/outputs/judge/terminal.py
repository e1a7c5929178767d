"""The judgement of a run's pairs, on a terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from runner.analysis.judge import JudgedPairs
from runner.outputs.flowing_text import FlowingText
from runner.outputs.judge.phrases import describe_judged
from runner.outputs.terminal import draw_table
from runner.outputs.text.escape import one_line
from runner.outputs.text.win_rates import tabulate_pairs, tabulate_rates


def render_judged(judged: JudgedPairs) -> Group:
    """Return the tables of a judging, what explains them, and what to know before they are trusted."""
    tables: list[RenderableType] = [draw_table(tabulate_rates(judged.rates))]
    if len(judged.rates.targets) > 2:
        tables += [Text(""), draw_table(tabulate_pairs(judged.rates))]
    sentences = [FlowingText(f"note: {one_line(sentence)}") for sentence in describe_judged(judged)]
    heading = Text(one_line(f"judged by {judged.judge}"), style="bold")
    return Group(heading, FlowingText(one_line(f"criteria: {judged.criteria}")), *tables, *sentences)
