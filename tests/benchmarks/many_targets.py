"""Measure how long the report of a run with many targets takes, from a made-up journal.

python tests/benchmarks/many_targets.py [--targets 10 25 50] [--cases 20] [--repeats 3]
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from runner.core.record import Record
from runner.storage.journal import JournalWriter
from tests.benchmarks.scale import header, record, run_python

AT_MOST_S = 10.0
"""Target in seconds for 50 targets, 20 cases and 3 repeats."""


def main() -> None:
    """Write a journal for each number of targets, and print the cost of its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, nargs="+", default=[10, 25, 50])
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    for targets in chosen.targets:
        with TemporaryDirectory() as name:
            write_wide_journal(Path(name), targets, chosen.cases, chosen.repeats)
            cost = run_python("-m", "runner", "report", Path(name))
        label = f"{targets} targets x {chosen.cases} cases x {chosen.repeats} repeats"
        print(f"{label:40}compare report{cost}", flush=True)
    print(f"target for 50 x 20 x 3: {AT_MOST_S:g} s")


def write_wide_journal(folder: Path, targets: int, cases: int, repeats: int) -> None:
    """Write the journal of a run of many targets, each a little slower than the one before."""
    models = tuple(f"model-{number:02}" for number in range(1, targets + 1))
    questions = tuple(f"case-{number:02}" for number in range(1, cases + 1))
    with JournalWriter(folder) as writer:
        plan = replace(
            header(targets * cases * repeats),
            repeat=repeats,
            targets=tuple(f"sim/{model}" for model in models),
            cases=questions,
        )
        writer.append_header(plan)
        for each in wide_records(models, questions, repeats):
            writer.append_record(each)
        writer.append({"kind": "end"})


def wide_records(models: tuple[str, ...], cases: tuple[str, ...], repeats: int) -> Iterator[Record]:
    """Yield a record for each round, case and model."""
    random = Random(7)
    places = [(block, case, model) for block in range(1, repeats + 1) for case in cases for model in models]
    for at, (block, case, model) in enumerate(places):
        yield record(at, block, model, case, random)


if __name__ == "__main__":
    main()
