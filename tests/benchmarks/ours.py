"""The client under test: the engine with lanes, retries and a journal, as in any run."""

from pathlib import Path
from tempfile import TemporaryDirectory

from runner.analysis.calibration import read_timestamps
from runner.calibration.measure import CalibrationLoad, drive
from runner.storage import journal
from tests.benchmarks.measured import Measured, be_client


async def ask(base_url: str, load: CalibrationLoad) -> Measured:
    """Ask, then read the stamps out of the journal."""
    with TemporaryDirectory() as folder:
        effort = await drive(base_url, load, Path(folder))
        records = list(journal.read(Path(folder)).records)
    replies = [told for record in records if (told := read_timestamps(record)) is not None]
    return Measured(replies, effort.cpu_s, effort.wall_s)


if __name__ == "__main__":
    be_client(ask)
