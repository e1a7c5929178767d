"""JSON of the history of targets for programs: every level, the usual range, every change. What is absent is null."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runner.analysis.run_series import RunPoint, RunSeries
from runner.outputs.text.escape import escape_surrogates


def write(series: Sequence[RunSeries]) -> str:
    """Return one JSON document."""
    return escape_surrogates(json.dumps(list(map(_plain, series)), ensure_ascii=False, allow_nan=False, indent=2))


def _interval(series: RunSeries, point: RunPoint) -> dict[str, float | int | None] | None:
    """Return the ends of a pass rate's interval, and of how many repeats and cases it is; None for other measures."""
    rate = point.target.pass_rate
    if not series.is_share or rate is None:
        return None
    return {"low": rate.low, "high": rate.high, "n": rate.n, "cases": point.target.checked_cases}


def _plain(series: RunSeries) -> dict[str, Any]:
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
                "interval": _interval(series, point),
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
