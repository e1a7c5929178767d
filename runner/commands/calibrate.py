"""Measure the error of this machine's timestamps against the simulator."""

from functools import partial

from runner.calibration.measure import Calibration, CalibrationLoad, CalibrationObserver
from runner.calibration.measure import calibrate as measure
from runner.commands.event_loop import run_async

TTFT_MS = 200.0
REPLY_S = 0.5
"""Seconds from a simulated reply's first token to its end; short, so that a hundred requests do not take minutes."""


def calibrate(
    *,
    concurrency: int,
    tokens_per_s: float,
    requests: int | None,
    search: bool,
    observer: CalibrationObserver,
) -> Calibration:
    """Return the error of timestamps at a load.

    Args:
        concurrency: number of requests in flight.
        tokens_per_s: tokens per second of each reply.
        requests: total number of requests; None for 3 times the concurrency, but at least 100.
        search: whether to search the highest concurrency at which timestamps are still accurate.
        observer: notified of the progress.

    Raises:
        CalibrationInterrupted: a signal came before the measurement was complete.

    """
    load = CalibrationLoad(
        concurrency=concurrency,
        requests=requests or max(100, 3 * concurrency),
        ttft_ms=TTFT_MS,
        gap_ms=1000 / tokens_per_s,
        tokens=max(2, round(tokens_per_s * REPLY_S)),
    ).overlapping()
    return run_async(partial(measure, load, search=search, observer=observer))
