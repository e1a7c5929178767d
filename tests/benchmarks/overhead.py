"""Measures what the command costs around its requests: wall time less the plan's ideal, and how soon it helps.

python tests/benchmarks/overhead.py [--streams 200] [--requests 600] [--starts 10]
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from time import perf_counter

from runner.calibration.measure import CalibrationLoad
from runner.simulator.process import launch_sync
from tests.benchmarks.accuracy import CHECKOUT
from tests.benchmarks.rivals import RIVALS
from tests.benchmarks.targets import Target, ratio

LIMIT_S = 900
SUITE = "name: overhead\ncases:\n  - id: count\n    prompt: Count.\n"


def main() -> None:
    """Run the whole command once and its help often; print both against their targets."""
    options = read_options()
    load = CalibrationLoad(options.streams, options.requests, ttft_ms=200, gap_ms=20, tokens=100)
    print(f"{load.requests} requests, {load.concurrency} at a time; ideal {load.ideal_s:.2f} s")
    overhead_s = time_run(load) - load.ideal_s
    print(f"compare run: {overhead_s:.2f} s beyond the ideal (n 1)")
    for name, run in RIVALS.items():
        if executable := getattr(options, name):
            with launch_sync() as base_url:
                wall_s = run(executable, options.tokenizer, base_url, load).wall_s
            print(f"{name}: {wall_s - load.ideal_s:.2f} s beyond the ideal (n 1)")
    helping_s = time_starts(["-m", "runner", "--help"], options.starts)
    bare_s = time_starts(["-c", "pass"], options.starts)
    print(
        f"compare --help {helping_s * 1000:.0f} ms, bare interpreter {bare_s * 1000:.0f} ms (least of {options.starts})"
    )
    print()
    print(Target(5, "whole command beyond the ideal", overhead_s, 2, " s"))
    print(Target(6, "compare --help / bare interpreter", ratio(helping_s, bare_s), 5))


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200, help="requests under way at once (200)")
    parser.add_argument("--requests", type=int, default=600, help="requests in all (600)")
    parser.add_argument("--starts", type=int, default=10, help="how often the help is asked for (10)")
    for name in RIVALS:
        parser.add_argument(f"--{name}", default=os.environ.get(name.upper()), metavar="EXECUTABLE")
    parser.add_argument("--tokenizer", default=os.environ.get("TOKENIZER", "gpt2"), help="what the rivals load")
    return parser.parse_args()


def run_command(load: CalibrationLoad, folder: Path) -> list[str]:
    """Return the command that puts a load on the simulator, which it starts itself, in an empty folder."""
    suite = folder / "suite.yaml"
    suite.write_text(SUITE, encoding="utf-8")
    times = ["--repeat", str(load.requests), "--concurrency", str(load.concurrency)]
    where = ["-o", str(folder / "run"), "--quiet"]
    return [sys.executable, "-m", "runner", "run", str(suite), "-m", f"sim/{load.model}", *times, *where]


def time_run(load: CalibrationLoad) -> float:
    """Return the seconds that a whole run takes, from the first import to the last table."""
    with TemporaryDirectory() as name:
        return time_once(run_command(load, Path(name)))


def time_starts(arguments: Sequence[str], starts: int) -> float:
    """Return the least time that the interpreter takes with some arguments: what else ran can only add to it."""
    return min(time_once([sys.executable, *arguments]) for _ in range(starts))


def time_once(command: Sequence[str]) -> float:
    """Run a command in the checkout; return the seconds it took. Bytecode is kept, as wherever a tool is installed."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = perf_counter()
    with subprocess.Popen(command, cwd=CHECKOUT, env=environ, stdout=subprocess.DEVNULL) as process:
        limit = Timer(LIMIT_S, process.kill)  # `wait` with a limit of its own looks seldom: at 32 ms, then at 64
        limit.start()
        status = process.wait()
        took_s = perf_counter() - start
        limit.cancel()
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return took_s


if __name__ == "__main__":
    main()
