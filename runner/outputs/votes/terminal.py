"""Votes on a terminal: tables of win rates, then what they rest on."""

from collections.abc import Iterator
from itertools import chain

from rich.console import Group, RenderableType
from rich.text import Text

from runner.analysis.votes import Votes
from runner.outputs.fitting_table import FittingTable
from runner.outputs.flowing_text import FlowingText
from runner.outputs.text.escape import one_line
from runner.outputs.votes.phrases import describe_votes, tabulate_votes


def render_votes(votes: Votes) -> Group:
    """Return votes for a rich console, which decides on colour and width."""
    return Group(*chain(_tables(votes), _sentences(votes)))


def _tables(votes: Votes) -> Iterator[RenderableType]:
    for title, table in tabulate_votes(votes):
        yield Text(title, style="bold")
        yield FittingTable(table)
        yield Text("")


def _sentences(votes: Votes) -> Iterator[RenderableType]:
    yield from (FlowingText(one_line(sentence)) for sentence in describe_votes(votes))
