"""A snapshot's comparison in a line: how many questions are as kept, and why some were not compared."""

from collections import Counter
from collections.abc import Sequence

from runner.analysis.snapshot import COMPARED, SnapshotComparison, SnapshotState
from runner.outputs.text.figures import count


def describe_counts(comparisons: Sequence[SnapshotComparison]) -> str:
    """Return how many questions were compared, by result: `snapshot: 6 of 9 questions compared: 5 same, 1 changed`.

    What was not compared is followed by the reasons.
    """
    counts = Counter(each.state for each in comparisons)
    compared = sum(counts[state] for state in COMPARED)
    states = ", ".join(_describe_state(state, counts[state], comparisons) for state in SnapshotState if counts[state])
    return f"snapshot: {compared} of {count(len(comparisons), 'question')} compared" + (f": {states}" if states else "")


def _describe_state(state: SnapshotState, number: int, comparisons: Sequence[SnapshotComparison]) -> str:
    described = f"{number} {state.value}"
    if state is not SnapshotState.NOT_COMPARED:
        return described
    reasons = Counter(each.why for each in comparisons if each.state is state and each.why)
    each_reason = [reason if n == number else f"{n} × {reason}" for reason, n in reasons.items()]
    return f"{described} ({'; '.join(each_reason)})" if each_reason else described
