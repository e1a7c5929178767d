"""`compare history`: show how targets changed over many runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_followed_metrics
from runner.cli.runs import run_selection_options
from runner.cli.shared_options import (
    color_option,
    folder_argument,
    json_option,
    language_option,
    metric_option,
    outputs_option,
)
from runner.cli.terminal import echo_error, echo_json, echo_written, open_console

if TYPE_CHECKING:
    from runner.commands.runs import RunSelection


@click.command(cls=Command)
@folder_argument
@run_selection_options
@metric_option(
    "Follow this measure; repeatable: ttft, ttfa, tool_call, total, tpot, output_cps, chars, cost, passes "
    "(default ttft and total).",
    complete_followed_metrics,
)
@outputs_option("Also write a file: .html is a page with charts, .json for programs.")
@language_option
@json_option
@color_option
def history(
    folder: Path | None,
    *,
    selection: "RunSelection",
    metrics: tuple[str, ...],
    outputs: tuple[Path, ...],
    language: str | None,
    as_json: bool,
    color: str,
) -> None:
    """Show how each target changed over the runs in FOLDER (default results/): last level, usual range, changes.

    \b
    compare history
    compare history --target 'openai/*' --since 30d
    compare history --metric total --metric cost --json
    compare history -o history.html

    Runs of one suite file and one load make a series. A change point is the first run of a new level; it is shown with
    the size of the change, its interval, and what else changed at the same run. docs/history.md explains the rule.
    """
    from runner.cli.summary_progress import echo_problems, open_summary_progress
    from runner.commands.history import follow_targets, write_history
    from runner.commands.runs import explain_none
    from runner.outputs.history import render_history, write_json
    from runner.storage.run_folder import RESULTS

    place = folder or RESULTS
    with open_summary_progress(place, color) as observe:
        series, found = follow_targets(place, selection, metrics, observe, outputs=outputs)
    echo_problems(found)
    if as_json:
        echo_json(write_json(series))
    elif series:
        open_console(color).print(render_history(series))
    else:
        echo_error(explain_none(place, selection))
    if series:
        write_history(series, outputs, language)
        echo_written(outputs)
