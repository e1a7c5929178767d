"""The judgements of a run's pairs, as Markdown."""

from collections.abc import Sequence

from runner.analysis.judge import JudgedPairs
from runner.outputs.judge.phrases import describe_judged
from runner.outputs.text.markdown import inline, table
from runner.outputs.text.summary import TextTable
from runner.outputs.text.win_rates import tabulate_win_rates


def write(judged: Sequence[JudgedPairs], run_id: str) -> str:
    """Return a document on all judgings of a run."""
    return "\n\n".join([f"# {inline(run_id)}, judged", *(part for each in judged for part in section(each))]) + "\n"


def section(judged: JudgedPairs) -> list[str]:
    """Return the parts on one judging, to be joined by an empty line."""
    heading = f"## Judged by {inline(judged.judge)}"
    tables = [part for title, content in tabulate_win_rates(judged.rates) for part in (f"### {title}", _write(content))]
    sentences = "\n".join(f"- {inline(sentence)}" for sentence in describe_judged(judged))
    return [heading, f"Criteria: {inline(judged.criteria)}", *tables, sentences]


def _write(content: TextTable) -> str:
    rows = [[inline(cell) for cell in row] for row in content.rows]
    return table([inline(heading) for heading in content.headings], rows, content.wordy)
