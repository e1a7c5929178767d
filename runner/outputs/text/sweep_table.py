"""Speed under load as tables of text: of a sweep, and of an open loop."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from runner.analysis.run import Run
from runner.analysis.sweep import LoadPoint, OpenLoopPoint
from runner.outputs.text.figures import rate, seconds
from runner.outputs.text.overview import SummaryTable

Point = TypeVar("Point", LoadPoint, OpenLoopPoint)

SWEEP_CAPTION = (
    "concurrency: the most requests in flight in a target's lane; mean in flight: those of this target, on average. "
    "Tokens/s and requests/s are of all its replies together, from the first request sent to the last data. "
    "TTFT rests on the n timed requests; a p95 needs 20."
)
OPEN_LOOP_CAPTION = (
    "Requests are scheduled at a constant rate, whether or not earlier ones were answered. TTFT counts from sending; "
    "from scheduled time (TTFT) and total from scheduled time include the wait before a request was sent. "
    "Figures are p50 / p95 of the n timed requests; a p95 needs 20."
)


def tabulate_sweep(run: Run) -> SummaryTable | None:
    """Return a row for each target and level; None if the run was no sweep."""
    columns: tuple[tuple[str, Callable[[LoadPoint], str]], ...] = (
        ("target", lambda point: str(point.target)),
        ("concurrency", lambda point: str(point.concurrency)),
        ("n", lambda point: str(point.n)),
        ("failed", lambda point: str(point.errors)),
        ("TTFT p50 / p95", lambda point: _pair(point.ttft_p50_s, point.ttft_p95_s)),
        ("tokens/s", lambda point: rate(point.output_tps)),
        ("requests/s", lambda point: rate(point.requests_per_s)),
        ("mean in flight", lambda point: rate(point.mean_in_flight)),
    )
    return _tabulate(run.sweep, columns)


def tabulate_open_loop(run: Run) -> SummaryTable | None:
    """Return a row for each target; None if the run was no open loop."""
    columns: tuple[tuple[str, Callable[[OpenLoopPoint], str]], ...] = (
        ("target", lambda point: str(point.target)),
        ("request rate", lambda point: f"{point.request_rate:g}"),
        ("answered/s", lambda point: rate(point.requests_per_s)),
        ("n", lambda point: str(point.n)),
        ("failed", lambda point: str(point.errors)),
        ("TTFT p50 / p95", lambda point: _pair(point.ttft_p50_s, point.ttft_p95_s)),
        ("from scheduled time", lambda point: _pair(point.ttft_from_scheduled_p50_s, point.ttft_from_scheduled_p95_s)),
        (
            "total from scheduled time",
            lambda point: _pair(point.total_from_scheduled_p50_s, point.total_from_scheduled_p95_s),
        ),
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
    """Return title, table and caption of each table about load that a run has."""
    tables = (
        ("Speed under load", tabulate_sweep(run), SWEEP_CAPTION),
        ("An open loop", tabulate_open_loop(run), OPEN_LOOP_CAPTION),
    )
    return tuple((title, table, caption) for title, table, caption in tables if table is not None)
