"""`compare run`: send a suite to every target, and write tables."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.confirm import ask_about_hosts, confirm, confirm_over_option, yes_option
from runner.cli.help import GroupedCommand
from runner.cli.run_options import (
    CACHES,
    CLUSTER,
    COMPARISON,
    LOAD,
    MEASUREMENT,
    RECORDED_RUNS,
    REPEATS,
    TARGETS,
    run_options,
)
from runner.cli.show_run import ViewOptions, perform_with_progress, view_options
from runner.cli.terminal import echo_error, echo_written

if TYPE_CHECKING:
    from runner.analysis.diff import Difference
    from runner.commands.diff import Gate
    from runner.commands.exit_codes import AllowedErrors
    from runner.commands.run.options import RunOptions
    from runner.commands.run.perform import FinishedRun
    from runner.commands.run.prepared_run import PreparedRun
    from runner.pricing.money import Money


class AllowedErrorsParam(click.ParamType["AllowedErrors"]):
    """A number or a percentage of requests."""

    name = "allowed errors"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "AllowedErrors":
        """Return the number or percentage of requests that may fail."""
        from runner.commands.exit_codes import AllowedErrors  # noqa: PLC0415 -- heavy

        text = str(value)
        digits, is_percentage = text.removesuffix("%"), text.endswith("%")
        try:
            number = float(digits) if is_percentage else int(digits)
        except ValueError:
            self.fail(f"{text!r} is neither a number nor a percentage", param, ctx)
        if number < 0 or (is_percentage and number > 100):
            self.fail(f"{text} is out of range", param, ctx)
        return AllowedErrors(number, is_percentage)


@click.command(cls=GroupedCommand)
@click.argument("suite", required=False, type=click.Path(path_type=Path))
@run_options(TARGETS, REPEATS, CACHES, RECORDED_RUNS, LOAD, CLUSTER, MEASUREMENT, COMPARISON)
@click.option(
    "--allow-errors",
    "allowed",
    type=AllowedErrorsParam(),
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
    from runner.commands.exit_codes import of_run  # noqa: PLC0415 -- heavy imports wait until there is work

    gate = _open_gate(options)
    prepared = _prepare(suite, options)
    if gate is not None:
        targets = [target.name for target in prepared.plan.targets]
        gate = gate.settle(targets, prepared.suite.cases, prepared.options.slo)
    confirm(prepared, confirm_over, yes=yes)
    finished = perform_with_progress(prepared, view)
    sys.exit(_conclude(finished, gate, options, view, of_run(finished, allowed)))


def _open_gate(options: "RunOptions") -> "Gate | None":
    if options.baseline is None and options.arms is None:
        return None
    from runner.commands.diff import open_gate  # noqa: PLC0415 -- brings pandas

    return open_gate(options)


def _prepare(suite: Path | None, options: "RunOptions") -> "PreparedRun":
    from runner.commands.run.load_suite import find_suite, load_suite  # noqa: PLC0415
    from runner.commands.run.perform import settle_vantages  # noqa: PLC0415
    from runner.commands.run.prepare import prepare  # noqa: PLC0415

    loaded, registry = load_suite(find_suite(suite, options))
    return settle_vantages(prepare(loaded, registry, options, ask=ask_about_hosts))


def _conclude(finished: "FinishedRun", gate: "Gate | None", options: "RunOptions", view: ViewOptions, code: int) -> int:
    """Compare a run with its baseline, report to GitHub, and return the exit code of the command.

    An incomplete run keeps its own code.
    """
    from runner.commands.exit_codes import of_difference  # noqa: PLC0415
    from runner.errors import CompareError  # noqa: PLC0415

    difference = None
    try:
        if gate is not None and not finished.interrupted:
            difference = _print_difference(finished, gate, view)
    except CompareError as error:
        if code == 0:
            raise
        echo_error(f"compare: {error}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _report_to_github(finished, difference)
    if code or difference is None:
        return code
    return of_difference(difference, gate=options.gate, fail_undecided=options.fail_undecided)


def _print_difference(finished: "FinishedRun", gate: "Gate", view: ViewOptions) -> "Difference":
    from runner.commands.diff import add_to_run  # noqa: PLC0415
    from runner.commands.notify_if_slow import notify_if_slow  # noqa: PLC0415
    from runner.outputs.diff.terminal import render_difference  # noqa: PLC0415

    with notify_if_slow("comparing with the baseline", echo_error):
        difference = gate.compare(finished.run)
    view.open_results().print(render_difference(difference))
    written = add_to_run(difference, finished)
    if not view.quiet:
        echo_written(written)
    return difference


def _report_to_github(finished: "FinishedRun", difference: "Difference | None") -> None:
    from runner.cli.terminal import echo_workflow_command  # noqa: PLC0415
    from runner.outputs.github import append_summary, workflow_commands  # noqa: PLC0415

    append_summary(os.environ, finished.run, difference)
    for line in workflow_commands(os.environ, finished.run, difference):
        echo_workflow_command(line)
