"""Votes as Markdown, for a pull request or a wiki."""

from collections.abc import Iterator

from runner.analysis.votes import Votes
from runner.outputs.text.markdown import inline, table
from runner.outputs.votes.phrases import describe_votes, tabulate_votes


def write(votes: Votes) -> str:
    """Return what they rest on, then the tables of win rates."""
    return "\n\n".join(_parts(votes)) + "\n"


def _parts(votes: Votes) -> Iterator[str]:
    yield f"# Votes on {inline(', '.join(votes.run_ids))}"
    yield "\n".join(f"- {inline(sentence)}" for sentence in describe_votes(votes))
    for title, content in tabulate_votes(votes):
        yield f"## {title}"
        yield table(content.headings, [list(map(inline, row)) for row in content.rows], content.wordy)
