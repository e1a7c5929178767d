"""The stored calibration: a file beside the runs, from which later runs take this machine's clock error."""

import json
import platform
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.analysis.timestamp_errors import ClockError
from runner.errors import CompareError
from runner.storage.atomic_write import write_atomically
from runner.storage.run_folder import RESULTS

CALIBRATION = RESULTS / "calibration.json"
VALID_FOR = timedelta(days=30)


def identify_machine() -> dict[str, str]:
    """Return the properties of this machine that must equal those of the calibrated one for a calibration to apply."""
    return {"node": platform.node(), "python": platform.python_version()}


def store(calibration: str, path: Path) -> None:
    """Write a calibration in JSON to its file.

    Raises:
        CompareError: the file cannot be written.

    """
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"{path.parent} cannot be created: {error.strerror}") from error
    write_atomically(path, calibration)


def find_clock_error(now: datetime, path: Path = CALIBRATION) -> ClockError | None:
    """Return the clock error of the stored calibration; None if there is none, or it is old or of another machine."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return _read_clock_error(stored, now)
    except (OSError, ValueError, KeyError, TypeError):
        # A damaged file of an earlier calibration must not make a run fail.
        return None


def _read_clock_error(stored: Mapping[str, Any], now: datetime) -> ClockError | None:
    machine, errors = stored["machine"], stored["errors"]
    is_ours = all(machine[name] == value for name, value in identify_machine().items())
    if not is_ours or now - datetime.fromisoformat(stored["calibrated_at"]) > VALID_FOR:
        return None
    return ClockError(
        calibrated_at=stored["calibrated_at"],
        concurrency=stored["load"]["concurrency"],
        n=errors["ttft"]["n"],
        ttft_p50_s=errors["ttft"]["p50_s"],
        ttft_p99_s=errors["ttft"]["p99_s"],
        gap_p99_s=errors["gap"]["p99_s"],
    )
