"""`compare run`: ask every target what a suite says, and write tables."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.completion import complete_metrics, complete_runs, complete_targets
from runner.cli.confirm import ask_about_hosts, confirm, confirm_over_option, yes_option
from runner.cli.help import GroupedCommand
from runner.cli.option_types import ParsedParam, whole_number
from runner.cli.options import (
    CACHES,
    LOAD,
    REPEATS,
    TARGETS,
    budget_option,
    by_option,
    fail_undecided_option,
    gate_option,
    min_effect_option,
    min_pass_change_option,
    percentiles_option,
    run_options,
    slo_option,
)
from runner.cli.terminal import echo_error
from runner.cli.view import ViewOptions, perform_with_progress, view_options
from runner.core.wanted_precision import parse_until_ci

if TYPE_CHECKING:
    from runner.analysis.diff import Difference
    from runner.commands.exit_codes import AllowedErrors
    from runner.commands.run.baseline_gate import Gate
    from runner.commands.run.options import RunOptions
    from runner.commands.run.prepared_run import PreparedRun
    from runner.commands.run.send_and_write import FinishedRun
    from runner.pricing.money import Money

RECORDED_RUNS = (
    click.option(
        "--resume",
        type=click.Path(path_type=Path),
        metavar="RUN",
        shell_complete=complete_runs,
        help="Resume a run: its folder, or `latest`. Completed requests are not sent again; options you omit keep "
        "their values.",
    ),
    click.option("--retry-errors", is_flag=True, help="With --resume, send failed requests again."),
    click.option(
        "--record", is_flag=True, help="Keep every reply byte for byte, with the time of each read; never a key."
    ),
    click.option(
        "--replay",
        type=click.Path(path_type=Path),
        metavar="RUN",
        shell_complete=complete_runs,
        help="Send nothing: play back what was recorded in RUN. Needs no key.",
    ),
    click.option("--fast", is_flag=True, help="With --replay, as fast as possible, not at the recorded pace."),
)

CLUSTER = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where requests are sent from: this machine, or the workers of a Ray cluster (docs/ray.md).",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray, the cluster's head; `auto` (default) is the cluster this machine belongs to.",
    ),
    click.option(
        "--workers",
        type=whole_number("workers"),
        metavar="N",
        help="With --engine ray, how many workers, each with a CPU of its own (default one on each node); with "
        "--vantage, how many on each node.",
    ),
    click.option(
        "--vantage",
        is_flag=True,
        help="With --engine ray, ask everything from every node, to compare how targets look from each.",
    ),
)

MEASUREMENT = (
    budget_option,
    click.option(
        "--until-ci",
        type=ParsedParam("precision", parse_until_ci),
        metavar="N%",
        help="Repeat round after round, until every target's median TTFT is known to ±N % (95 % interval); with "
        "passes=N%, until its pass rate is, to ±N points.",
    ),
    click.option(
        "--late-bound",
        "late_bound_s",
        type=click.FloatRange(min=0.5),
        callback=lambda _, __, milliseconds: milliseconds and milliseconds / 1000,
        metavar="MS",
        help="Flag rows whose timestamps may be late by more than this (default 10), or by 5 % of their TTFT.",
    ),
    click.option(
        "--estimate-tokens",
        is_flag=True,
        help="Estimate tokens/s from characters where a provider counts none; marked ~.",
    ),
    percentiles_option,
    slo_option,
    by_option,
)

COMPARISON = (
    click.option(
        "--baseline",
        type=click.Path(path_type=Path),
        metavar="PATH",
        shell_complete=complete_runs,
        help="Compare with this run afterwards: its folder, `latest`, or a snapshot's folder; or with the runs before "
        "it: `history`, `history:FOLDER`.",
    ),
    click.option(
        "--ab",
        "arms",
        nargs=2,
        metavar="BASE NEW",
        shell_complete=complete_targets,
        help="Ask these two targets, interleaved, and compare the second with the first: the stronger comparison.",
    ),
    gate_option,
    fail_undecided_option,
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_metrics,
        help="Compare only this measure, such as ttft; repeatable. Fewer rows are easier to decide.",
    ),
    min_effect_option,
    min_pass_change_option,
)


class AllowedErrorsParam(click.ParamType["AllowedErrors"]):
    """A number of requests, or a percentage of them."""

    name = "allowed errors"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "AllowedErrors":
        """Return how many requests may fail."""
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
    help="Exit with 0 although up to N requests, or N %, failed.",
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
    """Ask every configured provider and model what SUITE says.

    \b
    compare run prompts/basic.yaml
    compare run prompts/basic.yaml -m deepseek/deepseek-flash -k 'who-*' --repeat 5 -o results/mine -o table.md
    compare run --resume latest --retry-errors

    Exit codes: 0 all done, 1 a check failed or a gate found something worse, 2 something is wrong with the suite or
    the options and nothing was sent, or nothing could be compared, 3 requests failed or could not be recorded, 4 a
    named target has no key and nothing was sent, 5 undecided (--fail-undecided), 130 interrupted, finished rows kept.
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
    from runner.commands.run.baseline_gate import open_gate  # noqa: PLC0415 -- brings pandas

    return open_gate(options)


def _prepare(suite: Path | None, options: "RunOptions") -> "PreparedRun":
    from runner.commands.run.load_suite import find_suite, load_suite  # noqa: PLC0415
    from runner.commands.run.prepare import prepare  # noqa: PLC0415
    from runner.commands.run.send_and_write import settle_vantages  # noqa: PLC0415

    loaded, registry = load_suite(find_suite(suite, options))
    return settle_vantages(prepare(loaded, registry, options, ask=ask_about_hosts))


def _conclude(finished: "FinishedRun", gate: "Gate | None", options: "RunOptions", view: ViewOptions, code: int) -> int:
    """Compare a run with its baseline, report to GitHub, and return the exit code of the command.

    A run that is not whole keeps its own code.
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
        click.echo(f"compare: {error}", err=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _report_to_github(finished, difference)
    if code or difference is None:
        return code
    return of_difference(difference, gate=options.gate, fail_undecided=options.fail_undecided)


def _print_difference(finished: "FinishedRun", gate: "Gate", view: ViewOptions) -> "Difference":
    from runner.commands.run.baseline_gate import write_verdicts  # noqa: PLC0415
    from runner.commands.still_working import tell_if_slow  # noqa: PLC0415
    from runner.outputs.diff.terminal import render_difference  # noqa: PLC0415

    with tell_if_slow("comparing with the baseline", echo_error):
        difference = gate.compare(finished.run)
    view.open_results().print(render_difference(difference))
    written = write_verdicts(difference, finished)
    click.echo(f"written: {', '.join(map(str, written))}", err=True)
    return difference


def _report_to_github(finished: "FinishedRun", difference: "Difference | None") -> None:
    from runner.cli.terminal import echo_workflow_command  # noqa: PLC0415
    from runner.outputs.github import append_summary, workflow_commands  # noqa: PLC0415

    append_summary(os.environ, finished.run, difference)
    for line in workflow_commands(os.environ, finished.run, difference):
        echo_workflow_command(line)
