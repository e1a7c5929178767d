"""Judgements of pairs of replies as JSON, Markdown and terminal output. Absent values are null in JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runner.analysis.judge import JudgedPairs, JudgedShare
from runner.analysis.judge_costs import JudgeCost
from runner.outputs.text.escape import dump_json, one_line
from runner.outputs.text.judge import describe_judged
from runner.outputs.text.markdown_syntax import inline, write_table
from runner.outputs.text.win_rates import tabulate_win_rates

if TYPE_CHECKING:
    from rich.console import Group, RenderableType


def write_json(judged: Sequence[JudgedPairs], run_id: str) -> str:
    """Return a JSON document with all judgements of a run."""
    document = {"run_id": run_id, "judged": [judged_as_data(each) for each in judged]}
    return dump_json(document) + "\n"


def judged_as_data(judged: JudgedPairs) -> dict[str, Any]:
    """Return the judgements of one judge as plain data."""
    rates = judged.rates.plain
    return {
        "judge": judged.judge,
        "settings": dict(judged.settings),
        "criteria": judged.criteria,
        "at": judged.at,
        "prompt_version": judged.prompt_version,
        "pairs": judged.pairs,
        "of_pairs": judged.of_pairs,
        "undecided": judged.undecided,
        "equal": judged.equal,
        "targets": rates["targets"],
        "against": rates["pairs"],
        "strengths": rates["strengths"],
        "separations": rates["separations"],
        "components": rates["components"],
        "flips": _share(judged.flips),
        "first_named": _share(judged.first_named),
        "longer_won": _share(judged.longer_won),
        "same_family": judged.relatives,
        "cost": plain_cost(judged.cost),
    }


def _share(share: JudgedShare) -> dict[str, Any]:
    return {**asdict(share), "share": share.value}


def plain_cost(cost: JudgeCost) -> dict[str, Any]:
    """Return the number and cost of a judge's requests as plain data; amounts of money are text."""
    return {**asdict(cost), "spent": {money.currency: str(money.amount) for money in cost.spent}}


def write_markdown(judged: Sequence[JudgedPairs], run_id: str) -> str:
    """Return a Markdown document with all judgements of a run."""
    parts = (part for each in judged for part in judged_section(each))
    return "\n\n".join([f"# {inline(run_id)}, judged", *parts]) + "\n"


def judged_section(judged: JudgedPairs) -> list[str]:
    """Return the Markdown parts on one judge, to be joined by empty lines."""
    heading = f"## Judged by {inline(judged.judge)}"
    tables = [
        part for title, content in tabulate_win_rates(judged.rates) for part in (f"### {title}", write_table(content))
    ]
    sentences = "\n".join(f"- {inline(sentence)}" for sentence in describe_judged(judged))
    return [heading, f"Criteria: {inline(judged.criteria)}", *tables, sentences]


def render_judged(judged: JudgedPairs) -> "Group":
    """Return the tables of one judge and the notes on them, for a rich console."""
    from rich.console import Group  # noqa: PLC0415 -- the formats above are written for every run and need no rich
    from rich.text import Text  # noqa: PLC0415

    from runner.outputs.cjk_line_breaks import WrappedText  # noqa: PLC0415
    from runner.outputs.narrow_terminal_tables import SplitTable  # noqa: PLC0415

    tables: list[RenderableType] = []
    for title, content in tabulate_win_rates(judged.rates):
        tables += [Text(""), Text(title, style="bold"), SplitTable(content, in_line=True)]
    sentences = [WrappedText(f"note: {one_line(sentence)}") for sentence in describe_judged(judged)]
    heading = Text(one_line(f"judged by {judged.judge}"), style="bold")
    return Group(heading, WrappedText(one_line(f"criteria: {judged.criteria}")), *tables, Text(""), *sentences)


JUDGE_WRITERS = MappingProxyType({".md": write_markdown, ".json": write_json})
"""Suffix -> writer of judgements."""
