"""Measure the memory of a stream, and whether the peak of a run grows with its number of requests.

python tests/benchmarks/memory.py [--streams 500] [--sizes 10000 100000]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.calibration.measure import CalibrationLoad, run_load
from runner.commands.event_loop import run_async
from runner.simulator.child_process import launch_sync
from runner.wire.response_body import UNDECODED_LIMIT
from tests.benchmarks.accuracy import CHECKOUT
from tests.benchmarks.overhead import run_command
from tests.benchmarks.targets import PerformanceTarget, ratio

FEW_STREAMS = 10
SHORT_STREAMS = 32
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Measure both and print them with their targets."""
    options = parse_options()
    if options.drive:
        base_url, load, folder = options.drive
        run_async(run_load, base_url, CalibrationLoad(**json.loads(load)), Path(folder))
        return
    per_stream = measure_streams(options.streams)
    print(f"a stream in flight: {per_stream / 1024:.1f} KiB ({FEW_STREAMS} against {options.streams} streams)")
    engine = [measure_engine(short(size)) for size in options.sizes]
    report("engine and journal", options.sizes, engine)
    command = [measure_command(short(size)) for size in options.sizes]
    report("whole command, tables included", options.sizes, command)
    print()
    print(PerformanceTarget(7, "KiB a stream beyond the buffer bound", max(0, per_stream - UNDECODED_LIMIT) / 1024, 64))
    sizes = f"peak of {options.sizes[-1]:,} requests / {options.sizes[0]:,}"
    print(PerformanceTarget(7, f"engine and journal, {sizes}", ratio(engine[-1], engine[0]), 1.3))
    print(PerformanceTarget(7, f"whole command, {sizes}", ratio(command[-1], command[0]), 1.3))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=500, help="streams in flight (500)")
    parser.add_argument("--sizes", type=int, nargs=2, default=[10_000, 100_000], help="short requests (10000 100000)")
    parser.add_argument("--drive", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def short(requests: int) -> CalibrationLoad:
    """Return a load of requests that are answered immediately with one token."""
    return CalibrationLoad(SHORT_STREAMS, requests, ttft_ms=0, gap_ms=0, tokens=1)


def measure_streams(streams: int) -> float:
    """Return the bytes that one more stream takes; each stream receives 200 tokens over two seconds."""
    few, many = (
        measure_engine(CalibrationLoad(count, count, ttft_ms=200, gap_ms=10, tokens=200))
        for count in (FEW_STREAMS, streams)
    )
    return (many - few) / (streams - FEW_STREAMS)


def measure_engine(load: CalibrationLoad) -> int:
    """Return the peak memory of a process that runs a load against the simulator through the engine."""
    with launch_sync() as base_url, TemporaryDirectory() as folder:
        arguments = ["--drive", base_url, json.dumps(asdict(load)), folder]
        return peak_bytes([sys.executable, "-m", "tests.benchmarks.memory", *arguments])


def measure_command(load: CalibrationLoad) -> int:
    """Return the peak memory of a whole run with its tables."""
    with TemporaryDirectory() as name:
        return peak_bytes(run_command(load, Path(name)))


def peak_bytes(command: Sequence[str]) -> int:
    """Run a command in the checkout; return the peak memory of its process in bytes."""
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen cannot know that it was waited for
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * MAXRSS_BYTES


def report(what: str, sizes: Sequence[int], peaks: Sequence[int]) -> None:
    """Print the peaks of runs of different sizes."""
    figures = ", ".join(f"{peak / 2**20:.1f} MiB for {size:,}" for size, peak in zip(sizes, peaks, strict=True))
    print(f"{what}: peak {figures} short requests (n 1 each)")


if __name__ == "__main__":
    main()
