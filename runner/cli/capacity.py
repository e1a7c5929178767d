"""`compare capacity`: search the highest load at which each target keeps an SLO."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import GroupedCommand
from runner.cli.confirm import ask_about_hosts, confirm, confirm_over_option, yes_option
from runner.cli.run_options import TARGETS, run_options
from runner.cli.run_output import open_run_progress, progress_option
from runner.cli.shared_options import (
    SHARE,
    NumberParam,
    OutputParam,
    collect,
    color_option,
    slo_option,
    suite_argument,
    whole_number,
)
from runner.cli.terminal import echo_error, echo_written, open_console

if TYPE_CHECKING:
    from runner.analysis.capacity import CapacitySearch, FoundCapacity
    from runner.commands.capacity import SearchStep
    from runner.commands.run.options import RunOptions
    from runner.commands.run.perform import FinishedRun
    from runner.commands.run.prepared_run import PreparedRun
    from runner.pricing.money import Money

EACH_LOAD = (
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        type=OutputParam(path_type=Path),
        metavar="FOLDER",
        help="Folder of the search, a path without a suffix (default results/capacity-SUITE); each load is a run in "
        "it.",
    ),
    slo_option,
    click.option(
        "--requests",
        "max_requests",
        type=whole_number("max_requests"),
        default=500,
        show_default=True,
        metavar="N",
        help="Send N requests at each load; a concurrency is at most a fifth of it.",
    ),
    click.option("--seed", type=int, metavar="N", help="Seed of the order and the arrivals."),
)


SEARCH = (
    click.option(
        "--slo-share",
        "share",
        type=SHARE,
        default="95%",
        show_default=True,
        metavar="N%",
        help="Share of requests that must meet the SLO.",
    ),
    click.option(
        "--load",
        type=click.Choice(["concurrency", "rate"]),
        default="concurrency",
        show_default=True,
        help="Search over requests in flight, or over requests started per second at random times, as independent "
        "callers do.",
    ),
    click.option(
        "--from",
        "first",
        type=NumberParam(0, min_open=True),
        default=1.0,
        metavar="LOAD",
        help="First load to try (default 1); it is doubled while the SLO is kept.",
    ),
    click.option(
        "--most",
        type=NumberParam(0, min_open=True),
        default=256.0,
        metavar="LOAD",
        help="Highest load to try (default 256).",
    ),
    click.option(
        "--loads",
        type=whole_number("loads"),
        default=12,
        show_default=True,
        metavar="N",
        help="Maximum number of loads to try.",
    ),
)


def _make_search(share: float, load: str, first: float, most: float, loads: int) -> "CapacitySearch":
    from runner.analysis.capacity import CapacitySearch

    return CapacitySearch(share, first, most, loads, by_rate=load == "rate")


@click.command(cls=GroupedCommand)
@suite_argument
@run_options(TARGETS, EACH_LOAD)
@collect("search", _make_search, SEARCH)
@confirm_over_option
@yes_option
@progress_option
@color_option
def capacity(
    suite: Path,
    *,
    options: "RunOptions",
    search: "CapacitySearch",
    confirm_over: "int | Money",
    yes: bool,
    progress: str,
    color: str,
) -> None:
    """Search the highest load at which each target of SUITE keeps an SLO: by doubling, then by halving the gap.

    \b
    compare capacity prompts/basic.yaml -m vllm/qwen3 --slo ttft=800ms,tpot=50ms -o results/capacity
    compare capacity prompts/basic.yaml -m vllm/qwen3 --slo total=10s --load rate --from 0.5

    Each load is a separate run in the folder of -o, with the curve in capacity.json; targets are searched one after
    the other. The same command continues an interrupted search. Exit codes: 0 the search is complete, 2 it could not
    start, 130 interrupted.
    """
    from runner.commands.capacity import RESULT, prepare_search, search_capacities
    from runner.commands.event_loop import run_async
    from runner.commands.exit_codes import INTERRUPTED
    from runner.commands.run.perform import perform
    from runner.outputs.capacity import describe_capacity, tabulate_curves
    from runner.outputs.narrow_terminal_tables import SplitTable
    from runner.outputs.text.labels import SIMULATED

    prepared, confirmed = prepare_search(suite, options, search, ask_about_hosts), set[str]()

    def run_once(run: "PreparedRun") -> "FinishedRun":
        asked = {target.name for target in run.plan.targets}
        confirm(run, confirm_over, yes=yes or asked <= confirmed)
        confirmed.update(asked)
        with open_run_progress(run, progress, open_console(color, stderr=True)) as observer:
            return run_async(perform, run, observer)

    found, step = dict[str, "FoundCapacity"](), None
    for step in search_capacities(prepared, run_once):
        _print_step(step, names_target=len(prepared.targets) > 1)
        if step.capacity.tried:
            found[step.capacity.target] = step.capacity
    if not found:
        sys.exit(INTERRUPTED)
    if any(capacity.simulated for capacity in found.values()):
        click.echo(f"simulated: {SIMULATED}")
    open_console(color).print(SplitTable(tabulate_curves([*found.values()]), in_line=True))
    for capacity in found.values():
        click.echo(describe_capacity(capacity))
    echo_written([prepared.folder / RESULT])
    if step is not None and step.interrupted:
        sys.exit(INTERRUPTED)


def _print_step(step: "SearchStep", *, names_target: bool) -> None:
    from runner.outputs.text.summary import format_met

    how = "interrupted" if step.interrupted else "already there" if step.was_there else "tried"
    what = "rate" if step.capacity.search.by_rate else "concurrency"
    verdict = step.capacity.search.verdict_on(step.tried)
    target = f"{step.capacity.target} " if names_target else ""
    echo_error(f"{target}{what} {step.tried.load:g} {how}: SLO met {format_met(step.tried.goodput)}, {verdict}")
