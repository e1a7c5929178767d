"""The history of targets on a terminal: a line for each target and measure, and one for each change of its level."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.text import Text

from runner.analysis.run_series import RunSeries
from runner.outputs.diff.finding_cells import write_level
from runner.outputs.fitting_table import FittingTable
from runner.outputs.flowing_text import FlowingText
from runner.outputs.history.phrases import describe_change, describe_left_out, describe_place
from runner.outputs.text.escape import one_line
from runner.outputs.text.figures import MISSING, interval_ends
from runner.outputs.text.summary import TextTable

BARS = "▁▂▃▄▅▆▇█"
SHOWN = 40
"""Runs in a sparkline."""

HEADINGS = ("target", "measure", "runs", "last", "usual range", "", "trend")
WORDY = frozenset({0, 1, 5, 6})


def render_history(series: Sequence[RunSeries]) -> Group:
    """Return a table for each suite and load, with the changes of levels below it."""
    groups: dict[str, list[RunSeries]] = {}
    for each in series:
        groups.setdefault(_heading(each), []).append(each)
    parts: list[object] = []
    for heading, own in groups.items():
        parts += [
            Text(heading, style="bold"),
            FittingTable(TextTable(HEADINGS, tuple(map(_row, own)), WORDY)),
            *(FlowingText(one_line(line)) for each in own for line in _notes(each)),
            Text(""),
        ]
    return Group(*parts)  # type: ignore[arg-type]


def _heading(series: RunSeries) -> str:
    conditions = ", ".join(f"{name} {value}" for name, value in series.conditions.items())
    return one_line(f"suite {series.suite} ({series.digest[:12]}), {conditions}")


def _row(series: RunSeries) -> tuple[str, ...]:
    usual = series.usual_range
    return (
        series.target,
        series.measure.label,
        str(len(series.points)),
        write_level(series.measure, series.last.level),
        interval_ends(usual, lambda value: MISSING if value is None else write_level(series.measure, value)) or MISSING,
        describe_place(series.last.level, usual),
        sparkline([point.level for point in series.points], is_linear=series.is_share),
    )


def sparkline(levels: Sequence[float], *, is_linear: bool = False) -> str:
    """Return the newest levels as bars, the lowest to the highest; their heights follow logarithms, or the levels."""
    heights = [level if is_linear else math.log(level) for level in levels[-SHOWN:]]
    low, high = min(heights), max(heights)
    step = (high - low) / (len(BARS) - 1)
    return "".join(BARS[round((value - low) / step) if step else len(BARS) // 2] for value in heights)


def _notes(series: RunSeries) -> Iterator[str]:
    yield from (describe_change(series, change) for change in series.changes)
    if (left_out := describe_left_out(series)) is not None:
        yield left_out
