"""Measure how far this machine's timestamps are off, against the simulator."""

from runner.calibration.measure import Calibration, CalibrationLoad, CalibrationObserver
from runner.calibration.measure import calibrate as measure
from runner.commands.event_loop import run_async

TTFT_MS = 200.0
REPLY_S = 0.5
"""How long a simulated reply takes behind its first token: a run of a hundred must not take minutes."""


def calibrate(
    *,
    concurrency: int,
    tokens_per_s: float,
    requests: int | None,
    search: bool,
    observer: CalibrationObserver,
) -> Calibration:
    """Return how far timestamps are off at a load.

    Args:
        concurrency: requests under way.
        tokens_per_s: tokens a second of each reply.
        requests: requests in all; None for 3 per slot, but at least 100.
        search: whether to look for the highest concurrency that is measured well.
        observer: follows it.

    Raises:
        CalibrationInterrupted: a signal came before all was measured.

    """
    load = CalibrationLoad(
        concurrency=concurrency,
        requests=requests or max(100, 3 * concurrency),
        ttft_ms=TTFT_MS,
        gap_ms=1000 / tokens_per_s,
        tokens=max(2, round(tokens_per_s * REPLY_S)),
    ).overlapping()

    async def measure_load() -> Calibration:
        return await measure(load, search=search, observer=observer)

    return run_async(measure_load)
