"""Perform a prepared run and write its outputs, for every command that sends requests and for the Python API."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from runner.commands.notify_if_slow import notify_if_slow
from runner.commands.run.custom_checks import run_custom_checks
from runner.commands.run.judge_requests import judge_rubrics
from runner.commands.run.make_thumbnails import add_thumbnails
from runner.commands.run.open_run import header_of, open_journal, open_run, open_workers
from runner.commands.run.prepared_run import PreparedRun
from runner.engine.run_observers import CompositeObserver, Observer
from runner.errors import ClusterLost, CompareError, FileChanged, WriteFailed
from runner.outputs import find_writer
from runner.storage import journal
from runner.storage.atomic_write import write_atomically, write_each
from runner.storage.run_folder import DEFAULT_OUTPUTS

if TYPE_CHECKING:
    from runner.analysis.run_results import Run
    from runner.engine.run_observers import StopRule
    from runner.engine.spread_rounds import Spread


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has ended, complete or interrupted."""

    run: "Run"
    folder: Path
    written: tuple[Path, ...]
    interrupted: bool


def settle_vantages(prepared: PreparedRun) -> PreparedRun:
    """Return the run with the cluster's nodes as vantages if each node sends everything; else return it unchanged.

    Raises:
        CompareError: there is no such cluster, or it lacks a node; nothing was sent.

    """
    cluster = prepared.options.cluster
    if cluster is None or not prepared.wants_vantages:
        return prepared
    from runner.cluster.connect import find_vantages  # brings an extra

    return prepared.with_vantages(anyio.run(find_vantages, cluster))


async def perform(prepared: PreparedRun, observer: Observer | None = None) -> FinishedRun:
    """Perform a run; its journal, tables and further outputs are on disk when this returns.

    Raises:
        ClusterLost: no worker is left; the tables hold what was recorded before.
        FileChanged: an attached file has changed; the tables hold what was recorded before.

    """
    try:
        return await _perform(prepared, observer)
    finally:
        if prepared.claim is not None:
            prepared.claim.release()


async def _perform(prepared: PreparedRun, observer: Observer | None) -> FinishedRun:
    observer = observer or Observer()
    observer.planned(prepared.plan)
    if prepared.resumed is not None:
        observer.resumed(prepared.resumed.state.completed)
    if prepared.resumed is not None and prepared.remaining_requests == 0:
        with open_journal(prepared) as writer:
            writer.append({"kind": "end"})
        finished = True
    else:
        try:
            finished = await _send_remaining(prepared, observer)
        except (ClusterLost, FileChanged):
            write_outputs(prepared, interrupted=True, observer=observer)
            raise
    try:
        run_custom_checks(prepared.folder, prepared.redactor.by_value)
        finished = finished and await judge_rubrics(prepared, observer)
        return write_outputs(prepared, interrupted=not finished, observer=observer)
    except CompareError as error:
        if error.exit_code != CompareError.exit_code:
            raise
        # Requests were sent, so the exit code must not be that of a run that could not start.
        raise WriteFailed(f"{error}. The journal in {prepared.folder} has all that was recorded") from error


async def _send_remaining(prepared: PreparedRun, observer: Observer) -> bool:
    """Send the remaining requests; return False if the run was interrupted."""
    with open_stop_rule(prepared) as rule:
        observers = observer if rule is None else CompositeObserver((observer, rule))
        async with open_workers(prepared) as workers, open_run(prepared, observers, workers) as (senders, writer):
            from runner.engine.run import send_plan  # brings the SDK

            first_missing = prepared.first_missing
            return await send_plan(
                prepared.plan,
                senders,
                writer,
                load=prepared.load,
                first_missing=first_missing,
                stop=rule,
                refuse_warmup=None if rule is None else rule.refuse_warmup,
                spread=_spread_of(prepared),
            )


def _spread_of(prepared: PreparedRun) -> "Spread | None":
    """Return when the rounds of a run begin; a resumed run keeps its moments."""
    from runner.engine.spread_rounds import Spread

    span_s, plan, resumed = prepared.load.spread_s, prepared.plan, prepared.resumed
    if span_s is None or plan.repeat is None:
        return None
    started = prepared.started if resumed is None else datetime.fromisoformat(resumed.journal.header.started_at)
    return Spread(started.timestamp(), span_s, plan.repeat, plan.seed, time.time)


@contextmanager
def open_stop_rule(prepared: PreparedRun) -> Iterator["StopRule | None"]:
    """Yield the rule that ends a run early, or None; the rule has counted the records of a resumed run.

    Raises:
        CompareError: a rule cannot be applied, such as a budget without known prices.

    """
    budgets, until_ci = prepared.options.budgets, prepared.options.until_ci
    if not budgets and until_ci is None:
        yield None
        return
    from runner.commands.run.stop_rules import stop_rule  # brings numpy

    with ThreadPoolExecutor(max_workers=1) as executor:
        rule = stop_rule(
            prepared.plan,
            prepared.forecast,
            budgets=budgets,
            until_ci=until_ci,
            executor=executor,
            header=header_of(prepared),
            spell=prepared.options.spell,
        )
        if rule is not None and prepared.resumed is not None:
            for record in prepared.resumed.records:
                rule.finished(record)
        yield rule


def write_outputs(prepared: PreparedRun, *, interrupted: bool, observer: Observer | None = None) -> FinishedRun:
    """Write the outputs of a run that has ended, from its journal only.

    Each output is written even if another one fails; errors are raised after the last output. Pages are written last,
    since they take the longest. The observer is notified of slow outputs.

    Raises:
        JournalError: there is no journal, because the run never started.
        WriteFailed: a file cannot be written.

    """
    from runner.analysis.run_results import Run

    options = prepared.options
    add_thumbnails(prepared.folder, prepared.plan.cases)
    run = replace(
        Run.of_journal(journal.read(prepared.folder)),
        wants_estimates=options.estimate_tokens,
        percents=options.percents,
        by=options.by,
    )
    written = tuple(dict.fromkeys((*(prepared.folder / name for name in DEFAULT_OUTPUTS), *prepared.outputs)))
    tell = (observer or Observer()).still_working

    def write(path: Path) -> None:
        suffix = path.suffix.lower()
        encoding = "utf-8-sig" if options.bom and suffix == ".csv" else "utf-8"
        with notify_if_slow(f"writing {path}", tell):
            write_atomically(path, find_writer(suffix)(run), encoding)

    try:
        write_each(sorted(written, key=lambda path: path.suffix.lower() == ".html"), write)
    finally:
        if prepared.claim is not None:
            prepared.claim.release()
    return FinishedRun(run, prepared.folder, written, interrupted)
