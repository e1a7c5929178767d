"""Measure the overhead of the command: the wall time of a run less its ideal, and the time of `compare --help`.

python tests/benchmarks/overhead.py [--streams 200] [--requests 600] [--starts 10]
"""

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from time import perf_counter

from runner.calibration.measure import CalibrationLoad
from runner.simulator.child_process import launch_sync
from tests.benchmarks.accuracy import CHECKOUT
from tests.benchmarks.other_tools import OTHER_TOOLS, Report
from tests.benchmarks.targets import PerformanceTarget, ratio

LIMIT_S = 900
SUITE = "name: overhead\ncases:\n  - id: count\n    prompt: Count.\n"


def main() -> None:
    """Time a whole run once and the help several times; print both with their targets."""
    options = parse_options()
    load = CalibrationLoad(options.streams, options.requests, ttft_ms=200, gap_ms=20, tokens=100)
    print(f"{load.requests} requests, {load.concurrency} at a time; ideal {load.ideal_s:.2f} s")
    own_s, own_cpu_s = with_cpu_time(lambda: time_run(load))
    overhead_s = own_s - load.ideal_s
    print(f"compare run: {overhead_s:.2f} s beyond the ideal, CPU {own_cpu_s:.1f} s with its simulator's (n 1)")
    others = {}
    for name, run in OTHER_TOOLS.items():
        if executable := getattr(options, name):
            with launch_sync() as base_url:
                others[name] = with_cpu_time(partial(time_other, run, executable, options.tokenizer, base_url, load))
            wall_s, cpu_s = others[name]
            print(f"{name}: {wall_s - load.ideal_s:.2f} s beyond the ideal, CPU {cpu_s:.1f} s (n 1)")
    help_s = time_starts(["-m", "runner", "--help"], options.starts)
    bare_s = time_starts(["-c", "pass"], options.starts)
    print(f"compare --help {help_s * 1000:.0f} ms, bare interpreter {bare_s * 1000:.0f} ms (least of {options.starts})")
    print()
    print(PerformanceTarget(5, "whole command beyond the ideal", overhead_s, 2, " s"))
    print(PerformanceTarget(6, "compare --help / bare interpreter", ratio(help_s, bare_s), 5))
    if "aiperf" in others:
        print(PerformanceTarget(10, "whole command / AIPerf's, wall", ratio(own_s, others["aiperf"][0]), 0.45))
        print(PerformanceTarget(10, "whole command / AIPerf's, CPU", ratio(own_cpu_s, others["aiperf"][1]), 0.45))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200, help="requests in flight (200)")
    parser.add_argument("--requests", type=int, default=600, help="requests in all (600)")
    parser.add_argument("--starts", type=int, default=10, help="how often to run the help (10)")
    for name in OTHER_TOOLS:
        parser.add_argument(f"--{name}", default=os.environ.get(name.upper()), metavar="EXECUTABLE")
    parser.add_argument("--tokenizer", default=os.environ.get("TOKENIZER", "gpt2"), help="what the other tools load")
    return parser.parse_args()


def run_command(load: CalibrationLoad, folder: Path) -> list[str]:
    """Return the command that runs a load against a simulator that it starts; suite and results are in a folder."""
    suite = folder / "suite.yaml"
    suite.write_text(SUITE, encoding="utf-8")
    times = ["--repeat", str(load.requests), "--concurrency", str(load.concurrency)]
    where = ["-o", str(folder / "run"), "--quiet"]
    return [sys.executable, "-m", "runner", "run", str(suite), "-m", f"sim/{load.model}", *times, *where]


def time_run(load: CalibrationLoad) -> float:
    """Return the seconds of a whole run, from the start of its process to the end."""
    with TemporaryDirectory() as name:
        return time_once(run_command(load, Path(name)))


def time_other(
    run: Callable[[str, str, str, CalibrationLoad], Report],
    executable: str,
    tokenizer: str,
    base_url: str,
    load: CalibrationLoad,
) -> float:
    """Return the seconds of another tool's whole command."""
    return run(executable, tokenizer, base_url, load).wall_s


def with_cpu_time(measure: Callable[[], float]) -> tuple[float, float]:
    """Return the result of a function, and the CPU seconds of the processes that ended during its call."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = measure()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return measured, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_starts(arguments: Sequence[str], starts: int) -> float:
    """Return the shortest time of the interpreter with some arguments, since other processes only lengthen it."""
    return min(time_once([sys.executable, *arguments]) for _ in range(starts))


def time_once(command: Sequence[str]) -> float:
    """Run a command in the checkout; return the seconds it took. Bytecode is cached, as for an installed tool."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = perf_counter()
    with subprocess.Popen(command, cwd=CHECKOUT, env=environ, stdout=subprocess.DEVNULL) as process:
        limit = Timer(LIMIT_S, process.kill)  # `wait(timeout)` would poll at long intervals: at 32 ms, then at 64 ms
        limit.start()
        status = process.wait()
        took_s = perf_counter() - start
        limit.cancel()
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return took_s


if __name__ == "__main__":
    main()
