"""Measure how long `compare runs` takes over a folder of many made-up runs, with summaries and without, and `history`.

python tests/benchmarks/many_runs.py [--runs 1000 10000] [--copies]

With `--copies` the summaries are those of one run at other levels, which vary from run to run and by the hour of the
day, and change after each 1,500 runs.
"""

import argparse
from dataclasses import replace
from datetime import timedelta
from math import pi, sin
from pathlib import Path
from random import Random
from shutil import copyfile
from tempfile import TemporaryDirectory

from runner.commands.runs import list_stored_runs
from runner.storage.journal import JOURNAL_FILE, JournalWriter
from runner.storage.run_folder import RESULTS, new_run_id
from runner.storage.stored_summary import StoredFigure, StoredTarget, write_summary
from tests.benchmarks.scale import CASES, MODELS, STARTED, header, record, run_python

CHANGE_EVERY = 1500
AT_MOST_S = 5.0
"""Target in seconds for 10,000 runs that have summaries."""


def main() -> None:
    """Write journals, and print the cost of listing their runs the first and the second time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--copies", action="store_true", help="write summaries, too, in place of deriving each")
    arguments = parser.parse_args()
    for runs in arguments.runs:
        with TemporaryDirectory() as name:
            parent = Path(name) / RESULTS
            (copy_runs if arguments.copies else write_runs)(parent, runs)
            for label in ("with summaries",) if arguments.copies else ("without summaries", "with summaries"):
                cost = run_python("-m", "runner", "runs", parent)
                print(f"{runs:6,} runs, {label:20}compare runs{cost}", flush=True)
            print(
                f"{runs:6,} runs, {'all of them':20}compare runs{run_python('-m', 'runner', 'runs', parent, '--all')}"
            )
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


def copy_runs(parent: Path, runs: int) -> None:
    """Write one run, and others with its journal and its summary at other levels, an hour apart."""
    write_runs(parent, 1)
    (first,) = list_stored_runs(parent).runs
    random = Random(7)
    for number in range(1, runs):
        started = STARTED + timedelta(hours=number)
        folder = parent / new_run_id("nightly", started)
        folder.mkdir()
        journal = copyfile(first.folder / JOURNAL_FILE, folder / JOURNAL_FILE).stat()
        usual = (1.2 if number // CHANGE_EVERY % 2 else 1.0) * (1 + 0.03 * sin(2 * pi * started.hour / 24))
        targets = tuple(_slow(target, usual * random.lognormvariate(0, 0.05)) for target in first.summary.targets)
        own = replace(first.summary, run_id=folder.name, started_at=started.isoformat(), targets=targets)
        write_summary(folder, replace(own, journal_size=journal.st_size, journal_mtime_ns=journal.st_mtime_ns))


def _slow(target: StoredTarget, factor: float) -> StoredTarget:
    """Return a target with all times multiplied by a factor."""
    medians = {name: StoredFigure(each.value * factor, each.n) for name, each in target.medians.items()}
    return replace(target, levels={name: level * factor for name, level in target.levels.items()}, medians=medians)


if __name__ == "__main__":
    main()
