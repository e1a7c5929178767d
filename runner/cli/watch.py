"""`compare watch`: repeat a run at a fixed interval, and print a line for each."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import GroupedCommand
from runner.cli.confirm import ask_about_hosts, confirm, confirm_over_option, yes_option
from runner.cli.run_options import CONCURRENCY, LOAD, MEASUREMENT, OUTPUTS, REPEATS, TARGETS, run_options
from runner.cli.shared_options import DURATION_WITH_UNIT, suite_argument
from runner.cli.terminal import echo_error, echo_wrapped

if TYPE_CHECKING:
    from runner.commands.run.options import RunOptions
    from runner.commands.run.perform import FinishedRun
    from runner.commands.run.prepared_run import PreparedRun
    from runner.commands.watch import WatchedRun
    from runner.pricing.money import Money


@click.command(cls=GroupedCommand)
@suite_argument
@click.option(
    "--every",
    "every_s",
    type=DURATION_WITH_UNIT,
    required=True,
    metavar="TIME",
    help="Interval between the starts of runs: 15m, 1h, 1d.",
)
@click.option("--for", "for_s", type=DURATION_WITH_UNIT, metavar="TIME", help="Stop after this time: 12h, 7d.")
@click.option(
    "--spans",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Append OpenTelemetry spans of each run to this file (.jsonl), which a collector can read.",
)
@run_options(TARGETS, CONCURRENCY, OUTPUTS, REPEATS, LOAD, MEASUREMENT)
@confirm_over_option
@yes_option
def watch(
    suite: Path,
    *,
    every_s: float,
    for_s: float | None,
    spans: Path | None,
    options: "RunOptions",
    confirm_over: "int | Money",
    yes: bool,
) -> None:
    """Run SUITE at once, then at a fixed interval, each time into a new folder; print a line for each run.

    \b
    compare watch prompts/basic.yaml --every 1h --for 7d --budget 5USD
    compare watch prompts/basic.yaml --every 15m -o /var/lib/node_exporter/compare.prom

    Runs never overlap: a run that is due during another one is skipped and counted. --budget is for all runs together.
    Each run replaces the files that -o names; .prom is for Prometheus' textfile collector. `compare history` shows
    changes over the runs. Exit codes: 0 the time or the budget is over, 2 the first run could not start, 130
    interrupted.
    """
    from runner.commands.exit_codes import INTERRUPTED
    from runner.commands.run.prepare import prepare_file
    from runner.commands.watch import WatchTimes
    from runner.commands.watch import watch as watch_suite

    is_first = True

    def prepare_once(options: "RunOptions") -> "PreparedRun":
        nonlocal is_first
        prepared = prepare_file(suite, options, ask=ask_about_hosts)
        confirm(prepared, confirm_over, yes=yes or not is_first)
        for note in prepared.notes if is_first else ():
            echo_error(f"note: {note}")
        is_first = False
        return prepared

    try:
        for watched in watch_suite(suite, options, prepare_once, _perform, WatchTimes(every_s, for_s), spans=spans):
            _print_line(watched)
            if watched.finished is not None and watched.finished.interrupted:
                sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        echo_error("interrupted before the first run" if is_first else "interrupted between two runs: all are kept")
        sys.exit(INTERRUPTED)


def _perform(prepared: "PreparedRun") -> "FinishedRun":
    from runner.commands.event_loop import run_async
    from runner.commands.run.perform import perform

    return run_async(perform, prepared)


def _print_line(watched: "WatchedRun") -> None:
    from datetime import datetime

    from runner.outputs.text.escape import one_line
    from runner.outputs.text.summary import describe_in_a_line

    if watched.missed is not None:
        echo_error(watched.missed)
    if not watched.due.is_due:
        return
    now = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
    if watched.finished is None:
        echo_error(f"{now}  failed: {watched.problem}")
        return
    echo_wrapped(f"{now}  {watched.finished.folder.name}  {one_line(describe_in_a_line(watched.finished.run))}")
    sys.stdout.flush()
    if watched.problem is not None:
        echo_error(watched.problem)
