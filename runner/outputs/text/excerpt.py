"""The part of a run's replies that fits on a page: whole cases from the first one, and how many are left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from runner.analysis.run_results import Run
from runner.analysis.side_by_side import GridRow


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The rows of the first cases; `left_out` counts the cases that did not fit."""

    rows: tuple[GridRow, ...]
    left_out: int


def excerpt(grid: Sequence[GridRow], max_cases: int, max_bytes: float = float("inf")) -> Excerpt:
    """Return whole cases as long as they fit, and at least the first one."""
    cases = [tuple(turns) for _, turns in groupby(grid, key=lambda row: row.case)]
    shown: list[GridRow] = []
    size = 0
    for at, turns in enumerate(cases):
        size += sum(map(_text_bytes, turns))
        if at == max_cases or (at > 0 and size > max_bytes):
            return Excerpt(tuple(shown), len(cases) - at)
        shown.extend(turns)
    return Excerpt(tuple(shown), 0)


def excerpt_of(run: Run, max_cases: int, max_bytes: float = float("inf")) -> Excerpt:
    """Return an excerpt of a run's replies. Only the replies of the first cases are read, however long the run is."""
    cases = run.chosen["case"].unique()
    first = run.chosen[run.chosen["case"].isin(cases[:max_cases])]
    taken = excerpt(run.lay_out(first), max_cases, max_bytes)
    return replace(taken, left_out=taken.left_out + len(cases[max_cases:]))


def _text_bytes(row: GridRow) -> int:
    texts = (
        reply[column] for reply in row.replies.values() for column in ("reply", "tool_calls", "reasoning", "error")
    )
    return sum(len(text.encode(errors="replace")) for text in (row.prompt, *texts) if isinstance(text, str))
