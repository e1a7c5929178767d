"""`compare judge`: have a model compare the replies of a run in pairs."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_targets
from runner.cli.confirm import ask_about_hosts, confirm, confirm_over_option, yes_option
from runner.cli.run_output import ViewOptions, make_view_options, print_notes, show_page
from runner.cli.shared_options import (
    NumberParam,
    allow_host_option,
    budget_option,
    collect,
    env_file_option,
    is_given,
    outputs_option,
    run_argument,
    whole_number,
)
from runner.cli.terminal import echo_error, echo_json, echo_written
from runner.commands.run.options import RunOptions
from runner.core.suite import MAX_TEMPERATURE

if TYPE_CHECKING:
    from runner.analysis.run_results import Run
    from runner.commands.judge import JudgeOptions, PreparedJudging
    from runner.pricing.money import Money

JUDGE_ONLY = {"criteria_file": "--criteria", "pairs": "--pairs", "budgets": "--budget", "only_plan": "--plan"}
"""Parameter -> option that has no effect without a judge."""


JUDGING = (
    click.option(
        "--by",
        metavar="TARGET",
        shell_complete=complete_targets,
        help="The judge, as provider/model. Without it, show the results so far.",
    ),
    click.option(
        "--pairs",
        type=whole_number("pairs"),
        metavar="N",
        help="Judge only N pairs, chosen at random by --seed. A larger N later includes the pairs of a smaller one.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the choice of pairs."),
    click.option(
        "--max-tokens", type=whole_number("max_tokens"), metavar="N", help="Token limit of the judge's answer."
    ),
    click.option(
        "--temperature",
        type=NumberParam(0, MAX_TEMPERATURE),
        metavar="T",
        help="Sampling temperature of the judge, from 0 to 2 (default: its provider's).",
    ),
    click.option(
        "--concurrency", type=whole_number("concurrency"), metavar="N", help="Requests in flight (default 4)."
    ),
    budget_option,
    env_file_option,
    allow_host_option,
)


def _make_options(
    *,
    by: str | None,
    pairs: int | None,
    seed: int,
    max_tokens: int | None,
    temperature: float | None,
    concurrency: int | None,
    budgets: "tuple[Money, ...]",
    env_files: tuple[Path, ...],
    allow_hosts: tuple[str, ...],
) -> "JudgeOptions | None":
    """Return the options of a judging; None without a judge."""
    from runner.commands.judge import JudgeOptions
    from runner.core.suite import Parameters

    if by is None:
        return None
    parameters = Parameters(max_tokens=max_tokens, temperature=temperature)
    run = RunOptions(concurrency=concurrency, budgets=budgets, env_files=env_files, allow_hosts=allow_hosts)
    return JudgeOptions(by, pairs=pairs, seed=seed, parameters=parameters, run=run)


@click.command(cls=Command)
@run_argument
@collect("options", _make_options, JUDGING)
@click.option(
    "--criteria",
    "criteria_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Text file with the criteria of the comparison, in place of the built-in ones (docs/judge.md).",
)
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be sent and its maximum cost; send nothing.")
@confirm_over_option
@yes_option
@outputs_option("Also write the results to a file: .md or .json.")
@make_view_options("Print the results of all judgings as JSON instead of a table.")
def judge(
    run: Path,
    *,
    options: "JudgeOptions | None",
    criteria_file: Path | None,
    only_plan: bool,
    confirm_over: "int | Money",
    yes: bool,
    outputs: tuple[Path, ...],
    view: ViewOptions,
) -> None:
    """Have a model compare the replies of RUN in pairs, each pair in both orders, and show who wins.

    \b
    compare judge latest --by deepseek/deepseek-flash --plan
    compare judge latest --by deepseek/deepseek-flash --pairs 100 --budget 2USD
    compare judge latest --by openai/gpt-5.2 --criteria friendly.txt -o judged.md
    compare judge latest

    The answers are appended to the run's journal, and `compare report` shows them. The same command continues an
    interrupted judging, without sending a request twice. Exit codes: 0 all pairs are judged, 2 it could not start, or
    there is no result to show, 3 requests failed or a budget stopped it, 4 the judge has no key, 130 interrupted.
    """
    from runner.commands.judge import load_judged, prepare_judging, read_criteria
    from runner.commands.load_stored_run import load_run

    if options is None:
        _refuse_without_judge()
        _show(load_judged(run, outputs), outputs, view)
        return
    if criteria_file is not None:
        options = replace(options, criteria=read_criteria(criteria_file))
    reads = () if criteria_file is None else (criteria_file,)
    prepared = prepare_judging(run, options, sends=not only_plan, ask=ask_about_hosts, outputs=outputs, reads=reads)
    if only_plan:
        _print_plan(prepared, view.color)
        return
    confirm(prepared.run, confirm_over, yes=yes)
    code = _perform(run, prepared, options, view)
    _show(load_run(run), outputs, view)
    sys.exit(code)


def _refuse_without_judge() -> None:
    given = [flag for name, flag in JUDGE_ONLY.items() if is_given(name)]
    if given:
        raise click.UsageError(f"{', '.join(given)} is for a judge that is asked: say --by provider/model as well.")


def _print_plan(prepared: "PreparedJudging", color: str) -> None:
    from runner.cli.plan import print_bounds
    from runner.outputs.plan import describe_bounds
    from runner.outputs.text.judge import describe_plan

    forecast = prepared.run.forecast
    asked = describe_plan(prepared.pairs, prepared.of_pairs, len(prepared.questions.requests))
    keys = [] if prepared.missing_key is None else [f"Key missing: {prepared.missing_key}"]
    print_bounds(asked, forecast, [*keys, *describe_bounds(forecast), *prepared.notes], color)


def _perform(name: Path, prepared: "PreparedJudging", options: "JudgeOptions", view: ViewOptions) -> int:
    """Send the open requests; return the exit code."""
    from runner.cli.progress import open_progress
    from runner.commands.event_loop import run_async
    from runner.commands.exit_codes import INCOMPLETE, INTERRUPTED, NOTHING_COMPARED, OK
    from runner.commands.judge import count_open, has_verdict, perform_judging

    print_notes(prepared, view)
    total = len(prepared.questions.requests)
    with open_progress(view.progress_mode, view.open_errors(), total=total) as observer:
        finished = run_async(perform_judging, prepared, observer)
    left = count_open(name, options)
    if not left and has_verdict(name, str(prepared.line["id"])):
        return OK
    if not left:
        echo_error("the judge decided no pair: none has a clear verdict in both orders. Ask another judge with --by")
        return NOTHING_COMPARED
    echo_error(f"{left:,} of the judge's requests are open. Go on with the same command")
    return INCOMPLETE if finished else INTERRUPTED


def _show(run: "Run", outputs: tuple[Path, ...], view: ViewOptions) -> None:
    from runner.commands.judge import write_judged
    from runner.outputs.judge import render_judged, write_json
    from runner.storage.run_folder import REPORT

    write_judged(run, outputs)
    if view.as_json:
        echo_json(write_json(run.judged, run.header.run_id))
    else:
        console = view.open_results()
        for each in run.judged:
            console.print(render_judged(each))
    if not view.quiet:
        echo_written(outputs)
    if view.launch and run.folder is not None:
        show_page(run.folder / REPORT, None, launch=True)
