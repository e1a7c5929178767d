"""Tables beside the summary of a run: speed by concurrency or request rate, and prompt caches."""

from collections.abc import Callable

from runner.analysis.run_results import Run
from runner.analysis.speed_under_load import LoadPoint, OpenLoopPoint
from runner.analysis.steady_state import has_steady_state
from runner.outputs.text.caches_and_inputs import cache_table
from runner.outputs.text.number_format import rate, seconds
from runner.outputs.text.summary import goodput_columns
from runner.outputs.text.table import CaptionedTable, TextTable, tabulate_items
from runner.outputs.text.translation import _

SWEEP_CAPTION = (
    "Concurrency is the number of requests that a target's lane may have in flight, mean in flight how many of this "
    "target were. TTFT is that of the n timed requests; a p95 needs 20. The first requests of each level, sent while "
    "the load rose, and the last ones, which may end under another load, are left out. Tokens/s, requests/s and mean "
    "in flight cover the time in between."
)
OLD_SWEEP_CAPTION = (
    "Concurrency is the number of requests that a target's lane may have in flight, mean in flight how many of this "
    "target were. Tokens/s and requests/s are of all its replies together, from the first request sent to the last "
    "data. TTFT is that of the n timed requests; a p95 needs 20. This is an older sweep, whose figures include the "
    "filling and emptying of the lane at each level."
)
OPEN_LOOP_CAPTION = (
    "Requests start at scheduled times, whether or not earlier ones were answered. TTFT counts from sending; from "
    "scheduled time (TTFT) and total from scheduled time include the wait in the queue here. "
    "Figures are p50 / p95 of the n timed requests, from scheduled time without later turns of conversations, which "
    "have no such time; a p95 needs 20."
)


def tables_beside_summary(run: Run) -> tuple[CaptionedTable, ...]:
    """Return the tables of speed under load and of prompt caches; empty for most runs."""
    caches = cache_table(run)
    return (*load_tables(run), *([caches] if caches else []))


def load_tables(run: Run) -> tuple[CaptionedTable, ...]:
    """Return the tables of speed under load; empty if the run is neither a sweep nor an open loop."""
    is_steady = has_steady_state(run.header)
    tables = (
        (_("Speed under load"), tabulate_sweep(run), _(SWEEP_CAPTION if is_steady else OLD_SWEEP_CAPTION)),
        (_("An open loop"), tabulate_open_loop(run), _(OPEN_LOOP_CAPTION)),
    )
    return tuple(CaptionedTable(title, table, caption) for title, table, caption in tables if table is not None)


def _left_out(point: LoadPoint) -> str:
    return str(point.left_out)


def tabulate_sweep(run: Run) -> TextTable | None:
    """Return a row for each target and level of concurrency; None if the run is not a sweep."""
    columns: tuple[tuple[str, Callable[[LoadPoint], str]], ...] = (
        (_("target"), lambda point: str(point.target)),
        (_("concurrency"), lambda point: str(point.concurrency)),
        ("n", lambda point: str(point.n)),
        *([(_("left out"), _left_out)] if has_steady_state(run.header) else []),
        (_("failed"), lambda point: str(point.failed)),
        (_("TTFT p50 / p95"), lambda point: _pair(point.ttft_p50_s, point.ttft_p95_s)),
        (_("tokens/s"), lambda point: rate(point.output_tps)),
        (_("requests/s"), lambda point: rate(point.requests_per_s)),
        (_("mean in flight"), lambda point: rate(point.mean_in_flight)),
        *goodput_columns(run.sweep),
    )
    return tabulate_items(run.sweep, columns) if run.sweep else None


def tabulate_open_loop(run: Run) -> TextTable | None:
    """Return a row for each target of an open loop; None for a closed loop."""
    columns: tuple[tuple[str, Callable[[OpenLoopPoint], str]], ...] = (
        (_("target"), lambda point: str(point.target)),
        (_("request rate/s"), lambda point: f"{point.request_rate:g}"),
        (_("answered/s"), lambda point: rate(point.requests_per_s)),
        ("n", lambda point: str(point.n)),
        (_("failed"), lambda point: str(point.failed)),
        (_("TTFT p50 / p95"), lambda point: _pair(point.ttft_p50_s, point.ttft_p95_s)),
        (
            _("from scheduled time"),
            lambda point: _pair(point.ttft_from_scheduled_p50_s, point.ttft_from_scheduled_p95_s),
        ),
        (
            _("total from scheduled time"),
            lambda point: _pair(point.total_from_scheduled_p50_s, point.total_from_scheduled_p95_s),
        ),
        *goodput_columns(run.open_loop),
    )
    return tabulate_items(run.open_loop, columns) if run.open_loop else None


def _pair(p50_s: float | None, p95_s: float | None) -> str:
    return f"{seconds(p50_s)} / {seconds(p95_s)}"
