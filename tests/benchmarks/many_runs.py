"""Measure how long `compare runs` takes over a folder of many made-up runs, with summaries and without, and `history`.

python tests/benchmarks/many_runs.py [--runs 1000 10000]
"""

import argparse
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from runner.storage.journal import JournalWriter
from runner.storage.run_folder import RESULTS, new_run_id
from tests.benchmarks.scale import CASES, MODELS, STARTED, header, record, run_python

AT_MOST_S = 5.0
"""For 10,000 runs whose summaries are there."""


def main() -> None:
    """Write journals, and print what listing their runs costs the first and the second time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000])
    for runs in parser.parse_args().runs:
        with TemporaryDirectory() as name:
            parent = Path(name) / RESULTS
            write_runs(parent, runs)
            for label in ("without summaries", "with summaries"):
                cost = run_python("-m", "runner", "runs", parent)
                print(f"{runs:6,} runs, {label:20}compare runs{cost}", flush=True)
            for options in ((), ("-o", parent.parent / "history.html")):
                cost = run_python("-m", "runner", "history", parent, *options)
                print(f"{runs:6,} runs, {'to a page' if options else 'in tables':20}compare history{cost}", flush=True)
    print(f"target for 10,000 with summaries: {AT_MOST_S:g} s")


def write_runs(parent: Path, runs: int) -> None:
    """Write a short journal for each of a number of hours."""
    random = Random(7)
    for number in range(runs):
        started = STARTED + timedelta(hours=number)
        places = [(case, model) for case in CASES for model in MODELS]
        with JournalWriter(parent / new_run_id("nightly", started)) as writer:
            writer.append_header(replace(header(len(places)), started_at=started.isoformat()))
            for at, (case, model) in enumerate(places):
                writer.append_record(record(at, 1, model, case, random))
            writer.append({"kind": "end"})


if __name__ == "__main__":
    main()
