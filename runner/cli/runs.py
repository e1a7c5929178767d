"""`compare runs`: list the runs in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_stored_targets, complete_suites
from runner.cli.shared_options import DURATION_WITH_UNIT, collect, color_option, folder_argument, json_option
from runner.cli.terminal import echo_error, echo_json, open_console

if TYPE_CHECKING:
    from runner.commands.runs import RunSelection
    from runner.storage.stored_summary import StoredRun

SHOWN = 20


def _make_selection(suite: str | None, target: str | None, since_s: float | None) -> "RunSelection":
    from datetime import UTC, datetime, timedelta

    from runner.commands.runs import RunSelection

    return RunSelection(suite, target, None if since_s is None else datetime.now(UTC) - timedelta(seconds=since_s))


run_selection_options = collect(
    "selection",
    _make_selection,
    (
        click.option(
            "--suite", metavar="GLOB", shell_complete=complete_suites, help="Only runs of suites whose name matches."
        ),
        click.option(
            "--target",
            metavar="GLOB",
            shell_complete=complete_stored_targets,
            help="Only targets that match, and runs that have one: 'openai/*'.",
        ),
        click.option(
            "--since",
            "since_s",
            type=DURATION_WITH_UNIT,
            metavar="TIME",
            help="Only runs that started within this time: 12h, 30d.",
        ),
    ),
)
"""Decorator that adds the options that select runs of a folder; the command gets `selection: RunSelection`."""


@click.command(cls=Command)
@folder_argument
@click.option("-n", "--last", type=click.IntRange(1), metavar="N", help=f"Show the N newest runs (default {SHOWN}).")
@click.option("--all", "shows_all", is_flag=True, help="Show all runs.")
@run_selection_options
@json_option
@color_option
def runs(
    folder: Path | None,
    *,
    last: int | None,
    shows_all: bool,
    selection: "RunSelection",
    as_json: bool,
    color: str,
) -> None:
    """List the runs in FOLDER (default results/), the newest first: date, suite, targets, failures, TTFT, cost.

    \b
    compare runs
    compare runs --since 7d --target 'openai/*'
    compare report previous            the run before the latest
    compare diff latest~2 latest

    Every command takes a run by its folder, its id or a unique beginning of it, `latest`, `previous`, or `latest~N` for
    the Nth run before the latest.
    """
    import json

    from runner.cli.summary_progress import echo_problems, open_summary_progress
    from runner.commands.runs import RunSelection, explain_none, list_stored_runs
    from runner.outputs.runs import runs_as_data
    from runner.storage.run_folder import RESULTS

    if shows_all and last is not None:
        raise click.UsageError("-n shows some of the runs, --all shows all. Give one of them.")
    place, most = folder or RESULTS, None if shows_all else last or SHOWN
    with open_summary_progress(place, color) as observe:
        found = list_stored_runs(place, selection, most, observe)
    echo_problems(found)
    shown = found.runs[:most]
    if as_json:
        echo_json(json.dumps(runs_as_data(shown), ensure_ascii=False, indent=2))
    elif shown:
        _print_table(shown, color)
    left = len(found.runs) - len(shown) + found.unread
    if left:
        may_not_fit = found.unread and selection != RunSelection()
        if left == 1:
            echo_error(f"1 older run is not shown; --all shows it{', if it fits' if may_not_fit else ''}")
        else:
            echo_error(f"{left:,} older runs are not shown; --all shows {'those that fit' if may_not_fit else 'them'}")
    elif not shown:
        echo_error(explain_none(place, selection))


def _print_table(shown: Sequence["StoredRun"], color: str) -> None:
    from runner.outputs.runs import render_runs

    console = open_console(color)
    table, left_out = render_runs(shown, console.width)
    console.print(table)
    if left_out:
        echo_error(f"not shown, for want of room: {', '.join(left_out)}; a wider terminal or --json shows all")
