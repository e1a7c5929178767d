"""The page's section on what judges made of the replies in pairs."""

from dataclasses import dataclass

from runner.analysis.run_results import Run
from runner.outputs.judge.phrases import describe_judged
from runner.outputs.text.escape import printable
from runner.outputs.text.language import _, labelled
from runner.outputs.text.win_rates import TitledTable, tabulate_win_rates


@dataclass(frozen=True, slots=True)
class JudgedSection:
    """One judging: its tables, and the sentences to read them by."""

    title: str
    criteria: str
    tables: tuple[TitledTable, ...]
    sentences: tuple[str, ...]


def show_judged(run: Run, number: int, of: int) -> list[JudgedSection]:
    """Return a section for each judging of a run, the given one of several."""
    sections = []
    for judged in run.judged:
        title = _("by {judge}", judge=judged.judge)
        sections.append(
            JudgedSection(
                title=labelled(_("run {n}", n=number), title) if of > 1 else title,
                criteria=printable(judged.criteria),
                tables=tabulate_win_rates(judged.rates),
                sentences=tuple(describe_judged(judged)),
            )
        )
    return sections
