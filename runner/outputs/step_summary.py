"""A run for the summary page of a GitHub job: what fits, in whole sections, and what was left out said."""

from collections.abc import Iterable

from runner.analysis.diff import Difference
from runner.analysis.run import Run
from runner.outputs import markdown
from runner.outputs.diff.formats import DIFFERENCE_WRITERS

MAX_BYTES = 1_000_000
"""GitHub drops the whole summary of a step beyond 1 MiB; some room is left for what else the step writes."""


def write(run: Run, difference: Difference | None) -> str:
    """Write the comparison, if there is one, then the run without its replies in full."""
    compared = [DIFFERENCE_WRITERS[".md"](difference).rstrip("\n")] if difference else []
    return fit([*compared, *markdown.sections(run)], MAX_BYTES)


def fit(sections: Iterable[str], max_bytes: int) -> str:
    """Join the sections that fit one after another, and say so where one does not."""
    page = ""
    note = "\n\nLeft out: what did not fit; `results.md` has it.\n"
    for section in sections:
        longer = f"{page}\n\n{section}" if page else section
        if len(longer.encode()) + len(note) > max_bytes:
            return page + note
        page = longer
    return page + "\n"
