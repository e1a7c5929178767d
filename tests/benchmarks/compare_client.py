"""The client `compare`: this project's engine with lanes, retries and a journal, as in any run."""

from pathlib import Path
from tempfile import TemporaryDirectory

from runner.analysis.timestamp_errors import read_timestamps
from runner.calibration.measure import CalibrationLoad, run_load
from runner.storage import journal
from tests.benchmarks.client import Measurement, run_client


async def ask(base_url: str, load: CalibrationLoad) -> Measurement:
    """Send the requests, and read the timestamps from the journal."""
    with TemporaryDirectory() as folder:
        effort = await run_load(base_url, load, Path(folder))
        records = list(journal.read(Path(folder)).records)
    replies = [reply for record in records if (reply := read_timestamps(record)) is not None]
    return Measurement(replies, effort.cpu_s, effort.wall_s)


if __name__ == "__main__":
    run_client(ask)
