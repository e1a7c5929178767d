"""`compare report`: write a page on finished runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_runs
from runner.cli.shared_options import (
    by_option,
    color_option,
    language_option,
    open_option,
    output_option,
    percentiles_option,
    slo_option,
)
from runner.cli.terminal import echo_error, echo_written, open_console

if TYPE_CHECKING:
    from runner.core.answered_by import AnsweredByColumn
    from runner.core.slo import Slo


@click.command(cls=Command)
@click.argument(
    "runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...", shell_complete=complete_runs
)
@output_option("File of the page (default: report.html in the run's folder, or for several runs in this folder).")
@click.option("--replies", is_flag=True, help="Also print the replies, side by side if they fit.")
@click.option(
    "--votes",
    "vote_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Count this file of blind votes; repeatable (default: votes*.json in the runs' folders).",
)
@language_option
@percentiles_option
@slo_option
@by_option
@color_option
@open_option
def report(
    runs: tuple[Path, ...],
    *,
    output: Path | None,
    replies: bool,
    vote_files: tuple[Path, ...],
    language: str | None,
    percents: tuple[float, ...],
    slo: "Slo | None",
    by: "AnsweredByColumn | None",
    color: str,
    launch: bool,
) -> None:
    """Write a page on each RUN: a folder, a journal, or `latest`. Several runs become one page, side by side.

    \b
    compare report latest
    compare report latest --replies
    compare report latest --percentiles 90,99
    compare report latest --slo ttft=800ms,total=10s
    compare report latest --by served_by
    compare report latest --votes ada.json --votes grace.json
    compare report results/monday results/tuesday -o both.html

    The page is one file that opens from disk and loads nothing else; nothing in a reply can run in it.
    """
    from runner.cli.run_output import show_page
    from runner.cli.stored_replies import print_replies
    from runner.commands.load_stored_run import load_run, resolve_journal
    from runner.commands.notify_if_slow import notify_if_slow
    from runner.commands.report import report_path, write_report
    from runner.commands.votes import load_votes, try_votes
    from runner.outputs.judge import render_judged
    from runner.outputs.terminal import render_summary
    from runner.outputs.votes import render_votes

    runs = tuple({resolve_journal(run): run for run in reversed(runs)}.values())[::-1]  # each run once
    path = report_path(runs, output)
    loaded = [load_run(run, percents, by).with_slo(slo) for run in runs]
    votes = load_votes(loaded, vote_files) if vote_files else try_votes(loaded, runs, echo_error)
    console = open_console(color)
    for run in loaded:
        if len(loaded) > 1:
            console.print(f"run {run.header.run_id}", style="bold", markup=False)
        console.print(render_summary(run))
        for judged in run.judged:
            console.print("", render_judged(judged), sep="\n")
    if votes is not None:
        console.print("", render_votes(votes), sep="\n")
    if replies:
        print_replies(loaded, console)
    with notify_if_slow(f"writing {path}", echo_error):
        write_report(loaded, path, language, votes)
    echo_written([path])
    show_page(path, open_console(color, stderr=True), launch=launch)
