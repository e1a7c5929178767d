"""Measures what a run on Ray costs: a token at one worker and at several, a record at the driver of few and of many.

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
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
from tabulate import tabulate

from runner.calibration.measure import SIMULATOR, CalibrationLoad, drive
from runner.cluster.connect import join_cluster
from runner.cluster.messages import RemoteOpened, Report, WorkerStay
from runner.cluster.open_pool import distant_askers
from runner.commands.run.perform import backend
from runner.core.nodes import ClusterOptions, Node
from runner.core.suite import Timeouts
from runner.providers.endpoint import find_endpoint
from runner.providers.registry import builtin
from runner.simulator.process import launch, launch_sync
from runner.storage import journal
from runner.wire.client import ChatRequestBody
from tests.benchmarks.accuracy import CHECKOUT, STEADY
from tests.benchmarks.memory import MAXRSS_BYTES
from tests.benchmarks.targets import Target, ratio
from tests.support.ray_cluster import launch as launch_cluster

if TYPE_CHECKING:
    from runner.cluster.worker_pool import WorkerPool

ROUNDS = 6
"""Requests that each stream asks for, one after the other."""

SIMULATED_WORKERS = 4
AT_ONCE = 200
LEAST_SHARE = 0.9
FLAT = 1.1


@dataclass(frozen=True, slots=True)
class Trial:
    """A load heard by so many workers."""

    workers: int
    tokens: int
    worker_cpu_s: float
    driver_cpu_s: float
    wall_s: float

    @property
    def tokens_per_cpu_s(self) -> float:
        """Tokens heard in a second of the workers' processor time."""
        return self.tokens / self.worker_cpu_s


@dataclass(frozen=True, slots=True)
class Driven:
    """What so many records cost a driver whose workers are simulated."""

    records: int
    cpu_s: float
    peak_bytes: int

    @property
    def cpu_per_record_s(self) -> float:
        """Processor time of one record."""
        return self.cpu_s / self.records


def main() -> None:
    """Measure both and print them against their targets."""
    options = read_options()
    if options.drive is not None:
        print(json.dumps(asdict(anyio.run(drive_simulated, options.drive, **backend()))))
        return
    if options.workers:
        share = replace(STEADY, concurrency=options.streams, requests=options.streams * ROUNDS)
        report_workers(measure_workers(options.workers, options.repeats, share), share)
    if options.sizes:
        report_driver([measure_driver(size) for size in options.sizes])


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4], help="how many, the first is the measure")
    parser.add_argument("--streams", type=int, default=50, help="streams of each worker (50)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of trials, one of each number of workers (5)")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], metavar="RECORDS")
    parser.add_argument("--drive", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


# Workers


def measure_workers(numbers: Sequence[int], repeats: int, share: CalibrationLoad) -> list[list[Trial]]:
    """Return rounds of trials, one for each number of workers, on a cluster that is started for that."""
    with launch_cluster() as cluster, join_cluster(cluster.address), launch_sync() as base_url:
        return [
            [anyio.run(try_out, base_url, workers, share, **backend()) for workers in numbers] for _ in range(repeats)
        ]


async def try_out(base_url: str, workers: int, share: CalibrationLoad) -> Trial:
    """Have so many new workers hear a share of load each."""
    from runner.cluster.worker_pool import open_crew  # noqa: PLC0415 -- brings Ray

    load = replace(share, concurrency=share.concurrency * workers, requests=share.requests * workers)
    async with open_crew(ClusterOptions(workers=workers), ()) as crew:
        with TemporaryDirectory() as folder:
            before_s = sum(cpu_s(hand.pid) for hand in crew.hands)
            effort = await drive(base_url, load, Path(folder), distant_askers(crew, load.concurrency))
            worker_cpu_s = sum(cpu_s(hand.pid) for hand in crew.hands) - before_s
            tokens = sum(len(record.text_events.at_us) for record in journal.read(Path(folder)).records)
    assert tokens == load.requests * load.tokens, "not all was heard"
    return Trial(workers, tokens, worker_cpu_s, effort.cpu_s, effort.wall_s)


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, all its threads together. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report_workers(rounds: Sequence[Sequence[Trial]], share: CalibrationLoad) -> None:
    """Print what became of each number of workers, and what that is of the first one's in the same round."""
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
        print(Target(8, words, 1 / median(of_first), 1 / LEAST_SHARE))
    print()


def _spread(values: Iterable[float], form: str) -> str:
    known = sorted(values)
    least, middle, most = map(form.format, (known[0], median(known), known[-1]))
    return f"{middle} ({least} to {most})"


# The driver


def measure_driver(records: int) -> Driven:
    """Return what it costs in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.cluster", "--drive", str(records)]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    return Driven(**json.loads(done.stdout))


async def drive_simulated(records: int) -> Driven:
    """Drive workers that hand back, at once and over and over, what a real one has heard once."""
    load = replace(STEADY, concurrency=AT_ONCE, requests=records)
    async with launch() as base_url:
        heard = pickle.dumps(await hear_once(base_url, load))
    with TemporaryDirectory() as folder:
        effort = await drive("http://127.0.0.1:9/v1", load, Path(folder), distant_askers(simulate_crew(heard), AT_ONCE))
    return Driven(records, effort.cpu_s, own_peak_bytes())


def own_peak_bytes() -> int:
    """Return the most memory that this process had. `getrusage` would say its parent's, if that was larger."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


async def hear_once(base_url: str, load: CalibrationLoad) -> Report:
    """Return a worker's report on one reply of the simulator."""
    from runner.cluster.worker import Worker  # noqa: PLC0415 -- its process has it anyway

    worker, endpoint = Worker(), find_endpoint(SIMULATOR, builtin(), {})
    async with worker._stack:
        await worker.open({SIMULATOR: replace(endpoint, base_url=base_url)}, {}, 10, 1)
        question = ChatRequestBody(load.model, [{"role": "user", "content": "Count."}], {"stream": True}, Timeouts())
        return await worker.hear(SIMULATOR, 1, question)


def simulate_crew(heard: bytes) -> "WorkerPool":
    """Return workers without a process, each of whose reports is unpacked anew, as Ray does."""
    from runner.cluster.worker_handle import WorkerHandle  # noqa: PLC0415
    from runner.cluster.worker_pool import WorkerPool  # noqa: PLC0415 -- brings Ray

    handle = SimpleNamespace(
        open=_answer(lambda: None),
        warm_up=_answer(lambda: RemoteOpened([], WorkerStay(0, 0))),
        hear=_answer(lambda: pickle.loads(heard)),
    )
    node = Node("simulated", None)
    return WorkerPool(
        [WorkerHandle(handle, f"worker {at}", node, os.uname().nodename, 0) for at in range(SIMULATED_WORKERS)], count()
    )


def _answer(make: Callable[[], Any]) -> SimpleNamespace:
    async def answer() -> Any:
        await asyncio.sleep(0)
        return make()

    return SimpleNamespace(remote=lambda *_: answer())


def report_driver(driven: Sequence[Driven]) -> None:
    """Print what a record costs in runs of different sizes."""
    load = f"{AT_ONCE} requests at once, {STEADY.tokens} tokens each"
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
            Target(8, f"driver's CPU per record, {words}", ratio(each.cpu_per_record_s, first.cpu_per_record_s), FLAT)
        )
        print(Target(8, f"driver's peak memory, {words}", ratio(each.peak_bytes, first.peak_bytes), 1.3))


if __name__ == "__main__":
    main()
