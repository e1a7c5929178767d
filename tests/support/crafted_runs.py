"""Records, runs and journals with known latencies, made without a request."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any

from runner.analysis.run_results import Run
from runner.commands.runs import list_stored_runs
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.storage import journal
from runner.storage.journal import Header
from runner.storage.run_folder import RESULTS

SECOND = 1_000_000_000
BASE, NEW = "acme/old", "acme/new"


def header(run_id: str = "base", targets: Sequence[str] = (BASE,), **details: object) -> Header:
    """Return the header of a run of the suite `crafted`."""
    made = Header(
        run_id=run_id,
        suite="crafted",
        digest="d1",
        seed=7,
        started_at="2026-01-02T03:04:05+00:00",
        simulated=False,
        repeat=1,
        targets=tuple(targets),
        cases=("one", "two"),
        planned_requests=1,
        platform="Linux",
        clock="transport",
        versions={"compare": "1", "python": "3.11"},
    )
    return replace(made, **details)  # type: ignore[arg-type]


def answered(
    target: str = BASE,
    case: str = "one",
    block: int = 1,
    ttft_s: float = 0.3,
    reply: str = "Hello world",
    **more: Any,
) -> Record:
    """Return the record of a reply of two chunks, the second half a second after the first."""
    provider, _, model = target.partition("/")
    first_us = round(ttft_s * 1e6)
    record = Record(
        identity=Identity(f"{target}-{case}-{block}", case, 1, block, block, provider, model, f"Tell {case}."),
        timestamps=Timestamps(
            sent=SECOND, headers=SECOND, first_event=SECOND, last_event=SECOND + (first_us + 500_000) * 1000
        ),
        outcome=Outcome.OK,
        text_events=TextEvents((first_us, first_us + 500_000), "aa", (min(1, len(reply)), len(reply[1:]))),
        reply=reply,
        finish_reason="stop",
        output_tokens=3,
        late_ns=100_000,
    )
    return replace(record, **more)


def failed(target: str = BASE, case: str = "one", block: int = 1) -> Record:
    """Return the record of a request that ended with a provider error."""
    good = answered(target, case, block)
    return replace(
        good, outcome=Outcome.PROVIDER_ERROR, text_events=TextEvents(), reply=None, error="oops", http_status=500
    )


def jittered(
    target: str,
    blocks: int,
    *,
    slower: float = 1.0,
    seed: int = 1,
    sigma: float = 0.1,
    cases: Sequence[str] = ("one", "two"),
) -> Iterator[Record]:
    """Yield records of a target whose TTFT is log-normal around 300 ms times `slower`."""
    random = Random(f"{target}{seed}")
    for block in range(1, blocks + 1):
        for case in cases:
            yield answered(target, case, block, 0.3 * slower * random.lognormvariate(0, sigma))


def run_of(records: Iterator[Record] | Sequence[Record], run_id: str = "base", **details: object) -> Run:
    """Return a run of these records."""
    kept = list(records)
    targets = tuple(dict.fromkeys(record.identity.target for record in kept))
    return Run.of(header(run_id, targets, planned_requests=len(kept), **details), kept)


def run_of_targets(records: Iterable[Record], targets: Sequence[str] = (BASE, NEW), **details: object) -> Run:
    """Return the run `mine` of these records and targets, of which some may have no record."""
    return Run.of(header("mine", targets, **details), records)


def write_run(folder: Path, records: Iterator[Record] | Sequence[Record], **details: object) -> Path:
    """Write a finished run's journal; return its folder."""
    kept = list(records)
    targets = tuple(dict.fromkeys(record.identity.target for record in kept))
    with journal.JournalWriter(folder) as log:
        log.append_header(header(folder.name, targets, planned_requests=len(kept), **details))
        for record in kept:
            log.append_record(record)
        log.append({"kind": "end"})
    return folder


CopyRuns = Callable[[int], Path]
"""Function that copies the first n runs of a folder into `results` and returns the folder of the last one."""


def derived_runs() -> CopyRuns:
    """Derive the summaries of the runs in `results`, once for many tests; return a function that copies runs there."""
    list_stored_runs(RESULTS)
    folders = sorted(RESULTS.absolute().iterdir())

    def copy(count: int) -> Path:
        for folder in folders[:count]:
            copytree(folder, RESULTS / folder.name, dirs_exist_ok=True)
        return RESULTS / folders[count - 1].name

    return copy


def simulated(record: Record) -> Record:
    """Return a record marked as simulated."""
    return replace(record, identity=replace(record.identity, simulated=True))
