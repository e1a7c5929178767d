"""Replies held against those that were kept: the same, changed, new, missing, orphaned, or not compared at all.

How closely is each case's own affair: a live model is not deterministic, so by default its replies need only pass their
checks, while the simulator's must be the same to the letter. Knows no files.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any
from unicodedata import normalize

from runner.analysis.checks import CheckedCell
from runner.analysis.columns import Row
from runner.analysis.frame import rows_of, targets_of
from runner.analysis.run import Run
from runner.analysis.word_diff import tokenize
from runner.checks.finding import CheckVerdict
from runner.checks.matching import Matching, read_matching
from runner.core.events import Outcome


class State(StrEnum):
    """What became of one question's reply."""

    SAME = "same"
    PASSED = "checks passed"
    CHANGED = "changed"
    FAILED = "checks failed"
    NEW = "new"
    MISSING = "missing"
    ORPHANED = "orphaned"
    NOT_COMPARED = "not compared"


COMPARED = frozenset({State.SAME, State.PASSED, State.CHANGED, State.FAILED})
WRONG = frozenset({State.CHANGED, State.FAILED, State.NEW, State.MISSING, State.ORPHANED})
KEEPABLE = frozenset({State.CHANGED, State.NEW, State.ORPHANED})
"""What accepting changes: texts are replaced, added, or removed."""


@dataclass(frozen=True, slots=True, order=True)
class ComparedQuestion:
    """One turn of one case, asked of one target."""

    case: str
    turn: int
    target: str

    def __str__(self) -> str:
        turn = f" turn {self.turn}" if self.turn > 1 else ""
        return f"{self.case}{turn} · {self.target}"


@dataclass(frozen=True, slots=True)
class SnapshotComparison:
    """One question: what is kept of it, what is replied now (None for nothing), and what that makes."""

    question: ComparedQuestion
    state: State
    matching: Matching
    kept: str | None
    now: str | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What the whole suite asks: its cases with their number of turns, and its targets if it lists any."""

    turns: Mapping[str, int]
    targets: Collection[str] | None

    def holds(self, question: ComparedQuestion) -> bool:
        """Tell whether the suite still asks this."""
        listed = self.targets is None or question.target in self.targets
        return listed and question.turn <= self.turns.get(question.case, 0)


def comparable(text: str) -> str:
    """Return a text as a file can keep it: line ends as newlines, half a character as the replacement character."""
    return (
        text.replace("\r\n", "\n")
        .replace("\r", "\n")
        .encode("utf-16-le", "surrogatepass")
        .decode("utf-16-le", "replace")
    )


def compare_snapshot(kept: Mapping[ComparedQuestion, str], run: Run, scope: Scope) -> tuple[SnapshotComparison, ...]:
    """Hold a run's first ok replies against those that are kept.

    What is kept and was not asked this time is passed over, if the suite would still ask it.
    """
    checked = {(cell.case, cell.target): cell for cell in run.checked}
    asked = {question: _compare(question, row, kept.get(question), run, checked) for question, row in _asked(run)}
    orphans = [
        SnapshotComparison(
            question, State.ORPHANED, Matching("exact"), text, None, "the suite does not ask it any more"
        )
        for question, text in kept.items()
        if question not in asked and not scope.holds(question)
    ]
    return (*asked.values(), *orphans)


def _asked(run: Run) -> Iterator[tuple[ComparedQuestion, Row]]:
    """Yield every question of a run with the row that speaks for it: the first ok one, else none that is ok."""
    for row in run.grid:
        for target in run.header.targets:
            if target in row.replies:
                yield ComparedQuestion(row.case, row.turn, target), row.replies[target]


def _compare(
    question: ComparedQuestion, row: Row, kept: str | None, run: Run, checked: Mapping[tuple[str, str], CheckedCell]
) -> SnapshotComparison:
    demands = run.header.checks.get(question.case, {})
    matching = _matching(demands, simulated=bool(row["simulated"]))
    reply = row["reply"]
    now = comparable(reply) if row["outcome"] == Outcome.OK and isinstance(reply, str) else None
    cell = checked.get((question.case, question.target))
    state, why = _judge(matching, kept, now, cell)
    return SnapshotComparison(question, state, matching, kept, now, why)


def _matching(demands: Mapping[str, Any], *, simulated: bool) -> Matching:
    return read_matching(demands.get("match") or ("exact" if simulated else "checks-only"))


def _judge(matching: Matching, kept: str | None, now: str | None, cell: CheckedCell | None) -> tuple[State, str | None]:
    if matching.way == "checks-only":
        return _judge_by_checks(cell)
    if now is None:
        return State.MISSING, "no request of it ended well"
    if kept is None:
        return State.NEW, None
    if matching.way == "similar":
        ratio = similarity(kept, now)
        return State.SAME if ratio >= matching.least_ratio else State.CHANGED, f"similarity {ratio:.2f}"
    same = kept == now or (matching.way == "normalized" and normalized(kept) == normalized(now))
    return (State.SAME if same else State.CHANGED), None


def _judge_by_checks(cell: CheckedCell | None) -> tuple[State, str | None]:
    if cell is None:
        return State.NOT_COMPARED, "it is compared by its checks only, and has none"
    match cell.verdict:
        case CheckVerdict.PASSED:
            return State.PASSED, None
        case CheckVerdict.FAILED:
            return State.FAILED, None
        case CheckVerdict.UNDECIDED:
            return State.NOT_COMPARED, "its checks are not decided"


_VARYING = re.compile(
    r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"  # a UUID
    r"|\b(?=\w*\d)(?=\w*[a-z])[0-9a-z_]{16,}\b"  # an id: long, of letters and digits
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b\.?(?=\s+\d)"  # a month before a day
    r"|\d+(?:[.,:/\-\d]*\d)?"  # numbers, times and dates
)


def normalized(text: str) -> str:
    """Return a text without what may vary from day to day: case, spaces, digits, dates, ids."""
    plain = normalize("NFKC", text).casefold()
    return " ".join(_VARYING.sub("0", plain).split())


def similarity(kept: str, now: str) -> float:
    """Return how alike two texts are, word by word and in order: 2 × words in common / all words; 1 for equal ones."""
    before, after = _words(kept), _words(now)
    return SequenceMatcher(None, before, after, autojunk=False).ratio()


def _words(text: str) -> list[str]:
    return [word for word in tokenize(text) if not word.isspace()]


def timings_of(run: Run) -> dict[str, Any]:
    """Return what is to be read of a run's timings, in milliseconds and tokens a second; medians of ok requests."""
    table = run.measured
    ok = table[table["outcome"] == Outcome.OK.value].assign(target=targets_of(table))
    grouped = ok.groupby(["case", "turn", "target"], sort=False)
    medians = grouped[["ttft_s", "total_s", "output_tps"]].median()
    cells = medians.assign(n=grouped.size()).reset_index()
    return {
        "simulated": run.simulated,
        "started_at": run.header.started_at,
        "compare": run.header.versions.get("compare"),
        "cells": sorted(map(_timing, rows_of(cells)), key=lambda cell: (cell["case"], cell["turn"], cell["target"])),
    }


def _timing(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("case", "turn", "target", "n")},
        "ttft_ms": _rounded(row["ttft_s"], 1000),
        "total_ms": _rounded(row["total_s"], 1000),
        "tokens_per_s": _rounded(row["output_tps"], 1),
    }


def _rounded(value: Any, factor: int) -> float | None:
    return None if value is None else round(value * factor, 1)
