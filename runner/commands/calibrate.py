"""Measure the error of this machine's timestamps against the simulator."""

from functools import partial
from pathlib import Path

from runner.calibration.measure import Calibration, CalibrationLoad, CalibrationObserver
from runner.calibration.measure import calibrate as measure
from runner.calibration.stored_calibration import CALIBRATION, store
from runner.commands.event_loop import run_async
from runner.storage.run_folder import check_output

TTFT_MS = 200.0
REPLY_S = 0.5
"""Seconds from a simulated reply's first token to its end; short, so that a hundred requests do not take minutes."""


def calibrate(
    *,
    concurrency: int,
    tokens_per_s: float,
    requests: int | None,
    search: bool,
    output: Path | None,
    observer: CalibrationObserver,
) -> Calibration:
    """Return the error of timestamps at a load, which `store_calibration` stores.

    Args:
        concurrency: number of requests in flight.
        tokens_per_s: tokens per second of each reply.
        requests: total number of requests; None for 3 times the concurrency, but at least 100.
        search: whether to search the highest concurrency at which timestamps are still accurate.
        output: file for the result; None for the one that later runs read.
        observer: notified of the progress.

    Raises:
        CompareError: the file belongs to a run.
        CalibrationInterrupted: a signal came before the measurement was complete.

    """
    check_output(output or CALIBRATION)
    load = CalibrationLoad(
        concurrency=concurrency,
        requests=requests or max(100, 3 * concurrency),
        ttft_ms=TTFT_MS,
        gap_ms=1000 / tokens_per_s,
        tokens=max(2, round(tokens_per_s * REPLY_S)),
    ).overlapping()
    return run_async(partial(measure, load, search=search, observer=observer))


def store_calibration(found: Calibration, output: Path | None) -> Path:
    """Write a calibration to a file, by default to the one that later runs read; return its path.

    Raises:
        CompareError: the file cannot be written.

    """
    path = output or CALIBRATION
    store(found.to_json(), path)
    return path
