"""Speed against load in rows of text: for a sweep, and for an open loop."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from runner.analysis.run import Run
from runner.analysis.sweep import LoadPoint, OpenLoopPoint
from runner.outputs.text.figures import rate, seconds
from runner.outputs.text.overview import SummaryTable

Point = TypeVar("Point", LoadPoint, OpenLoopPoint)

SWEEP_CAPTION = (
    "at once: requests that a target's lane may have under way; busy: how many of this target were, in the mean. "
    "Tokens/s and requests/s are of all its replies together, from the first request sent to the last data. "
    "TTFT rests on the n timed requests; a p95 needs 20."
)
OPEN_LOOP_CAPTION = (
    "Requests are begun at set times, whether or not earlier ones were answered. TTFT counts from sending; from plan "
    "(TTFT) and total from plan count from the moment at which sending was due, so that what queued here is in them. "
    "Figures are p50 / p95 of the n timed requests; a p95 needs 20."
)


def tabulate_sweep(run: Run) -> SummaryTable | None:
    """Lay out a row for each target and level; None where the run was no sweep."""
    columns: tuple[tuple[str, Callable[[LoadPoint], str]], ...] = (
        ("target", lambda point: str(point.target)),
        ("at once", lambda point: str(point.concurrency)),
        ("n", lambda point: str(point.n)),
        ("failed", lambda point: str(point.errors)),
        ("TTFT p50 / p95", lambda point: _pair(point.ttft_p50_s, point.ttft_p95_s)),
        ("tokens/s", lambda point: rate(point.output_tps)),
        ("requests/s", lambda point: rate(point.requests_per_s)),
        ("busy", lambda point: rate(point.mean_in_flight)),
    )
    return _tabulate(run.sweep, columns)


def tabulate_open_loop(run: Run) -> SummaryTable | None:
    """Lay out a row for each target of an open loop; None where replies set the pace."""
    columns: tuple[tuple[str, Callable[[OpenLoopPoint], str]], ...] = (
        ("target", lambda point: str(point.target)),
        ("begun/s", lambda point: f"{point.request_rate:g}"),
        ("answered/s", lambda point: rate(point.requests_per_s)),
        ("n", lambda point: str(point.n)),
        ("failed", lambda point: str(point.errors)),
        ("TTFT p50 / p95", lambda point: _pair(point.ttft_p50_s, point.ttft_p95_s)),
        ("from plan", lambda point: _pair(point.ttft_from_scheduled_p50_s, point.ttft_from_scheduled_p95_s)),
        ("total from plan", lambda point: _pair(point.total_from_scheduled_p50_s, point.total_from_scheduled_p95_s)),
    )
    return _tabulate(run.open_loop, columns)


def _pair(p50_s: float | None, p95_s: float | None) -> str:
    return f"{seconds(p50_s)} / {seconds(p95_s)}"


def _tabulate(points: Sequence[Point], columns: Sequence[tuple[str, Callable[[Point], str]]]) -> SummaryTable | None:
    if not points:
        return None
    rows = tuple(tuple(show(point) for _, show in columns) for point in points)
    return SummaryTable(tuple(heading for heading, _ in columns), rows, wordy=frozenset({0}))


def load_tables(run: Run) -> tuple[tuple[str, SummaryTable, str], ...]:
    """Return what a run has to say about load: title, table and caption of each table."""
    tables = (
        ("Speed under load", tabulate_sweep(run), SWEEP_CAPTION),
        ("An open loop", tabulate_open_loop(run), OPEN_LOOP_CAPTION),
    )
    return tuple((title, table, caption) for title, table, caption in tables if table is not None)
