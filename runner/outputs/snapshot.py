"""Comparison of a snapshot on a terminal: counts, then each question that differs, with the changed words."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from runner.analysis.snapshot import COMPARED, WRONG, SnapshotComparison, SnapshotState
from runner.analysis.word_diff import marked_words, whole_texts
from runner.errors import counted
from runner.outputs.diff.terminal import MARKS
from runner.outputs.text.escape import one_line, printable

MAX_SHOWN = 50
MAX_CHARACTERS = 2_000
STYLES = {
    SnapshotState.SAME: "green",
    SnapshotState.PASSED: "green",
    SnapshotState.CHANGED: "red",
    SnapshotState.FAILED: "red",
    SnapshotState.MISSING: "red",
    SnapshotState.NEW: "yellow",
    SnapshotState.ORPHANED: "yellow",
    SnapshotState.NOT_COMPARED: "yellow",
}


def render_comparisons(comparisons: Sequence[SnapshotComparison]) -> Group:
    """Return the comparison for a rich console: counts, then questions that differ or were not compared."""
    shown = to_show(comparisons)
    more = len(shown) - MAX_SHOWN
    rest = [Text(f"and {counted(more, 'more question')}")] if more > 0 else []
    return Group(Text(describe_counts(comparisons), "bold"), *map(render_comparison, shown[:MAX_SHOWN]), *rest)


def to_show(comparisons: Sequence[SnapshotComparison]) -> list[SnapshotComparison]:
    """Return the questions that differ or were not compared."""
    return [each for each in comparisons if each.state in WRONG or each.state is SnapshotState.NOT_COMPARED]


def render_comparison(comparison: SnapshotComparison) -> Text:
    """Return one question with its result, the reason, and the changed words of the reply."""
    why = f" ({comparison.why})" if comparison.why else ""
    heading = Text.assemble(
        one_line(str(comparison.question)), ": ", (comparison.state.value, STYLES[comparison.state])
    )
    heading.append(why)
    if comparison.state in {SnapshotState.CHANGED, SnapshotState.NEW, SnapshotState.ORPHANED}:
        heading.append("\n").append_text(_marked_words(comparison))
    return heading


def _marked_words(comparison: SnapshotComparison) -> Text:
    kept, now = (reply.shown if reply else "" for reply in (comparison.kept, comparison.now))
    marked = Text("  ")
    for piece in marked_words(kept, now) or whole_texts(kept, now):
        before, after, style = MARKS.get(piece.change, ("", "", ""))
        marked.append(before + printable(piece.text).replace("\n", "\n  ") + after, style)
    if len(marked) > MAX_CHARACTERS:
        marked.truncate(MAX_CHARACTERS)
        marked.append(" …")
    return marked


def describe_counts(comparisons: Sequence[SnapshotComparison]) -> str:
    """Return counts of questions by result: `snapshot: 6 of 9 questions compared: 5 same, 1 changed`.

    The count of questions that were not compared is followed by the reasons.
    """
    counts = Counter(each.state for each in comparisons)
    compared = sum(counts[state] for state in COMPARED)
    states = ", ".join(_describe_state(state, counts[state], comparisons) for state in SnapshotState if counts[state])
    questions = counted(len(comparisons), "question")
    return f"snapshot: {compared} of {questions} compared" + (f": {states}" if states else "")


def _describe_state(state: SnapshotState, number: int, comparisons: Sequence[SnapshotComparison]) -> str:
    described = f"{number} {state.value}"
    if state is not SnapshotState.NOT_COMPARED:
        return described
    reasons = Counter(each.why for each in comparisons if each.state is state and each.why)
    each_reason = [reason if n == number else f"{n} × {reason}" for reason, n in reasons.items()]
    return f"{described} ({'; '.join(each_reason)})" if each_reason else described
