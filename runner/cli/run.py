"""`compare run`: send a suite to every target, and write tables."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import GroupedCommand
from runner.cli.confirm import ask_about_hosts, confirm, confirm_over_option, yes_option
from runner.cli.run_options import RUN, run_options
from runner.cli.run_output import ViewOptions, perform_with_progress, view_options
from runner.cli.shared_options import ParsedParam
from runner.cli.terminal import echo_error, echo_workflow_commands, echo_written

if TYPE_CHECKING:
    from runner.analysis.diff import Difference
    from runner.commands.diff import Gate
    from runner.commands.exit_codes import AllowedErrors
    from runner.commands.run.options import RunOptions
    from runner.commands.run.perform import FinishedRun
    from runner.pricing.money import Money


def _parse_allowed_errors(text: str) -> "AllowedErrors":
    from runner.commands.exit_codes import parse_allowed_errors

    return parse_allowed_errors(text)


@click.command(cls=GroupedCommand)
@click.argument("suite", required=False, type=click.Path(path_type=Path))
@run_options(*RUN)
@click.option(
    "--allow-errors",
    "allowed",
    type=ParsedParam("allowed errors", _parse_allowed_errors),
    default="0",
    metavar="N|N%",
    help="Exit with 0 even if up to N requests, or N %, failed.",
)
@confirm_over_option
@yes_option
@view_options
def run(
    suite: Path | None,
    *,
    options: "RunOptions",
    allowed: "AllowedErrors",
    confirm_over: "int | Money",
    yes: bool,
    view: ViewOptions,
) -> None:
    """Send SUITE to every configured provider and model.

    \b
    compare run prompts/basic.yaml
    compare run prompts/basic.yaml -m deepseek/deepseek-flash -k 'who-*' --repeat 5 -o results/mine -o table.md
    compare run --resume latest --retry-errors

    Exit codes: 0 success, 1 a check failed or a gate found a regression, 2 the suite or the options are wrong and
    nothing was sent, or nothing could be compared, 3 requests failed or could not be recorded, 4 a named target has no
    key and nothing was sent, 5 undecided (--fail-undecided), 130 interrupted, finished rows kept.
    """
    from runner.commands.exit_codes import of_run
    from runner.commands.run.perform import settle_vantages
    from runner.commands.run.prepare import prepare_with_gate

    prepared, gate = prepare_with_gate(suite, options, ask_about_hosts)
    prepared = settle_vantages(prepared)
    confirm(prepared, confirm_over, yes=yes)
    finished = perform_with_progress(prepared, view)
    sys.exit(_conclude(finished, gate, options, view, of_run(finished, allowed)))


def _conclude(finished: "FinishedRun", gate: "Gate | None", options: "RunOptions", view: ViewOptions, code: int) -> int:
    """Compare a run with its baseline, report to GitHub, and return the exit code of the command.

    An incomplete run keeps its own code.
    """
    from runner.commands.exit_codes import of_difference
    from runner.errors import CompareError
    from runner.outputs.github import report_run

    difference = None
    try:
        if gate is not None and not finished.interrupted:
            difference = _print_difference(finished, gate, view)
    except CompareError as error:
        if code == 0:
            raise
        echo_error(f"compare: {error}")
    echo_workflow_commands(report_run(os.environ, finished.run, difference))
    if code or difference is None:
        return code
    return of_difference(difference, gate=options.gate, fail_undecided=options.fail_undecided)


def _print_difference(finished: "FinishedRun", gate: "Gate", view: ViewOptions) -> "Difference":
    from runner.commands.diff import add_to_run
    from runner.commands.notify_if_slow import notify_if_slow
    from runner.outputs.diff.terminal import render_difference

    with notify_if_slow("comparing with the baseline", echo_error):
        difference = gate.compare(finished.run)
    view.open_results().print(render_difference(difference))
    written = add_to_run(difference, finished)
    if not view.quiet:
        echo_written(written)
    return difference
