"""Measure the time and memory of reading long runs, from generated journals of many short requests.

python tests/benchmarks/scale.py [--sizes 10000 100000 1000000]
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.storage.journal import Header, JournalWriter
from tests.benchmarks.accuracy import CHECKOUT

MODELS = ("quick", "steady")
CASES = ("capital", "count", "greeting", "rhyme", "sum")
WORDS = ("one", " two", " three", " four", " five", " six")
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILING = 0.01
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024

SUM_UP = """\
import sys
from pathlib import Path
from runner.commands.load_stored_run import load_run
load_run(Path(sys.argv[1])).summary
"""


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """The time and the memory of a process."""

    wall_s: float
    cpu_s: float
    peak_bytes: int

    def __str__(self) -> str:
        """Render as cells of a table."""
        return f"{self.wall_s:7.1f} s {self.cpu_s:7.1f} s of CPU {self.peak_bytes / 2**20:8.1f} MiB"


def main() -> None:
    """Generate journals, read them, and print the cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="RECORDS")
    for size in parser.parse_args().sizes:
        with TemporaryDirectory() as name:
            measure(Path(name), size)


def measure(folder: Path, size: int) -> None:
    """Print the cost of writing and reading a run of `size` requests; n 1 each."""
    start = process_time()
    write_journal(folder, size)
    print(f"{size:>9,} records  written, {(process_time() - start) / size * 1e6:.0f} us of CPU each", flush=True)
    for label, arguments in {
        "summary": ("-c", SUM_UP, folder),
        "compare report": ("-m", "runner", "report", folder),
        "compare export to CSV": ("-m", "runner", "export", folder, "-o", folder / "rows.csv"),
    }.items():
        print(f"{size:>9,} records  {label:22}{run_python(*arguments)}", flush=True)


def run_python(*arguments: str | Path) -> ProcessCost:
    """Run Python in the checkout; return its time and peak memory."""
    start = perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen does not know that `wait4` was called
    if process.returncode:
        sys.exit(f"{' '.join(map(str, arguments))} failed")
    return ProcessCost(perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_BYTES)


def write_journal(folder: Path, size: int) -> None:
    """Write the journal of a run of `size` requests."""
    with JournalWriter(folder) as writer:
        writer.append_header(header(size))
        for record in records(size):
            writer.append_record(record)
        writer.append({"kind": "end"})


def header(size: int) -> Header:
    """Return the header of a run of `size` requests."""
    return Header(
        run_id=f"long-{size}",
        suite="long",
        digest="5f2d9c0a41b7",
        seed=7,
        started_at=STARTED.isoformat(),
        simulated=True,
        repeat=-(-size // (len(MODELS) * len(CASES))),
        targets=tuple(f"sim/{model}" for model in MODELS),
        cases=CASES,
        planned_requests=size,
        platform="made up",
        clock="kernel",
    )


def records(size: int) -> Iterator[Record]:
    """Yield `size` records, block after block."""
    random = Random(size)
    places = [(model, case) for model in MODELS for case in CASES]
    for at in range(size):
        block, place = divmod(at, len(places))
        yield record(at, block + 1, *places[place], random)


def record(at: int, block: int, model: str, case: str, random: Random) -> Record:
    """Return the record of a request with a few tokens, or of one that failed."""
    tokens = random.randint(2, len(WORDS))
    first_us = round(200_000 * random.lognormvariate(0, 0.1))
    at_us = tuple(first_us + step * 20_000 + random.randrange(500) for step in range(tokens))
    sent = at * 1_000_000
    failed = random.random() < FAILING
    return Record(
        identity=Identity(
            key=sha256(str(at).encode()).hexdigest()[:16],
            case=case,
            turn=1,
            repeat=block,
            block=block,
            provider="sim",
            model=model,
            prompt=f"Tell me about {case}.",
            simulated=True,
        ),
        timestamps=Timestamps(
            ready=sent - 90_000,
            slot=sent - 80_000,
            sent=sent,
            headers=sent + first_us * 1000 - 90_000,
            first_event=sent + first_us * 1000 - 50_000,
            last_event=sent + (at_us[-1] + 30) * 1000,
        ),
        outcome=Outcome.PROVIDER_ERROR if failed else Outcome.OK,
        text_events=TextEvents() if failed else TextEvents(at_us, "a" * tokens, tuple(map(len, WORDS[:tokens]))),
        reply=None if failed else "".join(WORDS[:tokens]),
        error=f"upstream is busy, request {at}" if failed else None,
        http_status=503 if failed else 200,
        response_model=model,
        finish_reason=None if failed else "stop",
        request_id=f"req-sim-{at}",
        input_tokens=8,
        output_tokens=tokens,
        usage={"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": 8 + tokens},
        reused=True,
        in_flight=random.randint(1, 200),
        late_ns=random.randrange(300_000),
        clock="kernel",
        started_at=(STARTED + timedelta(milliseconds=at)).isoformat(timespec="milliseconds"),
    )


if __name__ == "__main__":
    main()
