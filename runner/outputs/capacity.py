"""The result of a search for a capacity in words, and its curve as a table."""

from runner.analysis.capacity import FoundCapacity, LoadTried, Standing
from runner.outputs.text.figures import MISSING, percent, rate, seconds, with_interval
from runner.outputs.text.summary import TextTable


def tabulate_curve(capacity: FoundCapacity) -> TextTable:
    """Return a row for each load that was tried, ascending."""
    heading = "rate/s" if capacity.search.by_rate else "concurrency"
    headings = (heading, "SLO met", "n", "goodput requests/s", "requests/s", "TTFT p95", "SLO")
    rows = tuple(_row(each, capacity.search.standing(each)) for each in capacity.curve)
    return TextTable(headings, rows, frozenset({len(headings) - 1}))


def _row(tried: LoadTried, standing: Standing) -> tuple[str, ...]:
    found = tried.goodput
    return (
        f"{tried.load:g}",
        MISSING if found is None else with_interval(percent(found.share), found.interval, percent),
        "0" if found is None else f"{found.n:,}",
        rate(found.requests_per_s if found else None),
        rate(tried.requests_per_s),
        seconds(tried.ttft_p95_s),
        standing.value,
    )


def describe_capacity(capacity: FoundCapacity) -> str:
    """Return what the search found in a sentence: the highest load that keeps the SLO, and what is not decided."""
    kept, missed, search = capacity.highest_kept, capacity.lowest_missed, capacity.search
    what = "requests per second" if search.by_rate else "in flight"
    slo = f"at least {100 * search.share:g} % of requests within {capacity.slo}"
    tried = f"{len(capacity.tried)} load{'s' if len(capacity.tried) > 1 else ''} tried"
    if kept is None:
        where = f"missed from {missed:g} {what} on" if missed is not None else "not decided at any load"
        return f"{capacity.target} does not surely keep {slo} at any load that was tried: {where} ({tried})"
    sure = f"{capacity.target} keeps {slo} up to {kept:g} {what}"
    if missed is None:
        highest = capacity.curve[-1].load
        above = "" if highest == kept else f"; not decided between {kept:g} and {highest:g}"
        return f"{sure}, and may do so at more{above} ({tried})"
    is_next = not search.by_rate and missed - kept <= 1
    between = "" if is_next else f", not decided between {kept:g} and {missed:g}"
    return f"{sure}{between}, and misses it at {missed:g} ({tried})"
