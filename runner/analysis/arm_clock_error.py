"""By how much the clocks may be wrong on the difference of two arms."""

import pandas as pd

from runner.analysis.pairing import Arm
from runner.analysis.run_results import Run

MIN_CLOCK_ERROR_S = 0.001
"""The clock error that is assumed where none was measured, or a smaller one."""

LATE_QUANTILE = 0.95
"""The quantile of the rows' own client error that stands for all of them."""


def clock_error_s(base_run: Run, base: Arm, new_run: Run, new: Arm) -> float:
    """Return the sum of both arms' clock errors, in seconds: the worst case of a difference."""
    return _arm_clock_error_s(base_run, base.timed) + _arm_clock_error_s(new_run, new.timed)


def _arm_clock_error_s(run: Run, rows: pd.DataFrame) -> float:
    client_errors_s = rows["client_error_s"].dropna()
    known = [MIN_CLOCK_ERROR_S, *(error.ttft_p99_s for error in run.clock_errors)]
    if len(client_errors_s):
        known.append(float(client_errors_s.quantile(LATE_QUANTILE, interpolation="higher")))
    return max(known)
