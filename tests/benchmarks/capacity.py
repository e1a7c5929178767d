"""Count how often `compare capacity` finds that a load keeps an SLO, on queues whose exact answer is known.

    python tests/benchmarks/capacity.py [--runs 300] [--requests 500,2000,8000] [--share 95] [--searches 100]

A row for each queue (M/M/c, its SLO on the wait or on the whole time) and number of requests: the share of runs in
which a rate is said to keep the SLO, at rates at which exactly the wanted share meets it, 90 %, or none, since the
queue grows without end; then below, as a part of the first. `before` is the verdict by the interval of the misses
alone. The last table has whole searches, by rate and by concurrency.
"""

from argparse import ArgumentParser
from collections.abc import Iterator

import numpy as np
import pandas as pd

from runner.analysis.capacity import CapacitySearch, LoadVerdict
from runner.analysis.goodput import share_interval
from tests.benchmarks.queue_worlds import QueueWorld, mark_met, search, try_run, world_at

QUEUES = (
    (1, 0.5, False), (1, 0.9, False), (8, 0.7, False), (8, 0.95, False), (8, 0.8, True), (8, 0.9, True),
    (64, 0.97, True),
)  # fmt: skip
"""Servers, utilisation at which exactly the wanted share meets the SLO, and whether the SLO is on the whole time."""

BELOW = (0.8, 0.6, 0.4)
OVERLOAD = 1.02


def count_kept(
    world: QueueWorld, bounds: CapacitySearch, rate: float, *, requests: int, runs: int
) -> tuple[float, float, float]:
    """Return the shares of runs found to keep the SLO and to miss it at a rate.

    The first value is the share found to keep it by the interval of the misses alone; the second and the third are
    those found to keep and to miss it by the whole rule.
    """
    before = kept = missed = 0
    for rows in world.runs_at_rate(np.random.default_rng(1), rate, requests, runs):
        verdict = bounds.verdict_on(try_run(rows, world, rate))
        before += _is_kept_by_misses(rows, world, bounds.share)
        kept += verdict is LoadVerdict.KEPT
        missed += verdict is LoadVerdict.MISSED
    return before / runs, kept / runs, missed / runs


def _is_kept_by_misses(rows: pd.DataFrame, world: QueueWorld, share: float) -> bool:
    interval = share_interval(mark_met(rows, world), rows)
    return interval is not None and interval.low >= share


def list_rates(world: QueueWorld, share: float) -> Iterator[tuple[str, float]]:
    """Yield rates with their names: at the answer, beyond it, below it."""
    yield "answer", (answer := world.rate_at(share))
    yield f"{100 * share - 5:g} %", world.rate_at(share - 0.05)
    yield "overload", OVERLOAD * world.servers
    yield from ((f"{part:g}x", part * answer) for part in BELOW)


def count_right_searches(
    world: QueueWorld, bounds: CapacitySearch, requests: int, searches: int
) -> tuple[int, int, list[float], list[float]]:
    """Return the number of searches whose kept load misses the SLO, and of those whose missed load keeps it.

    The lists that follow have the highest kept and the lowest missed load of each search.
    """
    met = world.met_at_rate if bounds.by_rate else world.met_at_concurrency
    high = low = 0
    kept_loads, missed_loads = [], []
    for seed in range(searches):
        tried = search(world, bounds, requests, np.random.default_rng(seed))
        kept, missed = bounds.highest_kept(tried), bounds.lowest_missed(tried)
        if kept is not None:
            high += met(kept) < bounds.share
            kept_loads.append(kept)
        if missed is not None:
            low += met(missed) >= bounds.share
            missed_loads.append(missed)
    return high, low, kept_loads, missed_loads


def main() -> None:
    """Print both tables."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--requests", default="500,2000,8000")
    parser.add_argument("--share", type=float, default=95)
    parser.add_argument("--searches", type=int, default=100)
    options = parser.parse_args()
    sizes, share = [int(each) for each in options.requests.split(",")], options.share / 100
    for size in sizes if options.runs else ():
        _print_rates(size, share, options.runs)
    for size in sizes if options.searches else ():
        _print_searches(size, share, options.searches)


def _print_rates(requests: int, share: float, runs: int) -> None:
    for servers, utilisation, of_total in QUEUES:
        world = world_at(servers, utilisation, share, of_total=of_total)
        cells = []
        for name, rate in list_rates(world, share):
            before, kept, missed = count_kept(world, CapacitySearch(share), rate, requests=requests, runs=runs)
            cells.append(f"{name}: kept {kept:.3f} (before {before:.3f}) missed {missed:.3f}")
        print(_name(world, utilisation), f"requests {requests} runs {runs}", *cells, sep=" | ", flush=True)


def _print_searches(requests: int, share: float, searches: int) -> None:
    for servers, utilisation, of_total in QUEUES:
        world = world_at(servers, utilisation, share, of_total=of_total)
        for by_rate in (True, False):
            bounds = CapacitySearch(share, first=servers / 8 if by_rate else 1, by_rate=by_rate)
            high, low, kept, missed = count_right_searches(world, bounds, requests, searches)
            found = f"kept too high {high}, missed too low {low}, of {searches} searches"
            answer = f"answer {world.rate_at(share):.3g}; " if by_rate else ""
            medians = (
                f"{answer}kept p50 {_median(kept)} (n {len(kept)}), missed p50 {_median(missed)} (n {len(missed)})"
            )
            how = "rate" if by_rate else "concurrency"
            print(_name(world, utilisation), f"requests {requests}", how, found, medians, sep=" | ", flush=True)


def _median(loads: list[float]) -> str:
    return f"{np.median(loads):.3g}" if loads else "none"


def _name(world: QueueWorld, utilisation: float) -> str:
    what = "total" if world.of_total else "wait"
    return f"M/M/{world.servers}, {what} within {world.within_s:.2f} s, utilisation {utilisation:g}"


if __name__ == "__main__":
    main()
