"""Comparison of replies with those of a snapshot: same, changed, new, missing, orphaned, or not compared.

Each case sets how strictly replies are compared. A live model is not deterministic, so by default its replies need only
pass their checks, while those of the simulator must be identical. A reply is its text and its tool calls. Calls are
compared by name and by the JSON value of their arguments, in any order. This module performs no I/O.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from unicodedata import normalize

from runner.analysis.check_results import CheckedCell
from runner.analysis.dataframe import rows_of, targets_of
from runner.analysis.reply_diff import WholeReply, whole_reply
from runner.analysis.result_columns import Row
from runner.analysis.run_results import Run
from runner.analysis.word_diff import similarity
from runner.checks.check_finding import CheckVerdict
from runner.checks.match_and_pass import Matching, read_matching
from runner.core.events import Outcome
from runner.core.surrogates import join_surrogates
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import NO_STEPS, Steps


class SnapshotState(StrEnum):
    """State of one question's reply relative to the snapshot."""

    SAME = "same"
    PASSED = "checks passed"
    CHANGED = "changed"
    FAILED = "checks failed"
    NEW = "new"
    MISSING = "missing"
    ORPHANED = "orphaned"
    NOT_COMPARED = "not compared"


COMPARED = frozenset({SnapshotState.SAME, SnapshotState.PASSED, SnapshotState.CHANGED, SnapshotState.FAILED})
WRONG = frozenset(
    {SnapshotState.CHANGED, SnapshotState.FAILED, SnapshotState.NEW, SnapshotState.MISSING, SnapshotState.ORPHANED}
)
KEEPABLE = frozenset({SnapshotState.CHANGED, SnapshotState.NEW, SnapshotState.ORPHANED})
"""States in which accepting a snapshot replaces, adds or removes a reply."""


@dataclass(frozen=True, slots=True, order=True)
class ComparedQuestion:
    """A turn of a case, sent to a target."""

    case: str
    turn: int
    target: str
    steps: Steps = field(default=NO_STEPS, compare=False)
    """Steps of the case's conversation, if a run defines them."""

    def __str__(self) -> str:
        return f"{self.steps.name_question(self.case, self.turn)} · {self.target}"


@dataclass(frozen=True, slots=True)
class SnapshotComparison:
    """A question, its reply in the snapshot and now (None if there is none), and the resulting state."""

    question: ComparedQuestion
    state: SnapshotState
    kept: WholeReply | None
    now: WholeReply | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class SuiteScope:
    """Questions of the whole suite: its cases with their numbers of turns, and its targets if it lists any."""

    turns: Mapping[str, int]
    targets: Collection[str] | None

    def holds(self, question: ComparedQuestion) -> bool:
        """Return whether the suite has a question."""
        listed = self.targets is None or question.target in self.targets
        return listed and question.turn <= self.turns.get(question.case, 0)


def comparable(text: str) -> str:
    """Return a text as files store it, with newlines as line ends and replacement characters for lone surrogates."""
    return join_surrogates(text.replace("\r\n", "\n").replace("\r", "\n"))


def comparable_reply(text: object, calls: object) -> WholeReply | None:
    """Return the reply in the cells `reply` and `tool_calls`, as files store it; None if both are absent."""
    if not isinstance(text, str) and not isinstance(calls, str):
        return None
    written = comparable(calls) if isinstance(calls, str) else None
    return whole_reply(comparable(text) if isinstance(text, str) else "", written)


def compare_snapshot(
    kept: Mapping[ComparedQuestion, WholeReply], run: Run, scope: SuiteScope
) -> tuple[SnapshotComparison, ...]:
    """Return the comparison of a run's first ok replies with those of a snapshot.

    A question of the snapshot that is not in the run is left out if the suite still has it, and otherwise orphaned.

    Args:
        kept: replies of the snapshot.
        run: the run to compare with it.
        scope: questions of the whole suite.

    """
    checked = {(cell.case, str(cell.target)): cell for cell in run.checked}
    asked = {question: _compare(question, row, kept.get(question), run, checked) for question, row in _questions(run)}
    orphans = [
        SnapshotComparison(question, SnapshotState.ORPHANED, reply, None, "the suite does not ask it any more")
        for question, reply in kept.items()
        if question not in asked and not scope.holds(question)
    ]
    return (*asked.values(), *orphans)


def _questions(run: Run) -> Iterator[tuple[ComparedQuestion, Row]]:
    """Yield every question of a run with its row in the grid, which is an ok one if there is any."""
    for row in run.grid:
        for target in run.targets:
            if target in row.replies:
                yield ComparedQuestion(row.case, row.turn, str(target), row.steps), row.replies[target]


def _compare(
    question: ComparedQuestion,
    row: Row,
    kept: WholeReply | None,
    run: Run,
    checked: Mapping[tuple[str, str], CheckedCell],
) -> SnapshotComparison:
    expectations = run.header.checks.get(question.case, {})
    matching = _matching(expectations, simulated=bool(row["simulated"]))
    now = comparable_reply(row["reply"], row["tool_calls"]) if row["outcome"] == Outcome.OK else None
    cell = checked.get((question.case, question.target))
    state, why = _compare_replies(matching, kept, now, cell)
    return SnapshotComparison(question, state, kept, now, why)


def _matching(expectations: Mapping[str, Any], *, simulated: bool) -> Matching:
    return read_matching(expectations.get("match") or ("exact" if simulated else "checks-only"))


def _compare_replies(
    matching: Matching, kept: WholeReply | None, now: WholeReply | None, cell: CheckedCell | None
) -> tuple[SnapshotState, str | None]:
    if matching.way == "checks-only":
        return _judge_by_checks(cell)
    if now is None:
        return SnapshotState.MISSING, "no request of it ended well"
    if kept is None:
        return SnapshotState.NEW, None
    state, why = _judge_texts(matching, kept.text or "", now.text or "")
    if not _do_calls_match(kept.calls, now.calls, matching):
        return SnapshotState.CHANGED, "other tool calls" if kept.calls else "tool calls, and none are kept"
    return state, why


def _judge_texts(matching: Matching, kept: str, now: str) -> tuple[SnapshotState, str | None]:
    if matching.way == "similar":
        ratio = similarity(kept, now)
        return SnapshotState.SAME if ratio >= matching.least_ratio else SnapshotState.CHANGED, f"similarity {ratio:.2f}"
    same = kept == now or (matching.way == "normalized" and normalized(kept) == normalized(now))
    return (SnapshotState.SAME if same else SnapshotState.CHANGED), None


def _do_calls_match(kept: tuple[ToolCall, ...], now: tuple[ToolCall, ...], matching: Matching) -> bool:
    if kept == now:
        return True
    some, others = (sorted((call.name, normalized(call.arguments)) for call in calls) for calls in (kept, now))
    return matching.way == "normalized" and some == others


def _judge_by_checks(cell: CheckedCell | None) -> tuple[SnapshotState, str | None]:
    if cell is None:
        return SnapshotState.NOT_COMPARED, "it is compared by its checks only, and has none"
    match cell.verdict:
        case CheckVerdict.PASSED:
            return SnapshotState.PASSED, None
        case CheckVerdict.FAILED:
            return SnapshotState.FAILED, None
        case CheckVerdict.UNDECIDED:
            return SnapshotState.NOT_COMPARED, "its checks are not decided"


_VARYING = re.compile(
    r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"  # a UUID
    r"|\b(?=\w*\d)(?=\w*[a-z])[0-9a-z_]{16,}\b"  # an id: long, of letters and digits
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b\.?(?=\s+\d)"  # a month before a day
    r"|\d+(?:[.,:/\-\d]*\d)?"  # numbers, times and dates
)


def normalized(text: str) -> str:
    """Return a text without what may vary between runs: upper case, white space, numbers, dates and ids."""
    plain = normalize("NFKC", text).casefold()
    return " ".join(_VARYING.sub("0", plain).split())


def timings_of(run: Run) -> dict[str, Any]:
    """Return a run's timings for a snapshot: medians over ok requests, in milliseconds and tokens per second."""
    table = run.measured
    ok = table[table["outcome"] == Outcome.OK.value].assign(target=targets_of(table).map(str).astype(object))
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
