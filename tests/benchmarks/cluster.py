"""Measure the cost of a run on Ray: of a token with one and with several workers, and of a record at the driver.

python tests/benchmarks/cluster.py [--workers 1 2 4] [--sizes 10000 100000 1000000]
"""

import argparse
import asyncio
import json
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from runner.calibration.measure import CalibrationLoad, run_load
from runner.cluster.connect import join_cluster
from runner.cluster.worker_messages import AttemptReport, WarmUpReport, WorkerSpan
from runner.commands.event_loop import run_async
from runner.core.cluster_node import ClusterOptions, Node
from runner.core.suite import Timeouts
from runner.core.target_name import SIMULATOR
from runner.providers.endpoint import find_endpoint
from runner.providers.registry import builtin
from runner.simulator.child_process import launch, launch_sync
from runner.storage import journal
from runner.wire.attempt import AttemptRequest
from tests.benchmarks.accuracy import CHECKOUT, STEADY
from tests.benchmarks.memory import MAXRSS_BYTES
from tests.benchmarks.targets import PerformanceTarget, ratio
from tests.support.ray_cluster import launch_cluster

if TYPE_CHECKING:
    from runner.cluster.worker_pool import WorkerPool

ROUNDS = 6
"""Number of requests that each stream sends, one after the other."""

SIMULATED_WORKERS = 4
CONCURRENCY = 200
LEAST_SHARE = 0.9
FLAT = 1.1


@dataclass(frozen=True, slots=True)
class Trial:
    """A load on a number of workers, and its cost."""

    workers: int
    tokens: int
    worker_cpu_s: float
    driver_cpu_s: float
    wall_s: float

    @property
    def tokens_per_cpu_s(self) -> float:
        """Tokens received per second of the workers' CPU time."""
        return self.tokens / self.worker_cpu_s


@dataclass(frozen=True, slots=True)
class DriverCost:
    """The cost of a number of records at a driver whose workers are simulated."""

    records: int
    cpu_s: float
    peak_bytes: int

    @property
    def cpu_per_record_s(self) -> float:
        """CPU seconds per record."""
        return self.cpu_s / self.records


def main() -> None:
    """Measure both and print them with their targets."""
    options = parse_options()
    if options.drive is not None:
        print(json.dumps(asdict(run_async(drive_simulated, options.drive))))
        return
    if options.workers:
        share = replace(STEADY, concurrency=options.streams, requests=options.streams * ROUNDS)
        report_workers(measure_workers(options.workers, options.repeats, share), share)
    if options.sizes:
        report_driver([measure_driver(size) for size in options.sizes])


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--workers",
        type=int,
        nargs="*",
        default=[1, 2, 4],
        help="numbers of workers; the first is what others are compared with",
    )
    parser.add_argument("--streams", type=int, default=50, help="streams of each worker (50)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of trials, one of each number of workers (5)")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], metavar="RECORDS")
    parser.add_argument("--drive", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


# Workers


def measure_workers(numbers: Sequence[int], repeats: int, share: CalibrationLoad) -> list[list[Trial]]:
    """Return rounds of trials, each with one trial for each number of workers, on a cluster started for them."""
    with launch_cluster() as cluster, join_cluster(cluster.address), launch_sync() as base_url:
        return [[run_async(run_trial, base_url, workers, share) for workers in numbers] for _ in range(repeats)]


async def run_trial(base_url: str, workers: int, share: CalibrationLoad) -> Trial:
    """Run a share of load on each of a number of new workers; return the cost."""
    from runner.cluster.remote_attempts import remote_runners  # noqa: PLC0415 -- brings Ray
    from runner.cluster.start_workers import start_pool  # noqa: PLC0415

    load = replace(share, concurrency=share.concurrency * workers, requests=share.requests * workers)
    async with start_pool(ClusterOptions(workers=workers), ()) as pool:
        with TemporaryDirectory() as folder:
            before_s = sum(cpu_s(worker.pid) for worker in pool.workers)
            effort = await run_load(base_url, load, Path(folder), remote_runners(pool, load.concurrency))
            worker_cpu_s = sum(cpu_s(worker.pid) for worker in pool.workers) - before_s
            tokens = sum(len(record.text_events.at_us) for record in journal.read(Path(folder)).records)
    assert tokens == load.requests * load.tokens, "tokens are missing"
    return Trial(workers, tokens, worker_cpu_s, effort.cpu_s, effort.wall_s)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, including all its threads. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report_workers(rounds: Sequence[Sequence[Trial]], share: CalibrationLoad) -> None:
    """Print the cost with each number of workers, and its ratio to the first number's in the same round."""
    pace = f"{1000 / share.gap_ms:g} tokens/s each, {share.requests} requests of {share.tokens} tokens"
    print(f"each worker: {share.concurrency} streams, {pace}; {len(rounds)} rounds, medians (least to most)")
    columns = list(zip(*rounds, strict=True))
    shares = [
        [trial.tokens_per_cpu_s / row[0].tokens_per_cpu_s for trial, row in zip(column, rounds, strict=True)]
        for column in columns
    ]
    table = [
        (
            column[0].workers,
            len(column),
            _spread((trial.tokens_per_cpu_s for trial in column), "{:.0f}"),
            _spread((trial.worker_cpu_s / trial.tokens * 1e6 for trial in column), "{:.1f}"),
            _spread(of_first, "{:.3f}"),
            _spread((trial.driver_cpu_s * share.tokens / trial.tokens * 1e6 for trial in column), "{:.0f}"),
            _spread((trial.wall_s for trial in column), "{:.2f}"),
        )
        for column, of_first in zip(columns, shares, strict=True)
    ]
    headers = (
        "workers",
        "n",
        "tokens/CPU s",
        "CPU us/token",
        f"of {columns[0][0].workers}'s",
        "driver us/record",
        "wall s",
    )
    print(tabulate(table, headers, disable_numparse=True), end="\n\n")
    for column, of_first in list(zip(columns, shares, strict=True))[1:]:
        words = f"CPU per token, {column[0].workers} workers / {columns[0][0].workers}"
        print(PerformanceTarget(8, words, 1 / median(of_first), 1 / LEAST_SHARE))
    print()


def _spread(values: Iterable[float], form: str) -> str:
    known = sorted(values)
    least, middle, most = map(form.format, (known[0], median(known), known[-1]))
    return f"{middle} ({least} to {most})"


# The driver


def measure_driver(records: int) -> DriverCost:
    """Return the cost of a number of records, measured in a new process."""
    command = [sys.executable, "-m", "tests.benchmarks.cluster", "--drive", str(records)]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    return DriverCost(**json.loads(done.stdout))


async def drive_simulated(records: int) -> DriverCost:
    """Drive workers that always return, immediately, the same report, which a real worker made."""
    from runner.cluster.remote_attempts import remote_runners  # noqa: PLC0415 -- brings Ray

    load = replace(STEADY, concurrency=CONCURRENCY, requests=records)
    async with launch() as base_url:
        report = pickle.dumps(await report_once(base_url, load))
    with TemporaryDirectory() as folder:
        effort = await run_load(
            "http://127.0.0.1:9/v1", load, Path(folder), remote_runners(simulate_pool(report), CONCURRENCY)
        )
    return DriverCost(records, effort.cpu_s, own_peak_bytes())


def own_peak_bytes() -> int:
    """Return the peak memory of this process. `getrusage` returns its parent's if that is larger."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


async def report_once(base_url: str, load: CalibrationLoad) -> AttemptReport:
    """Return a worker's report on one reply of the simulator."""
    from runner.cluster.worker import Worker  # noqa: PLC0415 -- its process has it anyway

    worker, endpoint = Worker(), find_endpoint(SIMULATOR, builtin(), {})
    async with worker._stack:
        await worker.set_up({SIMULATOR: replace(endpoint, base_url=base_url)}, {}, 10, 1)
        request = AttemptRequest(load.model, [{"role": "user", "content": "Count."}], {"stream": True}, Timeouts())
        return await worker.run_attempt(SIMULATOR, 1, request)


def simulate_pool(report: bytes) -> "WorkerPool":
    """Return workers without a process; each of their reports is unpickled again, as Ray does."""
    from runner.cluster.worker_pool import WorkerHandle, WorkerPool  # noqa: PLC0415 -- brings Ray

    actor = SimpleNamespace(
        set_up=_answer(lambda: None),
        warm_up=_answer(lambda: WarmUpReport([], WorkerSpan(0, 0))),
        run_attempt=_answer(lambda: pickle.loads(report)),
    )
    node, host = Node("simulated", None), os.uname().nodename

    async def start_replacement(_: Node) -> WorkerHandle:
        raise AssertionError("no simulated worker is lost")

    workers = [WorkerHandle(actor, f"worker {at}", node, host, 0) for at in range(SIMULATED_WORKERS)]
    return WorkerPool(workers, start_replacement)


def _answer(make: Callable[[], Any]) -> SimpleNamespace:
    async def answer() -> Any:
        await asyncio.sleep(0)
        return make()

    return SimpleNamespace(remote=lambda *_: answer())


def report_driver(driven: Sequence[DriverCost]) -> None:
    """Print the cost of a record in runs of different sizes."""
    load = f"{CONCURRENCY} requests in flight, {STEADY.tokens} tokens each"
    print(f"driver of {SIMULATED_WORKERS} simulated workers, {load}; n 1 each")
    first = driven[0]
    table = [
        (
            f"{each.records:,}",
            f"{each.cpu_per_record_s * 1e6:.0f}",
            f"{each.cpu_per_record_s / first.cpu_per_record_s:.3f}",
            f"{each.peak_bytes / 2**20:.1f}",
            f"{each.peak_bytes / first.peak_bytes:.3f}",
        )
        for each in driven
    ]
    headers = ("records", "CPU us/record", "of the first", "peak MiB", "of the first")
    print(tabulate(table, headers, disable_numparse=True, colalign=["right"] * len(headers)), end="\n\n")
    for each in driven[1:]:
        words = f"{each.records:,} records / {first.records:,}"
        print(
            PerformanceTarget(
                8, f"driver's CPU per record, {words}", ratio(each.cpu_per_record_s, first.cpu_per_record_s), FLAT
            )
        )
        print(PerformanceTarget(8, f"driver's peak memory, {words}", ratio(each.peak_bytes, first.peak_bytes), 1.3))


if __name__ == "__main__":
    main()
