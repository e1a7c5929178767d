"""Compare two runs, or two targets or places of one run, and write the comparison."""

from collections.abc import Sequence
from pathlib import Path

from runner.analysis.diff import Difference, diff_places, diff_runs, diff_within
from runner.analysis.run_results import Run
from runner.analysis.verdict import Rule
from runner.outputs.diff.formats import DIFFERENCE_WRITERS
from runner.storage.run_folder import write_atomically, write_each

Pair = tuple[str, str]


def compare(base: Run, new: Run | Pair, rule: Rule, *, by_region: bool = False) -> Difference:
    """Compare two runs, or the second of two targets of one with the first.

    Args:
        base: the run that is compared with.
        new: the other run, or the names of two targets of `base`.
        rule: what a verdict demands.
        by_region: whether the names are those of two regions, or nodes, from which all of `base` was asked.

    Raises:
        CompareError: what is named has nothing in common, or there is no such target or place.

    """
    if isinstance(new, Run):
        return diff_runs(base, new, rule)
    return diff_places(base, *new, rule) if by_region else diff_within(base, *new, rule)


def write_difference(difference: Difference, outputs: Sequence[Path], language: str | None = None) -> None:
    """Write a comparison to files, each in the format that its suffix names; pages in a language, else the locale's."""
    write_each(outputs, lambda path: write_atomically(path, _render(difference, path.suffix.lower(), language)))


def _render(difference: Difference, suffix: str, language: str | None) -> str:
    if suffix != ".html":
        return DIFFERENCE_WRITERS[suffix](difference)
    from runner.outputs.report.render_html import write_comparison  # noqa: PLC0415 -- brings jinja2

    return write_comparison(difference, language)
