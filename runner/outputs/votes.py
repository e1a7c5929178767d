"""Votes as tables and sentences, and as JSON, Markdown and terminal output."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from types import MappingProxyType
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from runner.analysis.votes import Agreement, JudgeAgreement, VoterFigures, Votes
from runner.outputs.cjk_line_breaks import WrappedText
from runner.outputs.narrow_terminal_tables import SplitTable
from runner.outputs.text.escape import dump_json, one_line
from runner.outputs.text.markdown_syntax import inline, write_table
from runner.outputs.text.number_format import MISSING, percent, with_interval
from runner.outputs.text.table import TextTable, TitledTable
from runner.outputs.text.translation import BilingualText, _, plural
from runner.outputs.text.win_rates import (
    describe_rates,
    tabulate_rates,
    tabulate_win_rates,
)


def tabulate_votes(votes: Votes) -> tuple[TitledTable, ...]:
    """Return tables of win rates and strengths: by target, by pair, and by voter if there are several.

    If no vote compares replies, only the table by voter is returned.
    """
    by_voter = [TitledTable(_("By voter"), _tabulate_voters(votes))] if len(votes.voters) > 1 else []
    return (*tabulate_win_rates(votes.together.rates), *by_voter)


def _tabulate_voters(votes: Votes) -> TextTable:
    """Return a row for each voter and target; a voter whose votes compare nothing has one row."""
    counts = (_("votes"), _("ties"), _("none good"))
    rows: list[tuple[str, ...]] = []
    for each in votes.voters:
        cells = tabulate_rates(each.rates).rows or ((MISSING,) * 7,)
        own = (each.voter or "", *(f"{n:,}" for n in (each.votes, each.ties, each.none)))
        rows += [(*(own if not at else ("",) * 4), cell[0], cell[1], cell[-1]) for at, cell in enumerate(cells)]
    headings = (_("voter"), *counts, _("target"), _("win rate"), _("strength"))
    return TextTable(headings, tuple(rows), frozenset({0, 4}))


def describe_votes(votes: Votes) -> tuple[BilingualText, ...]:
    """Return sentences on the number of votes, on agreement, and on how to read the figures."""
    simulated = _("Replies of the built-in simulator were voted on.")
    return (
        _describe_count(votes.together, len(votes.voters)),
        *([simulated] if votes.simulated else []),
        *([_describe_agreement(votes.agreement)] if len(votes.voters) > 1 else []),
        *(map(_describe_judge, votes.judges) if votes.judges else [_("No judge has compared these replies.")]),
        *(describe_rates(votes.together.rates) if votes.together.rates.targets else ()),
    )


def _describe_count(together: VoterFigures, voters: int) -> BilingualText:
    return _(
        "{votes} by {voters} on {cases}, {ties} of them ties; {none} that no reply is good, which compare nothing.",
        votes=plural(together.votes, "{n} vote", "{n} votes"),
        voters=plural(voters, "{n} person", "{n} people"),
        cases=plural(together.cases, "{n} case", "{n} cases"),
        ties=f"{together.ties:,}",
        none=f"{together.none:,}",
    )


def _describe_agreement(found: Agreement) -> BilingualText:
    if not found.units:
        return _("No two people voted on the same replies, so nothing tells how far they agree.")
    size = plural(found.units, "{n} question with two or more votes", "{n} questions with two or more votes")
    if found.alpha is None:
        return _(
            "All votes that could disagree are the same ({size}), so agreement beyond chance is not defined.", size=size
        )
    return _(
        "Agreement of the voters, Krippendorff's alpha: {alpha} ({size}). 1 is perfect, 0 is chance.",
        alpha=_alpha(found),
        size=size,
    )


def _alpha(found: Agreement) -> str:
    return MISSING if found.alpha is None else with_interval(f"{found.alpha:.2f}", found.interval, "{:.2f}".format)


def _describe_judge(found: JudgeAgreement) -> BilingualText:
    share = with_interval(percent(found.same / found.pairs), found.interval, percent)
    return _(
        "The majority of people and the judge {judge} say the same of {share} of {pairs}; Krippendorff's alpha: "
        "{alpha}.",
        judge=found.judge,
        share=share,
        pairs=plural(found.pairs, "{n} pair of replies", "{n} pairs of replies"),
        alpha=_alpha(found.agreement),
    )


def write_json(votes: Votes) -> str:
    """Return the votes as a JSON document."""
    return dump_json(votes_as_data(votes)) + "\n"


def votes_as_data(votes: Votes) -> dict[str, Any]:
    """Return votes as plain data."""
    return {
        "runs": list(votes.run_ids),
        "simulated": votes.simulated,
        "together": _figures(votes.together),
        "voters": [_figures(each) for each in votes.voters],
        "agreement": asdict(votes.agreement),
        "judges": [{**asdict(each), "share": each.same / each.pairs} for each in votes.judges],
    }


def _figures(figures: VoterFigures) -> dict[str, Any]:
    return {**asdict(figures), "rates": figures.rates.plain}


def write_markdown(votes: Votes) -> str:
    """Return the sentences on votes, then the tables, as Markdown."""
    return "\n\n".join(_parts(votes)) + "\n"


def _parts(votes: Votes) -> Iterator[str]:
    yield f"# Votes on {inline(', '.join(votes.run_ids))}"
    yield "\n".join(f"- {inline(sentence)}" for sentence in describe_votes(votes))
    for title, content in tabulate_votes(votes):
        yield f"## {title}"
        yield write_table(content)


def render_votes(votes: Votes) -> Group:
    """Return votes for a rich console, which chooses colour and width."""
    return Group(*chain(_tables(votes), _sentences(votes)))


def _tables(votes: Votes) -> Iterator[RenderableType]:
    for title, content in tabulate_votes(votes):
        yield Text(title, style="bold")
        yield SplitTable(content, in_line=True)
        yield Text("")


def _sentences(votes: Votes) -> Iterator[RenderableType]:
    yield from (WrappedText(one_line(sentence)) for sentence in describe_votes(votes))


VOTES_WRITERS = MappingProxyType({".md": write_markdown, ".json": write_json})
"""Suffix -> writer of votes."""
