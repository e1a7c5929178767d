"""History of targets: on a terminal, as a row for each target and measure with its changes; and as JSON."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Group
from rich.text import Text

from runner.analysis.change_points import MIN_PER_SIDE
from runner.analysis.history import MIN_FOR_RANGE, RunPoint, RunSeries
from runner.outputs.cjk_line_breaks import WrappedText
from runner.outputs.narrow_terminal_tables import SplitTable
from runner.outputs.text.diff_cells import format_level
from runner.outputs.text.escape import dump_json, one_line
from runner.outputs.text.history import describe_change, describe_left_out, describe_place
from runner.outputs.text.number_format import MISSING, interval_ends
from runner.outputs.text.table import TextTable

BARS = "▁▂▃▄▅▆▇█"
SHOWN = 40
"""Maximum number of runs in a sparkline."""

NO_RANGE = (
    f"note: a usual range needs {MIN_FOR_RANGE} runs before the newest, since the last change; "
    f"a change needs {MIN_PER_SIDE} runs on each side"
)

HEADINGS = ("target", "measure", "runs", "last", "usual range", "", "trend")
WORDY = frozenset({0, 1, 5, 6})


def render_history(series: Sequence[RunSeries]) -> Group:
    """Return a table for each suite and load, followed by sentences on changes of level."""
    groups: dict[str, list[RunSeries]] = {}
    for each in series:
        groups.setdefault(_heading(each), []).append(each)
    parts: list[object] = []
    for heading, own in groups.items():
        parts += [
            Text(heading, style="bold"),
            SplitTable(TextTable(HEADINGS, tuple(map(_row, own)), WORDY)),
            *(WrappedText(one_line(line)) for each in own for line in _notes(each)),
            *([WrappedText(NO_RANGE)] if any(each.usual_range is None for each in own) else []),
            Text(""),
        ]
    return Group(*parts)  # type: ignore[arg-type]


def _heading(series: RunSeries) -> str:
    conditions = ", ".join(f"{name} {value}" for name, value in series.conditions.items())
    simulated = " (simulated)" if series.last.run.summary.simulated else ""
    return one_line(f"suite {series.suite} ({series.digest[:12]}), {conditions}{simulated}")


def _row(series: RunSeries) -> tuple[str, ...]:
    usual = series.usual_range
    return (
        series.target,
        series.measure.label,
        f"{len(series.points):,}",
        format_level(series.measure, series.last.level),
        interval_ends(usual, partial(format_level, series.measure)) or MISSING,
        describe_place(series.last.level, usual),
        sparkline([point.level for point in series.points], is_linear=series.is_share),
    )


def sparkline(levels: Sequence[float], *, is_linear: bool = False) -> str:
    """Return the newest levels as bars, scaled from the lowest to the highest.

    Heights follow the logarithms of the levels, which must be above 0, or the levels themselves if `is_linear`.
    """
    heights = [level if is_linear else math.log(level) for level in levels[-SHOWN:]]
    low, high = min(heights), max(heights)
    step = (high - low) / (len(BARS) - 1)
    return "".join(BARS[round((value - low) / step) if step else len(BARS) // 2] for value in heights)


def _notes(series: RunSeries) -> Iterator[str]:
    yield from (describe_change(series, change) for change in series.changes)
    if (left_out := describe_left_out(series)) is not None:
        yield left_out


def write_json(series: Sequence[RunSeries]) -> str:
    """Return a JSON document: a list with an object for each series."""
    return dump_json(list(map(_series_as_data, series)))


def _pass_rate_interval(series: RunSeries, point: RunPoint) -> dict[str, float | int | None] | None:
    """Return a pass rate's interval with its number of repeats and cases; None for other measures."""
    rate = point.target.pass_rate
    if not series.is_share or rate is None:
        return None
    return {"low": rate.low, "high": rate.high, "n": rate.n, "cases": point.target.checked_cases}


def _series_as_data(series: RunSeries) -> dict[str, Any]:
    usual = series.usual_range
    return {
        "target": series.target,
        "suite": series.suite,
        "digest": series.digest,
        "conditions": dict(series.conditions),
        "measure": series.measure.name,
        "unit": series.measure.unit,
        "simulated": series.last.run.summary.simulated,
        "n": len(series.points),
        "left_out": series.left_out,
        "last": series.last.level,
        "usual_range": None if usual is None else asdict(usual),
        "points": [
            {
                "run_id": point.run.summary.run_id,
                "started_at": point.run.summary.started_at,
                "folder": str(point.run.folder),
                "level": point.level,
                "n": point.target.n,
                "failed": point.target.failed,
                "interval": _pass_rate_interval(series, point),
            }
            for point in series.points
        ],
        "changes": [
            {
                **asdict(change),
                "run_id": series.points[change.at].run.summary.run_id,
                "with_it": [asdict(each) for each in series.differences(change)],
            }
            for change in series.changes
        ],
    }
